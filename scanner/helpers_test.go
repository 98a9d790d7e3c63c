package scanner_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"example.org/mediamove/scanner"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A plan maps paths to what is there: "" is an empty file, "-> x" a link to x,
// "dir", "fifo", "socket" and "device" are themselves, the rest is a file's
// content.
type plan map[string]string

// plant makes the plan true below root.
func plant(tb testing.TB, root string, p plan) {
	tb.Helper()
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if err := plantOne(filepath.Join(root, filepath.Dir(name)), filepath.Base(name), p[name]); err != nil {
			tb.Fatal(err)
		}
	}
}

func plantOne(dir, name, what string) error {
	full := dir + "/" + name
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if target, ok := strings.CutPrefix(what, "-> "); ok {
		return os.Symlink(target, full)
	}
	switch what {
	case "dir":
		return os.MkdirAll(full, 0o755)
	case "fifo":
		return unix.Mkfifo(full, 0o644)
	case "socket":
		return unix.Mknod(full, unix.S_IFSOCK|0o644, 0)
	case "device":
		return unix.Mknod(full, unix.S_IFCHR|0o644, int(unix.Mkdev(1, 5))) // /dev/zero
	}
	return os.WriteFile(full, []byte(what), 0o644)
}

// A variant is a way the kernel or the file system may be.
type variant struct {
	name string
	set  func(*scanner.Tree)
}

func variants() []variant {
	return []variant{
		{"openat2", func(*scanner.Tree) {}},
		{"stepwise", (*scanner.Tree).Stepwise},
		{"unknown types", func(t *scanner.Tree) { t.Getdents(scanner.HideTypes) }},
	}
}

func openTree(tb testing.TB, root string, o scanner.Options) *scanner.Tree {
	tb.Helper()
	tree, err := scanner.Open(root, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := tree.Close(); err != nil {
			tb.Error(err)
		}
	})
	return tree
}

// walk returns a line for each thing that Files yields: "file" or the kind of
// the problem, and the path.
func walk(ctx context.Context, tree *scanner.Tree) (lines []string, err error) {
	for f, err := range tree.Files(ctx) {
		what := "file"
		if p, ok := errors.AsType[*scanner.Problem](err); ok {
			what = p.Kind.String()
		} else if err != nil {
			return lines, err
		}
		lines = append(lines, what+" "+string(f.Key))
	}
	return lines, nil
}

func sortedWalk(tb testing.TB, tree *scanner.Tree) []string {
	tb.Helper()
	lines, err := walk(tb.Context(), tree)
	if err != nil {
		tb.Fatal(err)
	}
	slices.Sort(lines)
	return lines
}

// inChild runs the calling test again in a process with attr, and reports
// whether this is that process. In the parent the test is over.
func inChild(t *testing.T, attr *syscall.SysProcAttr) bool {
	t.Helper()
	const env = "SCANNER_TEST_CHILD"
	if os.Getenv(env) == t.Name() {
		return true
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.count=1", "-test.v")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), env+"="+t.Name())
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, unix.EPERM):
		t.Skipf("may not start a process like that here: %v", err)
	case err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()):
		t.Errorf("child: %v\n%s", err, out)
	}
	return false
}
