package verify

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// childDir makes this binary save in a folder, as another process would.
const childDir = "VERIFY_TEST_CERTIFICATE"

// inChild runs a test's own child, in a mount namespace if it is to mount.
func inChild(t *testing.T, mount bool) string {
	t.Helper()
	run := func(attr *syscall.SysProcAttr) (string, error) {
		c := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
		c.Env = append(os.Environ(), childDir+"="+t.TempDir())
		c.SysProcAttr = attr
		out, err := c.CombinedOutput()
		return string(out), err
	}
	if !mount {
		out, err := run(nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return out
	}
	out, err := run(&syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	})
	if errors.Is(err, unix.EPERM) && os.Getuid() == 0 { // no user namespaces here
		out, err = run(&syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS})
	}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) {
		t.Skipf("no mount namespaces here: %v", err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// On a disk that is really full: told, and nothing left on it.
func TestSaveCertificateDiskFull(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Parallel()
		if out := inChild(t, true); !strings.Contains(out, "full at 1") {
			t.Error(out)
		}
		return
	}
	if err := errors.Join(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m,mode=700")); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1e6, 100_000, 6_000} { // 1 MiB is some 5,500 objects
		c := toSave(exampleList())
		_, err := SaveCertificate(t.Context(), filepath.Join(dir, "x"), c, func(l *ListWriter) error { return synthetic(n, l.Add) })
		if left := folderFiles(t, dir); !errors.Is(err, unix.ENOSPC) || len(left) > 0 {
			t.Errorf("%v, left %v", err, slices.Collect(maps.Keys(left)))
		}
		t.Logf("full at %d", n)
	}
	if err := os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := SaveCertificate(t.Context(), filepath.Join(dir, "x"), toSave(exampleList()), adding(exampleList())); !errors.Is(err, unix.ENOSPC) || len(folderFiles(t, dir)) != 1 {
		t.Errorf("%v, %d files", err, len(folderFiles(t, dir)))
	}
}

// A careless umask neither opens the files nor locks their owner out.
func TestSaveCertificateUmask(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Parallel()
		if out := inChild(t, false); strings.Count(out, "-rw-------") != 4 {
			t.Error(out)
		}
		return
	}
	for _, mask := range []int{0, 0o777} {
		was := unix.Umask(mask)
		path := filepath.Join(dir, fmt.Sprintf("%o", mask))
		_, err := SaveCertificate(t.Context(), path, toSave(exampleList()), adding(exampleList()))
		unix.Umask(was)
		for _, name := range []string{path, path + ".sha256"} {
			info, statErr := os.Stat(name)
			if err != nil || statErr != nil {
				t.Fatal(err, statErr)
			}
			t.Log(info.Mode())
		}
	}
}
