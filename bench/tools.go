package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
)

// A tool is a program that `go install` builds.
type tool struct{ module, version string }

// The versions that the goals name.
func toolTable() map[string]tool {
	return map[string]tool{
		"rclone":    {"github.com/rclone/rclone", "v1.76.0"},
		"mc":        {"github.com/minio/mc", "v0.0.0-20250313080218-cf909e1063a9"},
		"versitygw": {"github.com/versity/versitygw/cmd/versitygw", "v1.8.0"},
	}
}

// tools builds programs the first time a measure asks for them.
type tools struct {
	dir       string // built peers by name and version
	mediamove string // path, once it is known
	work      string
}

// peer returns the path of a tool, building it if the cache lacks it.
func (t *tools) peer(ctx context.Context, name string) (string, error) {
	tool := toolTable()[name]
	kept := filepath.Join(t.dir, name+"-"+tool.version)
	_, err := os.Stat(kept)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return kept, err
	}
	fmt.Fprintln(os.Stderr, "bench: building", name, tool.version)
	gobin := filepath.Join(t.work, "gobin")
	cmd := exec.CommandContext(ctx, "go", "install", tool.module+"@"+tool.version)
	cmd.Env = append(os.Environ(), "GOBIN="+gobin, "GOFLAGS=-trimpath")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return kept, move(filepath.Join(gobin, path.Base(tool.module)), kept)
}

// move renames, or copies where the cache is another file system.
func move(from, to string) error {
	if err := os.Rename(from, to); err == nil {
		return nil
	}
	out, err := exec.Command("cp", from, to).CombinedOutput()
	if err != nil {
		return fmt.Errorf("move %s: %w: %s", from, err, out)
	}
	return nil
}

// ours returns the path of mediamove, built from the working tree unless a
// flag named a binary.
func (t *tools) ours(ctx context.Context) (string, error) {
	if t.mediamove != "" {
		return filepath.Abs(t.mediamove)
	}
	built := filepath.Join(t.work, "mediamove")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", built, "example.org/mediamove/cmd/mediamove")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build mediamove: %w\n%s", err, out)
	}
	t.mediamove = built
	return built, nil
}
