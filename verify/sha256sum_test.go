package verify

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/mediamove/media"
)

// oddNames are names that sha256sum, or a reader of lines, could take for
// something else. All of them can be keys.
func oddNames() []string {
	return []string{
		"# 12 d41d8cd98f00b204e9800998ecf8427e", "#", "-", "-c", "--help", "*", "**", " ", "  two", "trailing ", "\u00a0",
		`\`, `\\`, `a\nb`, `\\server\share`, `back\`, "(x) = 1", "SHA256 (a) = b", "a: OK", "%s", "$(reboot)", "`id`", "'\"",
		"~", "?[a-z]", "日本語/写真.png", "cafe\u0301.png", "caf\u00e9.png", "🎉", "\u202etxt.exe", "...", ".hidden", "a  b",
		strings.Repeat("0", 64) + "  x", strings.Repeat("deep/", 40) + "x", strings.Repeat("é", 120),
		"rewritten x", "absent", "12 abc adopted",
	}
}

// namesOnDisk writes one file per name, with content of its own.
func namesOnDisk(t *testing.T, names []string) (dir string, cs []Certified) {
	t.Helper()
	dir = t.TempDir()
	for i, name := range names {
		path, content := filepath.Join(dir, name), strconv.Itoa(i)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		cs = append(cs, certified(media.Key(name), content))
	}
	return dir, cs
}

// sha256sum checks a list in dir with the program that admins have.
func sha256sum(t *testing.T, dir string, list []byte) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(file, list, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sha256sum", "--strict", "--warn", "-c", file)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C")
	cmd.Stdin = strings.NewReader("not the file called -")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestCertListBySha256sum(t *testing.T) {
	t.Parallel()
	names := oddNames()
	dir, cs := namesOnDisk(t, names)
	list := written(t, append(cs, Certified{Key: `zz\absent`, Except: ExceptAbsent}, Certified{Key: "# 1 rewritten", Except: ExceptRewritten}))
	out, err := sha256sum(t, dir, list)
	if n := strings.Count(out, ": OK\n"); err != nil || n != len(names) {
		t.Fatalf("%d of %d are OK: %v\n%s\n%s", n, len(names), err, out, list)
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		was, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(was, '!'), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := sha256sum(t, dir, list)
		if err == nil || strings.Count(out, ": FAILED\n") != 1 || strings.Count(out, ": OK\n") != len(names)-1 {
			t.Errorf("%q changed: %v\n%s", name, err, out)
		}
		if err := os.WriteFile(path, was, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// What sha256sum itself prints is what stands in the list.
func TestCertListAsSha256sumPrints(t *testing.T) {
	t.Parallel()
	names := slices.DeleteFunc(oddNames(), func(s string) bool { return s == "-" })
	dir, cs := namesOnDisk(t, names)
	slices.Sort(names)
	cmd := exec.CommandContext(t.Context(), "sha256sum", append([]string{"--"}, names...)...)
	cmd.Dir = dir
	want, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(written(t, cs))) {
		if !strings.HasPrefix(line, "#") {
			got = append(got, line)
		}
	}
	if d := cmp.Diff(slices.Collect(strings.Lines(string(want))), got); d != "" {
		t.Errorf("(-sha256sum +list)\n%s", d)
	}
}
