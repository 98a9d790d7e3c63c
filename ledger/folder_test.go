package ledger

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLocked: a second process is refused at once and told who holds it; a
// reader isn't; and the lock dies with its process.
func TestLocked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := child(t, "hold", dir)
	stdin, err := c.StdinPipe()
	must(t, err)
	stdout, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), dir, Options{})
	wantIs(t, err, ErrLocked)
	if want := fmt.Sprintf("(process %d)", c.Process.Pid); !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	equal(t, rows(t, mustOpenReader(t, dir)), 1)
	must(t, c.Process.Kill())
	_ = c.Wait()
	_ = stdin.Close()
	equal(t, rows(t, mustOpenReader(t, dir)), 1) // its WAL is still there
	equal(t, rows(t, mustOpen(t, dir)), 1)
}

// holdLock is the first process.
func holdLock() error {
	ctx, l, err := openChild()
	if err != nil {
		return err
	}
	if err := errors.Join(l.Store(ctx, sample(0)), l.Flush(ctx)); err != nil {
		return err
	}
	fmt.Println("open")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func TestLockedTwiceInOneProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustOpen(t, dir)
	_, err := Open(t.Context(), dir, Options{})
	wantIs(t, err, ErrLocked)
}

func TestModes(t *testing.T) {
	t.Parallel()
	for _, umask := range []string{"0", "022", "077", "0777"} {
		t.Run("umask "+umask, func(t *testing.T) {
			t.Parallel()
			c := child(t, "modes", filepath.Join(t.TempDir(), "state"), "UMASK="+umask)
			out, err := c.Output()
			must(t, err)
			equal(t, string(out), "state 700\nledger.db 600\nledger.db-shm 600\nledger.db-wal 600\nlock 600\n")
		})
	}
}

// printModes lists the folder while the ledger is open. The umask belongs to
// a whole process.
func printModes() error {
	var umask int
	if _, err := fmt.Sscanf(os.Getenv("UMASK"), "%o", &umask); err != nil {
		return err
	}
	syscall.Umask(umask)
	ctx, l, err := openChild()
	if err != nil {
		return err
	}
	if err := errors.Join(l.Store(ctx, sample(0)), l.Flush(ctx)); err != nil {
		return err
	}
	names, err := filepath.Glob(os.Getenv("DIR") + "/*")
	if err != nil {
		return err
	}
	for _, name := range append([]string{os.Getenv("DIR")}, names...) {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		fmt.Printf("%s %o\n", info.Name(), info.Mode().Perm())
	}
	return l.Close()
}

// TestCloseTidies: the WAL is moved into the ledger, and nothing is kept open.
func TestCloseTidies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	storeSamples(t, l, 0, 10)
	for range l.Pending(t.Context(), samples(0, 20)) {
		break
	}
	mustClose(t, l)
	names, err := filepath.Glob(dir + "/*")
	must(t, err)
	equal(t, names, []string{dir + "/ledger.db", dir + "/lock"})
	open, err := filepath.Glob("/proc/self/fd/*")
	must(t, err)
	for _, fd := range open {
		if name, err := os.Readlink(fd); err == nil && strings.HasPrefix(name, dir) {
			t.Errorf("%s is still open", name)
		}
	}
}

// TestOpenFolderIsWarnedAbout: it isn't ours to close, but the ledger is.
func TestOpenFolderIsWarnedAbout(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustClose(t, mustOpen(t, dir))
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Chmod(filepath.Join(dir, "ledger.db"), 0o644))
	var log bytes.Buffer
	l, err := Open(t.Context(), dir, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	must(t, err)
	mustClose(t, l)
	if !strings.Contains(log.String(), "chmod 700") {
		t.Errorf("no warning: %s", &log)
	}
	for name, want := range map[string]os.FileMode{".": 0o755, "ledger.db": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		equal(t, info.Mode().Perm(), want)
	}
}

