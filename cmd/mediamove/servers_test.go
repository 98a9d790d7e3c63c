package main

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/s3test"
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
			s.rcloneCheck()
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

// globQuote takes the meaning from rclone's pattern characters.
func globQuote(s string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`, "{", `\{`, "}", `\}`).Replace(s)
}
