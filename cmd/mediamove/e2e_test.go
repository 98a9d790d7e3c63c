package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/mediamove/fixtures"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// program builds the program once, the way a user gets it, but without -race: it is
// killed by the hundred.
func program(t *testing.T) string {
	t.Helper()
	path, err := builtOnce()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var builtOnce = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "mediamove-e2e-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "mediamove")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// A site is an instance as a process sees it: a tree, a state folder and settings.
type site struct {
	t     *testing.T
	root  string
	state string
	env   map[string]string
	files fixtures.Manifest
}

func newSite(t *testing.T, endpoint string, spec fixtures.Spec) *site {
	t.Helper()
	s := &site{
		t: t, root: filepath.Join(t.TempDir(), "system"), state: filepath.Join(t.TempDir(), "state"),
		env: map[string]string{
			"LOCAL_DOMAIN": "social.example", "S3_BUCKET": fixtures.Name, "S3_ENDPOINT": endpoint, "S3_PERMISSION": "",
			"AWS_ACCESS_KEY_ID": fixtures.AccessKey, "AWS_SECRET_ACCESS_KEY": fixtures.Secret,
			"HOME": t.TempDir(), "PATH": os.Getenv("PATH"),
		},
	}
	var err error
	if s.files, err = fixtures.Tree(s.root, spec); err != nil {
		t.Fatal(err)
	}
	return s
}

// A result is what a process left behind.
type result struct {
	code           int
	stdout, stderr string
}

func (r result) String() string {
	return fmt.Sprintf("exit %d\n--- stdout\n%s--- stderr\n%s", r.code, r.stdout, r.stderr)
}

func (s *site) command(ctx context.Context, args ...string) (*exec.Cmd, *bytes.Buffer, *bytes.Buffer) {
	s.t.Helper()
	cmd := exec.CommandContext(ctx, program(s.t), append(args, "--state", s.state)...)
	for k, v := range s.env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	return cmd, &stdout, &stderr
}

func (s *site) run(args ...string) result {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	cmd, stdout, stderr := s.command(ctx, args...)
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		s.t.Fatal(err)
	}
	if ctx.Err() != nil {
		s.t.Errorf("mediamove %v did not end", args)
	}
	r := result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	s.noSecret(r)
	return r
}

// noSecret: whatever happens, credentials are in no output.
func (s *site) noSecret(r result) {
	s.t.Helper()
	for _, name := range []string{"AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"} {
		if v := s.env[name]; len(v) > 8 && strings.Contains(r.stdout+r.stderr, v) {
			s.t.Errorf("%s is in the output:\n%v", name, r)
		}
	}
}

func (s *site) sync(args ...string) result {
	s.t.Helper()
	return s.run(append([]string{"sync", s.root, "--json"}, args...)...)
}

// must expects an exit status and, for --json, decodes the object.
func (s *site) must(code int, r result) syncJSON {
	s.t.Helper()
	if r.code != code {
		s.t.Fatalf("want exit %d, got %v", code, r)
	}
	var out syncJSON
	if strings.HasPrefix(r.stdout, "{") {
		if err := json.Unmarshal([]byte(r.stdout), &out); err != nil {
			s.t.Fatalf("%v in %v", err, r)
		}
	}
	f := out.Files
	if f.Seen != f.Moved+f.Replaced+f.Present+f.Adopted+f.HeldBack+f.Changed+f.Vanished+f.Conflict+f.Left+f.Failed+f.Pending {
		s.t.Errorf("the counters don't add up: %+v", f)
	}
	return out
}

// sums is the tree as checksums of bytes, modes and times.
func (s *site) sums() map[string]string {
	s.t.Helper()
	sums := make(map[string]string)
	err := filepath.WalkDir(s.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(s.root, path)
		var body []byte
		if d.Type().IsRegular() {
			if body, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		sum := sha256.Sum256(body)
		sums[rel] = fmt.Sprintf("%x %v %v", sum, info.Mode(), info.ModTime().UnixNano())
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return sums
}

// arrived compares the bucket with the disk: exactly what may be public, byte for
// byte (by SHA-256), each key written once.
func (s *site) arrived(b *fixtures.Bucket, local map[string]string) {
	s.t.Helper()
	n := 0
	for _, o := range b.Objects() {
		if media.Key(o.Key).Reserved() {
			continue
		}
		n++
		want, ok := local[o.Key]
		if !ok || (!strings.HasPrefix(want, hex.EncodeToString(o.SHA256[:])) && !s.sameParts(o)) {
			s.t.Errorf("%s: the bucket has other bytes than the disk", o.Key)
		}
		if w := b.Writes(o.Key); w != 1 {
			s.t.Errorf("%s was stored %d times", o.Key, w)
		}
	}
	if n != s.files.Moved.Files {
		s.t.Errorf("the bucket holds %d files, want %d", n, s.files.Moved.Files)
	}
	for _, k := range s.files.HeldBackKeys {
		if _, ok := b.Object(string(k)); ok {
			s.t.Errorf("%s was published", k)
		}
	}
	if left := b.Uploads(); len(left) != 0 {
		s.t.Errorf("uploads left behind: %+v", left)
	}
}

// sameParts compares an object that came in parts, whose bytes the bucket does not keep.
func (s *site) sameParts(o fixtures.Object) bool {
	f, err := os.Open(filepath.Join(s.root, o.Key))
	if err != nil {
		return false
	}
	defer f.Close()
	same, certain, err := r2.SameBytes(o.ETag, o.Size, [16]byte{}, f)
	info, _ := f.Stat()
	return err == nil && same && certain && info.Size() == o.Size
}

func listen(t *testing.T, b *fixtures.Bucket) string {
	t.Helper()
	l, err := b.Listen(false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l.URL
}
