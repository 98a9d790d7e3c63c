package main

import (
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/s3test"
	"example.org/mediamove/media"
)

// curl speaks S3 as another client, with nothing of ours.
func (s *site) curl(method, key string, body []byte) {
	s.t.Helper()
	u := s.env["S3_ENDPOINT"] + "/" + s.env["S3_BUCKET"] + (&url.URL{Path: "/" + key}).EscapedPath()
	cmd := exec.CommandContext(s.t.Context(), "curl", "--silent", "--show-error", "--fail", "--path-as-is", "--globoff",
		"--aws-sigv4", "aws:amz:auto:s3", "--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD", "--request", method,
		"--user", s.env["AWS_ACCESS_KEY_ID"]+":"+s.env["AWS_SECRET_ACCESS_KEY"], u)
	if method == "PUT" {
		cmd.Args = append(cmd.Args, "--header", "Content-Type: image/png", "--data-binary", "@-")
		cmd.Stdin = strings.NewReader(string(body))
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("curl %s %s: %v\n%s", method, key, err, out)
	}
}

// standIn is our own bucket as one more server.
func standIn(t *testing.T) s3test.Server {
	t.Helper()
	return s3test.StandInListening(t, fixtures.NewBucket(fixtures.Options{}), false)
}

// The same faults, planted through plain S3 by another client, are found on every
// server; and Debian's rclone, which knows nothing of ledgers, sees the same.
func TestVerifyRealServers(t *testing.T) {
	t.Parallel()
	for name, launch := range map[string]func(*testing.T) s3test.Server{
		"versitygw": s3test.VersityGW, "miniflare": s3test.Miniflare, "stand-in": standIn,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := launch(t)
			s := newSite(t, server.Endpoint, fixtures.Mixed(300))
			s.env["S3_BUCKET"], s.env["S3_REGION"] = server.Bucket, server.Region
			s.env["AWS_ACCESS_KEY_ID"], s.env["AWS_SECRET_ACCESS_KEY"] = server.AccessKey, server.Secret
			s.must(exitOK, s.sync())
			n := int64(s.files.Moved.Files)
			for _, args := range [][]string{{}, {s.root}, {"--read"}, {"--sample", "20", "--headers", "20", s.root}} {
				out := s.verified(exitOK, args...)
				s.found(out, map[string]string{})
				if out.Same != n || out.HeldBack != int64(s.files.HeldBack.Files) {
					t.Errorf("%v: %+v", args, out)
				}
			}
			want := s.plantPlainly()
			out := s.verified(exitLeft, s.root)
			s.found(out, want)
			s.found(s.verified(exitLeft, s.root, "--read"), want)
			if name != "miniflare" { // it alters Accept-Encoding, which Debian's rclone signs
				s.rcloneAgrees(want)
			}
			// What is missing comes back; the rest is as it was.
			repaired := verified(t, exitLeft, s.run("verify", "--json", "--repair", "--replace-differing", s.root))
			if repaired.Repaired != 4 {
				t.Errorf("%+v", repaired)
			}
			maps.DeleteFunc(want, func(_, v string) bool { return v == "missing" || v == "differs" })
			s.found(s.verified(exitLeft, s.root, "--read"), want)
		})
	}
}

func (s *site) verified(code int, args ...string) verifyJSON {
	s.t.Helper()
	return verified(s.t, code, s.run(append([]string{"verify", "--json"}, args...)...))
}

// plantPlainly does what any client can do to a bucket, and what anybody can do to a
// disk. It returns what has to be found.
func (s *site) plantPlainly() map[string]string {
	s.t.Helper()
	const dir = "media_attachments/files/000/000/555/original/"
	body := func(name string) []byte { return []byte("\x89PNG\r\n\x1a\n of one size " + name) }
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		s.write(dir+name+".png", body(name))
	}
	s.must(exitOK, s.sync())
	s.curl("DELETE", dir+"a.png", nil)
	s.curl("PUT", dir+"b.png", body("c")) // a swapped pair
	s.curl("PUT", dir+"c.png", body("b"))
	s.curl("PUT", dir+"d.png", body("d")[:10])
	s.curl("PUT", dir+"nobody knows.png", []byte("?"))
	s.edit(dir + "e.png")
	s.remove(dir + "f.png")
	s.write(newFile, []byte("\x89PNG\r\n\x1a\n new"))
	return map[string]string{
		dir + "a.png": "missing", dir + "b.png": "differs", dir + "c.png": "differs", dir + "d.png": "differs",
		dir + "nobody knows.png": "extra", dir + "e.png": "changed_on_disk", dir + "f.png": "extra", newFile: "never_uploaded",
	}
}

// rcloneAgrees lets Debian's rclone download everything, and holds its verdict on
// every name against ours.
func (s *site) rcloneAgrees(found map[string]string) {
	s.t.Helper()
	want := make(map[string]string) // rclone's signs
	err := filepath.WalkDir(s.root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(s.root, path)
			want[media.Normal(rel)] = "="
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, k := range s.files.HeldBackKeys {
		want[media.Normal(string(k))] = "+" // on the disk only, as it should be
	}
	for _, k := range s.files.OutsideKeys {
		want[media.Normal(string(k))] = "+"
	}
	signs := map[string]string{"missing": "+", "never_uploaded": "+", "differs": "*", "changed_on_disk": "*", "extra": "-"}
	for key, verdict := range found {
		want[key] = signs[verdict]
	}
	cmd := exec.CommandContext(s.t.Context(), "rclone", "check", s.root, "r:"+s.env["S3_BUCKET"],
		"--download", "--combined", "-", "--config", "/dev/null", "--exclude", "/.mediamove/**", "--retries", "1")
	cmd.Env = append([]string{"HOME=" + s.t.TempDir(), "PATH=" + os.Getenv("PATH")},
		"RCLONE_CONFIG_R_TYPE=s3", "RCLONE_CONFIG_R_PROVIDER=Other", "RCLONE_CONFIG_R_ENV_AUTH=false",
		"RCLONE_CONFIG_R_ENDPOINT="+s.env["S3_ENDPOINT"], "RCLONE_CONFIG_R_REGION="+s.env["S3_REGION"],
		"RCLONE_CONFIG_R_ACCESS_KEY_ID="+s.env["AWS_ACCESS_KEY_ID"], "RCLONE_CONFIG_R_SECRET_ACCESS_KEY="+s.env["AWS_SECRET_ACCESS_KEY"])
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err == nil { // it ends with 1 if anything differs
		s.t.Errorf("rclone finds nothing: %s%s", out, &stderr)
	}
	got := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		sign, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if other, ok := got[media.Normal(name)]; ok {
			sign = fmt.Sprintf("%s and %s", other, sign)
		}
		got[media.Normal(name)] = sign
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("rclone check (-ours +its):\n%s%s", diff, &stderr)
	}
}
