package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// One binary has to run on any Linux host, so nothing may be loaded at run
// time. The Makefile alone knows the flags.
func TestBuildIsStatic(t *testing.T) {
	t.Parallel()
	bin := filepath.Join(t.TempDir(), "mediamove")
	build := exec.CommandContext(t.Context(), "make", "-C", "../..", "build", "BIN="+bin)
	build.Env = append(os.Environ(), "MAKEFLAGS=", "MAKELEVEL=") // not a part of the make that runs this test
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), "ldd", bin).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "not a dynamic executable") {
		t.Errorf("ldd: %v\n%s", err, out)
	}
	out, err = exec.CommandContext(t.Context(), bin, "--help").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "mediamove") {
		t.Errorf("--help: %v\n%s", err, out)
	}
}
