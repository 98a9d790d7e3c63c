package scanner_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.org/mediamove/scanner"
)

// BenchmarkWalk walks generated trees in memory, and lets find do the same, so
// that the ratio is of one machine in one hour. For a tree on a disk, name it:
// SCANNER_TREE=/var/lib/mastodon/public/system. With SCANNER_COLD=1, and as
// root, the kernel forgets the tree before every walk (n=1 is enough then).
func BenchmarkWalk(b *testing.B) {
	for _, files := range []int{10_000, 100_000, 300_000} {
		b.Run(fmt.Sprintf("files=%d", files), func(b *testing.B) {
			root := os.Getenv("SCANNER_TREE")
			if root == "" {
				root = fastDir(b)
				genTree(b, root, files)
			}
			b.Run("find", func(b *testing.B) { benchFind(b, root) })
			for _, workers := range []int{1, 2, 4, 16, 32, 64} {
				b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) { benchWalk(b, root, workers) })
			}
		})
	}
}

func benchWalk(b *testing.B, root string, workers int) {
	tree, err := scanner.Open(root, scanner.Options{Workers: workers})
	if err != nil {
		b.Fatal(err)
	}
	defer tree.Close()
	b.ReportAllocs()
	before, n := cpuTime(b, unix.RUSAGE_SELF), 0
	for b.Loop() {
		dropCaches(b)
		for _, err := range tree.Files(b.Context()) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
	b.ReportMetric(float64(cpuTime(b, unix.RUSAGE_SELF)-before)/float64(b.N)/1e6, "cpu-ms/op")
	b.ReportMetric(float64(n)/float64(b.N), "files")
}

func benchFind(b *testing.B, root string) {
	before := cpuTime(b, unix.RUSAGE_CHILDREN)
	for b.Loop() {
		dropCaches(b)
		cmd := exec.Command("find", root, "-type", "f", "-printf", `%s %T@ %p\n`) // to /dev/null
		if err := cmd.Run(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpuTime(b, unix.RUSAGE_CHILDREN)-before)/float64(b.N)/1e6, "cpu-ms/op")
}

func dropCaches(b *testing.B) {
	if os.Getenv("SCANNER_COLD") == "" {
		return
	}
	b.StopTimer()
	unix.Sync()
	if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
		b.Fatal(err)
	}
	b.StartTimer()
}

func cpuTime(b *testing.B, who int) time.Duration {
	var ru unix.Rusage
	if err := unix.Getrusage(who, &ru); err != nil {
		b.Fatal(err)
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}
