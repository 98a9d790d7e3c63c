package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/media"
)

// A moment is when a process is killed: at the nth request of a kind.
type moment struct {
	name  string
	match func(r fixtures.Request) bool
	most  int // the nth is drawn up to here
}

// moments are the steps of a cleanup as the bucket sees them. What lies between them, the
// ledger's commits and the questions to the database, is hit by delays.
var moments = []moment{
	{"mark read", func(r fixtures.Request) bool { return r.Op == costs.GetObject && media.Key(r.Key).Reserved() }, 3},
	{"listing", func(r fixtures.Request) bool { return r.Op == costs.ListObjects }, 1},
	{"copy", func(r fixtures.Request) bool { return r.Op == costs.GetObject && !media.Key(r.Key).Reserved() }, 25},
	{"mark written", func(r fixtures.Request) bool { return r.Op == costs.PutObject && media.Key(r.Key).Reserved() }, 1},
	{"one deleted", func(r fixtures.Request) bool { return r.Op == costs.DeleteObject }, 10},
	{"batch deleted", func(r fixtures.Request) bool { return r.Op == costs.DeleteObjects }, 1},
	{"look", func(r fixtures.Request) bool { return r.Op == costs.HeadObject }, 20},
	{"put back", func(r fixtures.Request) bool { return r.Op == costs.PutObject && !media.Key(r.Key).Reserved() }, 12},
}

// whens are the places about a request at which the process dies.
var whens = []string{"before it takes effect", "while it takes effect", "before its answer", "shortly after its answer"}

// A slayer kills a process at its moment. It also sees every deletion.
type slayer struct {
	mu      sync.Mutex
	process *os.Process // nil: nobody is to die
	moment  moment
	left    int // requests of that kind before it
	when    int
	signal  syscall.Signal
	delay   time.Duration
	deleted func(key string) // told before each

	open  int // connections
	quiet *sync.Cond
}

func newSlayer(deleted func(key string)) *slayer {
	s := &slayer{deleted: deleted, signal: syscall.SIGKILL}
	s.quiet = sync.NewCond(&s.mu)
	return s
}

// aim chooses when the next process dies.
func (s *slayer) aim(dice *rand.Rand, m moment, when int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moment, s.when, s.left = m, when, dice.IntN(m.most)
	s.delay = time.Duration(dice.IntN(12_000)) * time.Microsecond
}

func (s *slayer) spare() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process = nil
}

// request sees every request before it is served.
func (s *slayer) request(r fixtures.Request) fixtures.Fault {
	f := fixtures.Fault{Keys: func(key string) fixtures.KeyFault {
		s.deleted(key)
		return fixtures.KeyFault{}
	}}
	process, when := s.chosen(r)
	kill := func() { _ = process.Signal(s.signal) }
	switch {
	case process == nil:
	case when == 0:
		kill()
		return fixtures.Fault{CutBefore: true}
	case when == 1:
		kill()
	case when == 2:
		f.Edit = func(*fixtures.Answer) { kill() }
	default:
		f.Edit = func(*fixtures.Answer) { time.AfterFunc(s.delay, kill) }
	}
	if r.Op == costs.DeleteObject {
		s.deleted(r.Key)
	}
	return f
}

// chosen returns whom to kill because of r, if anybody.
func (s *slayer) chosen(r fixtures.Request) (*os.Process, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil || !s.moment.match(r) {
		return nil, 0
	}
	if s.left--; s.left >= 0 {
		return nil, 0
	}
	p := s.process
	s.process = nil
	return p, s.when
}

// listen serves the bucket, and knows when all that the dead have sent was served.
func (s *slayer) listen(t *testing.T, b *fixtures.Bucket) (url string) {
	t.Helper()
	socket, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: b, ReadHeaderTimeout: time.Minute, ConnState: func(_ net.Conn, to http.ConnState) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch to {
		case http.StateNew:
			s.open++
		case http.StateClosed:
			s.open--
			s.quiet.Broadcast()
		}
	}}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(socket) })
	t.Cleanup(func() {
		_ = server.Close()
		serving.Wait()
	})
	return "http://" + socket.Addr().String()
}

// settled waits until nothing of a dead process is under way.
func (s *slayer) settled() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.open > 0 {
		s.quiet.Wait()
	}
}

// quick moves the state folder to memory: no power fails here, and every step of a
// cleanup waits for the disk.
func (l *living) quick() {
	l.t.Helper()
	dir := fmt.Sprintf("/dev/shm/mediamove-%d-%d", os.Getpid(), time.Now().UnixNano()) // t.TempDir is on the disk
	if err := os.Mkdir(dir, 0o700); err != nil {
		return
	}
	l.t.Cleanup(func() { os.RemoveAll(dir) })
	state := filepath.Join(dir, "state")
	if err := errors.Join(os.CopyFS(state, os.DirFS(l.state)), os.Chmod(state, 0o700)); err != nil {
		l.t.Fatal(err)
	}
	l.state = state
}

// command is the built program as this instance's admin starts it.
func (l *living) command(ctx context.Context, args ...string) (*exec.Cmd, *bytes.Buffer, *bytes.Buffer) {
	l.t.Helper()
	cmd := exec.CommandContext(ctx, program(l.t), append(args, "--state", l.state)...)
	cmd.Env = append(append(cmd.Env, l.env...), "PATH="+os.Getenv("PATH"), "HOME="+l.t.TempDir())
	cmd.Stdin = strings.NewReader("example.com\n")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	return cmd, &stdout, &stderr
}

// run runs a command until it ends or is killed. Without mortal it is spared.
func (s *slayer) run(l *living, mortal bool, args ...string) (r result, dead bool) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
	defer cancel()
	cmd, stdout, stderr := l.command(ctx, args...)
	s.mu.Lock()
	err := cmd.Start() // no request comes before its process is known
	if s.process = nil; mortal {
		s.process = cmd.Process
	}
	s.mu.Unlock()
	if err == nil {
		err = cmd.Wait()
	}
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited || ctx.Err() != nil {
		l.t.Fatalf("mediamove %v: %v\n%s", args, err, stderr)
	}
	s.spare()
	s.settled()
	r = result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	return r, cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled()
}

func (m moment) at(when int) string { return fmt.Sprintf("%s, %s", m.name, whens[when]) }
