package mastodon_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"example.org/mediamove/mastodon"
)

const r2env = `LOCAL_DOMAIN=example.com
S3_ENABLED=true
S3_BUCKET=media
S3_ENDPOINT=https://abc.r2.cloudflarestorage.com
S3_REGION=auto
S3_PROTOCOL=https
S3_ALIAS_HOST=files.example.com
S3_KEY_PREFIX=social
S3_PERMISSION=
AWS_ACCESS_KEY_ID=id
AWS_SECRET_ACCESS_KEY=` + canary + `
PAPERCLIP_ROOT_PATH=/srv/system
DATABASE_URL=postgresql://u:` + canary + `@db/m
DB_HOST=/run/postgresql
DB_PORT=5432
DB_NAME=mastodon_production
DB_USER=mastodon
DB_PASS=` + canary + `
DB_SSLMODE=verify-full
CLOUDFLARE_API_TOKEN=` + canary + `
CLOUDFLARE_ACCOUNT_ID=0123
OTP_SECRET=whatever
`

// envFile writes an env file that only its owner may read.
func envFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), ".env.production")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestResolveReadsEverySetting(t *testing.T) {
	t.Parallel()
	want := mastodon.Settings{
		S3Enabled: true, Bucket: "media", Endpoint: "https://abc.r2.cloudflarestorage.com", Region: "auto", Protocol: "https",
		KeyPrefix: "social", Permission: new(""), AliasHost: "files.example.com", AccessKeyID: "id", SecretAccessKey: canary,
		LocalDomain: "example.com", RootPath: "/srv/system", DatabaseURL: "postgresql://u:" + canary + "@db/m",
		DBHost: "/run/postgresql", DBPort: "5432", DBName: "mastodon_production", DBUser: "mastodon", DBPass: canary, DBSSLMode: "verify-full",
		CloudflareToken: canary, CloudflareAccount: "0123",
	}
	file := envFile(t, r2env)
	for name, src := range map[string]mastodon.Sources{
		"env file":    {EnvFile: file},
		"environment": {Environ: strings.Split(strings.TrimSpace(r2env), "\n")},
		"both":        {EnvFile: file, Environ: strings.Split(strings.TrimSpace(r2env), "\n")},
	} {
		got, err := mastodon.Resolve(src)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(mastodon.Settings{})); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		env   []string
		file  string
		flags map[string]string
		check func(mastodon.Settings) bool
	}{
		{"nothing set", nil, "", nil, func(s mastodon.Settings) bool {
			return !s.S3Enabled && s.Permission == nil && s.Protocol == "https" && s.Source("S3_ENABLED") == "" && s.Source("S3_PROTOCOL") == ""
		}},
		{"only exactly true enables S3", []string{"S3_ENABLED=True"}, "", nil, func(s mastodon.Settings) bool {
			return !s.S3Enabled && s.Source("S3_ENABLED") == "the environment"
		}},
		{"a flag wins", []string{"S3_BUCKET=env"}, "S3_BUCKET=file", map[string]string{"S3_BUCKET": "flag"}, func(s mastodon.Settings) bool {
			return s.Bucket == "flag" && s.Source("S3_BUCKET") == "the command line"
		}},
		{"an empty flag wins too", []string{"S3_KEY_PREFIX=env"}, "", map[string]string{"S3_KEY_PREFIX": ""}, func(s mastodon.Settings) bool {
			return s.KeyPrefix == ""
		}},
		{"set alike twice", []string{"S3_BUCKET=b", "S3_BUCKET=ignored"}, "S3_BUCKET=\"b\" # same", nil, func(s mastodon.Settings) bool {
			return s.Bucket == "b" && s.Source("S3_BUCKET") == "the environment"
		}},
		{"permission unset", nil, "", nil, func(s mastodon.Settings) bool { return s.Permission == nil }},
		{"permission empty", nil, "S3_PERMISSION=\n", nil, func(s mastodon.Settings) bool {
			return s.Permission != nil && *s.Permission == ""
		}},
		{"permission set", nil, "S3_PERMISSION=private\n", nil, func(s mastodon.Settings) bool { return *s.Permission == "private" }},
		{"the old name of the alias", []string{"S3_CLOUDFRONT_HOST=old"}, "", nil, func(s mastodon.Settings) bool { return s.AliasHost == "old" }},
		{"both names of the alias", []string{"S3_CLOUDFRONT_HOST=old"}, "S3_ALIAS_HOST=new", nil, func(s mastodon.Settings) bool { return s.AliasHost == "new" }},
		{"http", nil, "S3_PROTOCOL=http", nil, func(s mastodon.Settings) bool { return s.Protocol == "http" }},
		{"protocol empty", nil, "S3_PROTOCOL=", nil, func(s mastodon.Settings) bool { return s.Protocol == "https" }},
		{"a variable of the environment in the file", []string{"ACCOUNT=abc"}, "S3_ENDPOINT=https://$ACCOUNT.example", nil, func(s mastodon.Settings) bool {
			return s.Endpoint == "https://abc.example"
		}},
		{"a command in a name of no interest", nil, "HOSTNAME=$(hostname)\nS3_BUCKET=b", nil, func(s mastodon.Settings) bool { return s.Bucket == "b" }},
		{"a flag over a command", nil, "S3_BUCKET=$(cat bucket)", map[string]string{"S3_BUCKET": "b"}, func(s mastodon.Settings) bool { return s.Bucket == "b" }},
		{"known names of our own", []string{"MEDIAMOVE_STATE=/x"}, "", nil, func(mastodon.Settings) bool { return true }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := mastodon.Resolve(mastodon.Sources{Flags: tt.flags, Environ: tt.env, EnvFile: envFile(t, tt.file), Known: []string{"MEDIAMOVE_STATE"}})
			if err != nil || !tt.check(s) || len(s.Warnings) > 0 {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}

// Every error names the setting and the places, and shows no value: here
// every value is the canary.
// A database is named by any of the settings that tell it from others: a port or a
// password alone would leave Mastodon's defaults.
func TestNamesDatabase(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"DATABASE_URL=postgres:///m": true, "DB_HOST=db": true, "DB_NAME=m": true, "DB_USER=m": true,
		"DB_PORT=5432": false, "DB_PASS=secret": false, "DB_NAME=": false, "S3_BUCKET=media": false,
	} {
		s, err := mastodon.Resolve(mastodon.Sources{Environ: []string{line}})
		if err != nil || s.NamesDatabase() != want {
			t.Errorf("%s: %t, %v", line, s.NamesDatabase(), err)
		}
	}
}

func TestResolveErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		env   []string
		file  string
		flags map[string]string
		want  string // FILE stands for the env file's path
	}{
		{
			"conflict",
			[]string{"AWS_SECRET_ACCESS_KEY=other-" + canary},
			"AWS_SECRET_ACCESS_KEY=" + canary, nil,
			"AWS_SECRET_ACCESS_KEY is set differently in the environment and in FILE: make them agree, or unset one",
		},
		{
			"empty against full",
			[]string{"S3_BUCKET="},
			"S3_BUCKET=" + canary, nil,
			"S3_BUCKET is set differently in the environment and in FILE: make them agree, or unset one",
		},
		{
			"all conflicts at once",
			[]string{"S3_BUCKET=" + canary, "DB_PORT=" + canary},
			"S3_BUCKET=b\nDB_PORT=1", nil,
			"S3_BUCKET is set differently in the environment and in FILE: make them agree, or unset one\n" +
				"DB_PORT is set differently in the environment and in FILE: make them agree, or unset one",
		},
		{
			"command", nil, "X=$(" + canary + ")\nDB_PASS=a$X", nil,
			"DB_PASS in FILE: holds a shell command $(…), and mediamove runs none",
		},
		{"secret as a flag", nil, "", map[string]string{"DB_PASS": canary}, "DB_PASS in the command line: a secret"},
		{"protocol", nil, "S3_PROTOCOL=" + canary, nil, "S3_PROTOCOL in FILE: neither https nor http"},
		{
			"unknown names of our own",
			[]string{"MEDIAMOVE_STAT=" + canary, "MEDIAMOVE_A="},
			"MEDIAMOVE_MAX=1", nil,
			"MEDIAMOVE_A in the environment: no such setting\n" +
				"MEDIAMOVE_MAX in FILE: no such setting\n" +
				"MEDIAMOVE_STAT in the environment: no such setting",
		},
		{
			"syntax", nil, "AWS_SECRET_ACCESS_KEY=" + canary + "\nexport X", nil,
			"read FILE: line 2: export of X, which is set nowhere above",
		},
		{"not text", nil, "AWS_SECRET_ACCESS_KEY=" + canary + "\xff", nil, "read FILE: line 1: not UTF-8 text"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := envFile(t, tt.file)
			s, err := mastodon.Resolve(mastodon.Sources{Flags: tt.flags, Environ: tt.env, EnvFile: file, Known: []string{"MEDIAMOVE_STATE"}})
			if err == nil {
				t.Fatalf("no error but %+v", s)
			}
			if got := strings.ReplaceAll(err.Error(), file, "FILE"); got != tt.want || strings.Contains(got, canary) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if diff := cmp.Diff(mastodon.Settings{}, s, cmpopts.IgnoreUnexported(mastodon.Settings{})); diff != "" {
				t.Error("settings beside an error:", diff)
			}
		})
	}
}

func TestResolveEnvFileErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for path, cause := range map[string]error{
		filepath.Join(dir, "none"):    fs.ErrNotExist,
		dir:                           syscall.EISDIR,
		filepath.Join(dir, "no", "x"): fs.ErrNotExist,
	} {
		_, err := mastodon.Resolve(mastodon.Sources{EnvFile: path})
		fe, ok := errors.AsType[*mastodon.FileError](err)
		if !ok || !errors.Is(err, cause) || fe.Path != path || !strings.Contains(fe.Hint, ".env.production") || strings.Count(err.Error(), path) != 1 {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestOpenEnvFileWarning(t *testing.T) {
	t.Parallel()
	tests := []struct {
		mode    fs.FileMode
		content string
		warns   bool
	}{
		{0o600, r2env, false},
		{0o640, r2env, false}, // a group is somebody's decision
		{0o644, r2env, true},
		{0o604, "DB_PASS='" + canary + "'", true},
		{0o644, "DB_PASS=$(pass)", true},
		{0o644, "S3_BUCKET=b\nDB_PASS=\nAWS_SECRET_ACCESS_KEY=\n", false},
	}
	for _, tt := range tests {
		path := envFile(t, tt.content)
		if err := os.Chmod(path, tt.mode); err != nil {
			t.Fatal(err)
		}
		s, err := mastodon.Resolve(mastodon.Sources{EnvFile: path, Flags: map[string]string{}})
		if strings.Contains(tt.content, "$(") {
			if err == nil {
				t.Error("a command passed")
			}
			continue
		}
		if err != nil || (len(s.Warnings) > 0) != tt.warns {
			t.Errorf("%o %.20q: warnings %v, %v", tt.mode, tt.content, s.Warnings, err)
		}
		for _, w := range s.Warnings {
			if !strings.Contains(w.Text, path) || strings.Contains(w.Text+w.Hint, canary) || w.Hint != "chmod o-rwx "+path {
				t.Errorf("%+v", w)
			}
		}
	}
}

// A shell's <(…) is a pipe: read once, with nobody else looking.
func TestEnvFileFromAPipe(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- os.WriteFile(path, []byte(r2env), 0) }()
	s, err := mastodon.Resolve(mastodon.Sources{EnvFile: path})
	if werr := <-done; err != nil || werr != nil || s.Bucket != "media" || len(s.Warnings) > 0 {
		t.Errorf("%+v, %v, %v", s, err, werr)
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		files map[string]string
		env   []string
		want  string // the secret, or a part of the error
	}{
		{"by name", map[string]string{"AWS_ACCESS_KEY_ID": "id\n", "AWS_SECRET_ACCESS_KEY": "s"}, nil, "s"},
		{"in lower case", map[string]string{"aws_access_key_id": "id", "aws_secret_access_key": "s \r\n"}, nil, "s "},
		{"alike in the environment", map[string]string{"aws_access_key_id": "id", "aws_secret_access_key": "s\n"}, []string{"AWS_SECRET_ACCESS_KEY=s"}, "s"},
		{"both spellings alike", map[string]string{"aws_access_key_id": "id", "aws_secret_access_key": "s\n", "AWS_SECRET_ACCESS_KEY": "s"}, nil, "s"},
		{
			"against the environment",
			map[string]string{"aws_secret_access_key": canary},
			[]string{"AWS_SECRET_ACCESS_KEY=s"},
			"AWS_SECRET_ACCESS_KEY is set differently in the environment and in the credential aws_secret_access_key",
		},
		{
			"two spellings",
			map[string]string{"aws_secret_access_key": canary, "AWS_SECRET_ACCESS_KEY": "s"},
			nil,
			"AWS_SECRET_ACCESS_KEY is set differently in the credential AWS_SECRET_ACCESS_KEY and in the credential aws_secret_access_key",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, content := range tt.files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o400); err != nil {
					t.Fatal(err)
				}
			}
			s, err := mastodon.Resolve(mastodon.Sources{Environ: append(tt.env, "CREDENTIALS_DIRECTORY="+dir)})
			if err != nil {
				if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), canary) {
					t.Error(err)
				}
			} else if string(s.SecretAccessKey) != tt.want || s.AccessKeyID != "id" {
				t.Errorf("%q %q", s.AccessKeyID, string(s.SecretAccessKey))
			}
		})
	}
}

