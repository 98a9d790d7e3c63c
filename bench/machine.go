package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// availableMemory returns the bytes that can be used without swapping.
func availableMemory() (int64, error) {
	v, err := field("/proc/meminfo", "MemAvailable")
	if err != nil {
		return 0, err
	}
	kb, err := strconv.ParseInt(strings.TrimSuffix(v, " kB"), 10, 64)
	return kb << 10, err
}

var errNoField = errors.New("no such field")

// field returns the value of the first "name : value" line of a /proc file.
func field(file, name string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, ok := strings.Cut(lines.Text(), ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value), nil
		}
	}
	return "", fmt.Errorf("%s: %s: %w", file, name, errNoField)
}

// machineLine says what the figures were measured on, as far as it matters.
func machineLine() string {
	cpu, err := field("/proc/cpuinfo", "model name")
	if err != nil {
		cpu = runtime.GOARCH
	}
	memory := "?"
	if v, err := field("/proc/meminfo", "MemTotal"); err == nil {
		memory = v
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		kernel = []byte("?")
	}
	return fmt.Sprintf("%d × %s, %s memory, Linux %s, %s",
		runtime.NumCPU(), cpu, memory, strings.TrimSpace(string(kernel)), runtime.Version())
}