func TestLedgerIsAFile(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]func(string) error{
		"link":   func(name string) error { return os.Symlink("/etc/passwd", name) },
		"folder": func(name string) error { return os.Mkdir(name, 0o700) },
		"fifo":   func(name string) error { return unix.Mkfifo(name, 0o600) },
	} {
		dir := t.TempDir()
		must(t, plant(filepath.Join(dir, "ledger.db")))
		if _, err := Open(t.Context(), dir, Options{}); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestUnsafeFS(t *testing.T) {
	t.Parallel()
	for magic, want := range map[uint32]string{
		0x6969: "NFS", 0xff534d42: "CIFS", 0xfe534d42: "SMB", 0x517b: "SMB", 0x01021997: "9P",
		0x5346414f: "AFS", 0x6b414653: "AFS", 0x00c36400: "CephFS", 0x73757245: "Coda", 0x65735546: "FUSE",
		0x7461636f: "OCFS2", 0x01161970: "GFS2", 0x0bd00bd0: "Lustre", 0x564c: "NCP",
		0xef53: "", 0x58465342: "", 0x9123683e: "", 0x01021994: "", 0x2fc12fc1: "", 0x794c7630: "", // ext4 xfs btrfs tmpfs zfs overlay
	} {
		l, err := Open(t.Context(), t.TempDir(), Options{statfs: func(string) (uint32, error) { return magic, nil }})
		if err == nil {
			mustClose(t, l)
		}
		e, _ := errors.AsType[*UnsafeFSError](err)
		switch {
		case want == "" && err != nil:
			t.Errorf("%#x: %v", magic, err)
		case want != "" && (e == nil || e.Type != want):
			t.Errorf("%#x: got %v, want %s", magic, err, want)
		}
	}
	_, err := Open(t.Context(), t.TempDir(), Options{statfs: func(string) (uint32, error) { return 0, io.EOF }})
	wantIs(t, err, io.EOF)
}

// mounted runs a child in a mount namespace of its own, where it may mount
// what it likes, root or not.
func mounted(t *testing.T, name string) string {
	t.Helper()
	c := child(t, name, t.TempDir())
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := c.Output()
	if errors.Is(err, unix.EPERM) && os.Getuid() == 0 { // no user namespaces here
		c = child(t, name, t.TempDir())
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		out, err = c.Output()
	}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) {
		t.Skipf("no mount namespaces here: %v", err)
	}
	must(t, err)
	return string(out)
}

func mountTmpfs(flags uintptr, options string) error {
	return errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("tmpfs", os.Getenv("DIR"), "tmpfs", flags, options),
	)
}

// TestDiskFull on a real full disk: recognised, and nothing flushed is lost.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	equal(t, mounted(t, "full"), "full\nwhole\n")
}

func fillDisk() error {
	if err := mountTmpfs(0, "size=1m,mode=700"); err != nil {
		return err
	}
	ctx, l, err := openChild()
	if err != nil {
		return err
	}
	flushed, n := 0, 0
	for ; err == nil && n < 100_000; n++ {
		if err = l.Store(ctx, sample(n)); err == nil && n%500 == 499 {
			if err = l.Flush(ctx); err == nil {
				flushed = n + 1
			}
		}
	}
	if !errors.Is(err, ErrFull) || !errors.Is(l.Close(), ErrFull) {
		return fmt.Errorf("after %d rows: %w", n, err)
	}
	fmt.Println("full")
	if _, l, err := openChild(); err == nil { // closing may have emptied the WAL
		if err := l.Close(); err != nil && !errors.Is(err, ErrFull) {
			return fmt.Errorf("close on a full disk: %w", err)
		}
	} else if !errors.Is(err, ErrFull) {
		return fmt.Errorf("open on a full disk: %w", err)
	}
	if err := unix.Mount("", os.Getenv("DIR"), "", unix.MS_REMOUNT, "size=8m"); err != nil {
		return err
	}
	return printWhole(flushed)
}

// printWhole checks that the rows up to flushed are there.
func printWhole(flushed int) error {
	ctx, l, err := openChild()
	if err != nil {
		return err
	}
	if _, err := verifyPrefix(ctx, l, flushed); err != nil {
		return err
	}
	fmt.Println("whole")
	return l.Close()
}

// TestReadOnlyFolder is one clear line for a writer, made before SQLite says
// its own, and nothing to a reader, be there a writer elsewhere or not.
func TestReadOnlyFolder(t *testing.T) {
	t.Parallel()
	equal(t, mounted(t, "ro"), "lock state folder (it must be writable): open DIR/lock: read-only file system\n"+
		"read while written: <nil>\nread after: <nil>\n")
}

func openReadOnlyFolder() error {
	dir := os.Getenv("DIR")
	if err := mountTmpfs(0, ""); err != nil {
		return err
	}
	writable, readOnly := dir+"/rw", dir+"/ro"
	ctx := context.Background()
	l, err := Open(ctx, writable, Options{})
	if err != nil {
		return err
	}
	if err := errors.Join(l.Store(ctx, sample(0)), l.Flush(ctx),
		os.Mkdir(readOnly, 0o700),
		unix.Mount(writable, readOnly, "", unix.MS_BIND, ""),
		unix.Mount("", readOnly, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""),
	); err != nil {
		return err
	}
	if _, err = Open(ctx, readOnly, Options{}); err == nil {
		return errors.New("opened")
	}
	fmt.Println(strings.ReplaceAll(err.Error(), readOnly, "DIR"))
	fmt.Println("read while written:", readSample(readOnly))
	if err := l.Close(); err != nil {
		return err
	}
	fmt.Println("read after:", readSample(readOnly))
	return nil
}

func readSample(dir string) error {
	ctx := context.Background()
	l, err := OpenReader(ctx, dir)
	if err != nil {
		return err
	}
	_, err = verifyPrefix(ctx, l, 1)
	return errors.Join(err, l.Close())
}
