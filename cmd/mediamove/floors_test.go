package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "example.org/mediamove/"

// floors lists the rooms from the ground up. A room may import only what is on
// floors below its own. Inner packages belong to their room and may know each
// other as far as Go allows. Tests may import anything.
var floors = [][]string{
	{"media", "costs"},
	{"scanner", "r2", "ledger", "mastodon", "cloudflare"},
	{"uploader", "owner", "verify", "cleanup", "billing"},
	{"fixtures"},
	{"cmd/mediamove", "bench"},
}

// place returns a package's room and its floor, -1 for none.
func place(pkg string) (room string, floor int) {
	for floor, rooms := range floors {
		for _, room := range rooms {
			if pkg == module+room || strings.HasPrefix(pkg, module+room+"/") {
				return room, floor
			}
		}
	}
	return "", -1
}

// mayImport reports whether the arrow from one package of ours to another
// points down, or stays in its room.
func mayImport(from, to string) bool {
	fromRoom, fromFloor := place(from)
	toRoom, toFloor := place(to)
	return toFloor >= 0 && (toFloor < fromFloor || toRoom == fromRoom)
}

type listed struct {
	ImportPath string
	Imports    []string
	Error      *struct{ Err string }
}

// list asks the go command about packages, one answer at a time.
func list(t *testing.T, args ...string) []listed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"list", "-e", "-json=ImportPath,Imports,Error"}, args...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	var pkgs []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

func TestFloors(t *testing.T) {
	t.Parallel()
	pkgs := list(t, module+"...")
	if len(pkgs) < 5 {
		t.Fatalf("go list found only %v", pkgs)
	}
	for _, p := range pkgs {
		if p.Error != nil {
			t.Errorf("%s: %s", p.ImportPath, p.Error.Err)
		}
		_, floor := place(p.ImportPath)
		if floor < 0 {
			t.Errorf("%s stands on no floor", p.ImportPath)
		}
		for _, imp := range p.Imports {
			if strings.HasPrefix(imp, module) && !mayImport(p.ImportPath, imp) {
				_, other := place(imp)
				t.Errorf("%s (floor %d) imports %s (floor %d)", p.ImportPath, floor, imp, other)
			}
		}
	}
}

func TestMayImport(t *testing.T) {
	t.Parallel()
	tests := []struct {
		from, to string
		want     bool
	}{
		{"uploader", "media", true},
		{"cmd/mediamove", "fixtures", true},
		{"bench", "fixtures", true},
		{"bench", "bench/sink", true},
		{"bench/sink", "media", true},
		{"r2", "costs", true},
		{"media", "costs", false},    // sideways
		{"uploader", "owner", false}, // sideways
		{"media", "scanner", false},  // up
		{"r2", "fixtures", false},    // up
		{"bench/sink", "bench/tree", true},
		{"fixtures/s3test", "fixtures", true},
		{"cmd/mediamove", "bench", false},  // sideways
		{"uploader", "util", false},        // on no floor
		{"cmd/mediamove", "r2test", false}, // a prefix of a name is not a room
	}
	for _, tt := range tests {
		if got := mayImport(module+tt.from, module+tt.to); got != tt.want {
			t.Errorf("%s imports %s: %t, want %t", tt.from, tt.to, got, tt.want)
		}
	}
}

// What is linked into the program is what an admin trusts with the media:
// nothing that only tests need, the fixtures of the demo included.
func TestProgramLinksNoTestLibraries(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, "-deps", module+"cmd/mediamove") {
		switch p.ImportPath {
		case "testing", "net/http/httptest", "pgregory.net/rapid", "go.uber.org/goleak", "github.com/google/go-cmp/cmp", "github.com/spf13/cobra/doc":
			t.Errorf("the program links %s", p.ImportPath)
		}
	}
}
