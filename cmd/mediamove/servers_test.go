package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/s3test"
	"example.org/mediamove/media"
)

// The built program against real servers; what arrived is read back by another
// client, rclone, and compared byte for byte.
func TestRealServers(t *testing.T) {
	t.Parallel()
	for name, launch := range map[string]func(*testing.T) s3test.Server{"versitygw": s3test.VersityGW, "miniflare": s3test.Miniflare} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := launch(t)
			spec := fixtures.Mixed(300)
			if name == "versitygw" {
				spec.Large = []int64{103 << 20} // Miniflare's parts go through one process's memory
			}
			s := newSite(t, server.Endpoint, spec)
			s.env["S3_BUCKET"], s.env["S3_REGION"] = server.Bucket, server.Region
			s.env["AWS_ACCESS_KEY_ID"], s.env["AWS_SECRET_ACCESS_KEY"] = server.AccessKey, server.Secret
			first := s.must(exitOK, s.sync())
			if first.Files.Moved != int64(s.files.Moved.Files) || !first.Complete {
				t.Fatalf("%+v, want %d moved", first, s.files.Moved.Files)
			}
			second := s.must(exitOK, s.sync())
			if second.ClassA != 0 || second.ClassB != 1 || second.Requests.Get(costs.GetObject) != 1 {
				t.Errorf("a run with nothing to do sent %+v", second.Requests)
			}
			if name == "miniflare" {
				// It alters Accept-Encoding, which Debian's rclone signs.
				s.curlCheck()
			} else {
				s.rcloneCheck()
			}
		})
	}
}

// rcloneCheck lets Debian's rclone download everything and compare it with the disk.
func (s *site) rcloneCheck() {
	s.t.Helper()
	exclude := s.t.TempDir() + "/exclude"
	lines := []string{"/.mediamove/**"}
	for _, k := range slices.Concat(s.files.HeldBackKeys, s.files.OutsideKeys) {
		lines = append(lines, "/"+globQuote(string(k)))
	}
	if err := os.WriteFile(exclude, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.CommandContext(s.t.Context(), "rclone", "check", s.root, "r:"+s.env["S3_BUCKET"],
		"--download", "--config", "/dev/null", "--exclude-from", exclude, "--links=false", "--retries", "1")
	cmd.Env = append([]string{"HOME=" + s.t.TempDir(), "PATH=" + os.Getenv("PATH")},
		"RCLONE_CONFIG_R_TYPE=s3", "RCLONE_CONFIG_R_PROVIDER=Other", "RCLONE_CONFIG_R_ENV_AUTH=false",
		"RCLONE_CONFIG_R_ENDPOINT="+s.env["S3_ENDPOINT"], "RCLONE_CONFIG_R_REGION="+s.env["S3_REGION"],
		"RCLONE_CONFIG_R_ACCESS_KEY_ID="+s.env["AWS_ACCESS_KEY_ID"], "RCLONE_CONFIG_R_SECRET_ACCESS_KEY="+s.env["AWS_SECRET_ACCESS_KEY"])
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "0 differences found") {
		s.t.Errorf("rclone check: %v\n%s", err, out)
	}
}

// curlCheck lets curl read every object back and compares it with the disk.
func (s *site) curlCheck() {
	s.t.Helper()
	dir := s.t.TempDir()
	var config strings.Builder
	local := s.sums()
	n := 0
	for key := range local {
		if slices.Contains(s.files.HeldBackKeys, media.Key(key)) || slices.Contains(s.files.OutsideKeys, media.Key(key)) {
			continue
		}
		n++
		u := s.env["S3_ENDPOINT"] + "/" + s.env["S3_BUCKET"] + (&url.URL{Path: "/" + key}).EscapedPath()
		fmt.Fprintf(&config, "url = %q\noutput = %q\n", u, filepath.Join(dir, fmt.Sprintf("%x", sha256.Sum256([]byte(key)))))
	}
	cmd := exec.CommandContext(s.t.Context(), "curl", "--silent", "--show-error", "--fail", "--path-as-is", "--globoff",
		"--aws-sigv4", "aws:amz:auto:s3", "--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD",
		"--user", s.env["AWS_ACCESS_KEY_ID"]+":"+s.env["AWS_SECRET_ACCESS_KEY"], "--config", "-")
	cmd.Stdin = strings.NewReader(config.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("curl: %v\n%s", err, out)
	}
	for key := range local {
		got, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%x", sha256.Sum256([]byte(key)))))
		if err != nil {
			continue // not among those that were asked for
		}
		n--
		if want, err := os.ReadFile(filepath.Join(s.root, key)); err != nil || !bytes.Equal(got, want) {
			s.t.Errorf("%s differs (%v)", key, err)
		}
	}
	if n != 0 {
		s.t.Errorf("%d objects were not read back", n)
	}
}

// globQuote takes the meaning from rclone's pattern characters.
func globQuote(s string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`, "{", `\{`, "}", `\}`).Replace(s)
}
