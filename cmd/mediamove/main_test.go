package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"example.org/mediamove/fixtures/pgtest"
)

func TestMain(m *testing.M) {
	testscript.Main(leakFree{databases.Around(m)}, map[string]func(){"mediamove": main, "mediamove-impatient": impatient})
}

// databases is the PostgreSQL that tests share, started by the first that needs it.
var databases = pgtest.NewShared(pgtest.TCP())

// leakFree tests leave no goroutine behind.
type leakFree struct{ pgtest.Main }

func (m leakFree) Run() int {
	code := m.Main.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// The real main in small scripts: what an admin types first, and types wrong.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       *update,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": code, "oneline": oneline,
		},
	})
}

// code NUMBER COMMAND… expects an exact exit status.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code STATUS COMMAND [ARG…]")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := err.(interface{ ExitCode() int })
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit status %d, want %s", got, args[0])
	}
}

// oneline expects on stderr one line that says what is wrong, one hint, and
// nothing else.
func oneline(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: oneline")
	}
	var wrong, hints int
	stderr := ts.ReadFile("stderr")
	for line := range strings.Lines(stderr) {
		switch {
		case strings.HasPrefix(line, "mediamove: "):
			wrong++
		case strings.HasPrefix(line, "  hint: "):
			hints++
		default:
			ts.Fatalf("an odd line on stderr: %q", line)
		}
	}
	if wrong != 1 || hints != 1 {
		ts.Fatalf("want one line and one hint, got:\n%s", stderr)
	}
}