// A credential that is there and cannot be read is an error, no credentials
// at all are none: systemd sets the variable for unrelated reasons too.
func TestCredentialFaults(t *testing.T) {
	t.Parallel()
	if _, err := mastodon.Resolve(mastodon.Sources{Environ: []string{"CREDENTIALS_DIRECTORY=/nowhere"}}); err != nil {
		t.Error(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "AWS_ACCESS_KEY_ID")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := mastodon.Resolve(mastodon.Sources{Environ: []string{"CREDENTIALS_DIRECTORY=" + dir}})
	if fe, ok := errors.AsType[*mastodon.FileError](err); !ok || fe.Path != path {
		t.Error(err)
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	all := map[string]string{
		"LOCAL_DOMAIN": "d", "S3_BUCKET": "b", "S3_ENDPOINT": "e", "AWS_ACCESS_KEY_ID": "i", "AWS_SECRET_ACCESS_KEY": "s",
	}
	rapid.Check(t, func(t *rapid.T) {
		var environ, want []string
		for _, name := range slices.Sorted(maps.Keys(all)) {
			switch rapid.SampledFrom([]string{"set", "empty", "unset"}).Draw(t, name) {
			case "set":
				environ = append(environ, name+"="+all[name])
				continue
			case "empty":
				environ = append(environ, name+"=")
			}
			want = append(want, name)
		}
		s, err := mastodon.Resolve(mastodon.Sources{Environ: environ})
		got := s.Missing()
		if slices.Sort(got); err != nil || !slices.Equal(got, want) {
			t.Fatalf("%q: missing %q, want %q (%v)", environ, got, want, err)
		}
	})
}
