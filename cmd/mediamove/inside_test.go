package main

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"sync"
	"testing"

	"example.org/mediamove/fixtures"
)

// An insider is an instance whose commands run in this process, with a bucket
// instead of the network.
type insider struct {
	t           *testing.T
	root, state string
	bucket      *fixtures.Bucket
	files       fixtures.Manifest
	env         []string
	terminal    bool
}

func inside(t *testing.T, n int) *insider {
	t.Helper()
	in := &insider{
		t: t, root: filepath.Join(t.TempDir(), "system"), state: filepath.Join(t.TempDir(), "state"),
		bucket: fixtures.NewBucket(fixtures.Options{}),
		env: []string{
			"LOCAL_DOMAIN=social.example", "S3_BUCKET=" + fixtures.Name, "S3_ENDPOINT=" + fixtures.Endpoint, "S3_PERMISSION=",
			"AWS_ACCESS_KEY_ID=" + fixtures.AccessKey, "AWS_SECRET_ACCESS_KEY=" + fixtures.Secret,
		},
	}
	var err error
	if in.files, err = fixtures.Tree(in.root, fixtures.Mixed(n)); err != nil {
		t.Fatal(err)
	}
	return in
}

func (in *insider) run(args ...string) result {
	in.t.Helper()
	return in.runCtx(in.t.Context(), args...)
}

func (in *insider) runCtx(ctx context.Context, args ...string) result {
	in.t.Helper()
	var stdout, stderr syncBuffer
	w := &world{
		args: append(args, "--state", in.state), stdout: &stdout, stderr: &stderr, environ: in.env,
		terminal: in.terminal, width: 80, transport: in.bucket.Transport(),
	}
	code := run(ctx, w)
	return result{code, stdout.String(), stderr.String()}
}

// decode expects an exit status and one JSON object on stdout.
func decode(t *testing.T, r result, code int, v any) {
	t.Helper()
	if r.code != code {
		t.Fatalf("want exit %d, got %v", code, r)
	}
	if err := json.Unmarshal([]byte(r.stdout), v); err != nil {
		t.Fatalf("%v in %v", err, r)
	}
}

// A syncBuffer is written by the progress, the log and the end of a run.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *syncBuffer) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b.Reset()
}
