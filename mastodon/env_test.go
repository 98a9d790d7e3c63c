package mastodon_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.org/mediamove/mastodon"
)

// A rubyCase is a file and what Ruby's dotenv 3.2.0 said of it
// (testdata/dotenv.rb).
type rubyCase struct {
	Name  string
	Env   map[string]string
	File  string
	Vars  map[string]string
	Error bool
}

func rubyCases(tb testing.TB) []rubyCase {
	tb.Helper()
	data, err := os.ReadFile("testdata/dotenv.json")
	if err != nil {
		tb.Fatal(err)
	}
	var cases []rubyCase
	if err := json.Unmarshal(data, &cases); err != nil {
		tb.Fatal(err)
	}
	if len(cases) < 300 {
		tb.Fatalf("only %d cases", len(cases))
	}
	return cases
}

// text shows values to a test, which is the only place that may see them.
func text(vars map[string]mastodon.Var) map[string]string {
	m := map[string]string{}
	for name, v := range vars {
		m[name] = string(v.Text)
		if v.Command {
			m[name] = "<command>"
		}
	}
	return m
}

func TestParseEnvReadsAsRuby(t *testing.T) {
	t.Parallel()
	for _, tt := range rubyCases(t) {
		t.Run(tt.Name, func(t *testing.T) {
			t.Parallel()
			vars, err := mastodon.ParseEnv(strings.NewReader(tt.File), func(name string) (string, bool) {
				v, ok := tt.Env[name]
				return v, ok
			})
			if (err != nil) != tt.Error {
				t.Fatalf("%q: error %v, Ruby's: %t", tt.File, err, tt.Error)
			}
			if err != nil {
				return
			}
			got := text(vars)
			for name, want := range tt.Vars {
				// Ruby leaves a name alone that the environment has; we keep
				// the file's value, to see whether the two agree.
				if _, env := tt.Env[name]; env && name != "DOTENV_LINEBREAK_MODE" {
					delete(tt.Vars, name)
					delete(got, name)
				} else if strings.Contains(want, "<command>") {
					tt.Vars[name] = "<command>"
				}
			}
			if diff := cmp.Diff(tt.Vars, got); diff != "" {
				t.Errorf("%q (-ruby +ours):\n%s", tt.File, diff)
			}
		})
	}
}

// The file's own value is kept under a name that the environment has too.
func TestParseEnvKeepsTheFilesValue(t *testing.T) {
	t.Parallel()
	vars, err := mastodon.ParseEnv(strings.NewReader("A=file\nB=$A"), func(name string) (string, bool) {
		return "env", name == "A"
	})
	if diff := cmp.Diff(map[string]string{"A": "file", "B": "env"}, text(vars)); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestParseEnvErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, file string
		want       string
	}{
		{"export of an unset name", "A=hunter2\n\nexport B\n", "line 3: export of B, which is set nowhere above"},
		{"not utf-8", "A=1\nB=hunter2\xff\n", "line 2: not UTF-8 text"},
		{"nul", "A=1\n\nB=hunter2\x00", "line 3: not UTF-8 text"},
		{"utf-16", "\xff\xfeA\x00=\x001\x00", "line 1: not UTF-8 text"},
		{"too long", strings.Repeat("#hunter2", 1<<17) + "\nA=1", "longer than 1 MiB: not an env file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			vars, err := mastodon.ParseEnv(strings.NewReader(tt.file), nil)
			if _, ok := errors.AsType[*mastodon.SyntaxError](err); !ok || err.Error() != tt.want || vars != nil {
				t.Errorf("got %v, %v; want %q", vars, err, tt.want)
			}
		})
	}
	broken := errors.New("disk on fire")
	if _, err := mastodon.ParseEnv(iotest.ErrReader(broken), nil); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// A replacement character that stands in the file is text like any other.
func TestParseEnvReplacementCharacter(t *testing.T) {
	t.Parallel()
	vars, err := mastodon.ParseEnv(strings.NewReader("A=\uFFFD"), nil)
	if err != nil || vars["A"].Text != "\uFFFD" {
		t.Errorf("%q, %v", string(vars["A"].Text), err)
	}
}

// Whatever an admin puts between single quotes comes back as it was.
func TestSingleQuotesKeepEverything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`[^'\r\x00]*`).Draw(t, "value")
		vars, err := mastodon.ParseEnv(strings.NewReader("X=1\nDB_PASS='"+value+"'\nY=2\n"), nil)
		want := map[string]string{"X": "1", "DB_PASS": value, "Y": "2"}
		if diff := cmp.Diff(want, text(vars)); diff != "" || err != nil {
			t.Fatal(diff, err)
		}
	})
}

// Nested and unclosed parentheses must not cost the square of their number.
func TestParseEnvManyParentheses(t *testing.T) {
	t.Parallel()
	for _, file := range []string{
		"A=" + strings.Repeat("$(", 1<<15),
		"A=x" + strings.Repeat("(", 1<<15) + strings.Repeat(")", 1<<15),
		"A='" + strings.Repeat(`\'`, 1<<15),
		strings.Repeat("A=\n", 1<<15),
	} {
		vars, err := mastodon.ParseEnv(strings.NewReader(file), nil)
		if err != nil || vars["A"].Command {
			t.Errorf("%.10s…: %v, %t", file, err, vars["A"].Command)
		}
	}
}

func FuzzParseEnv(f *testing.F) {
	for _, c := range rubyCases(f) {
		f.Add(c.File)
	}
	const canary = "CanaryHunter2"
	f.Fuzz(func(t *testing.T, file string) {
		env := func(name string) (string, bool) { return canary, name == "A" }
		vars, err := mastodon.ParseEnv(strings.NewReader(file), env)
		dosFile := file
		if !strings.Contains(file, "\r") { // else a new pair may form
			dosFile = strings.ReplaceAll(file, "\n", "\r\n")
		}
		dos, dosErr := mastodon.ParseEnv(strings.NewReader(dosFile), env)
		if (err == nil) != (dosErr == nil) {
			t.Fatalf("%q: %v, with CRLF %v", file, err, dosErr)
		}
		if err != nil {
			if _, ok := errors.AsType[*mastodon.SyntaxError](err); !ok || strings.Contains(err.Error(), canary) {
				t.Fatalf("%q: %v", file, err)
			}
			return
		}
		if diff := cmp.Diff(text(vars), text(dos)); diff != "" {
			t.Fatalf("%q reads differently with CRLF:\n%s", file, diff)
		}
		for name, v := range vars {
			if v.Command && v.Text != "" || !strings.Contains(file, name) {
				t.Fatalf("%q: %s", file, name)
			}
		}
	})
}
