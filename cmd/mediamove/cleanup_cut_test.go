package main

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/pgtest"
)

// A severed connection to a database server: after so many bytes of answers all of its
// connections break, and no new one lives.
type severed struct {
	listener net.Listener
	server   string
	left     atomic.Int64
	passed   atomic.Int64
	wg       sync.WaitGroup
}

func sever(t *testing.T, server string, after int64) *severed {
	t.Helper()
	s := &severed{server: server}
	s.left.Store(after)
	var err error
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s.wg.Go(s.accept)
	t.Cleanup(func() { _ = s.listener.Close(); s.wg.Wait() })
	return s
}

func (s *severed) accept() {
	for {
		client, err := s.listener.Accept()
		if err != nil {
			return
		}
		if s.left.Load() <= 0 {
			_ = client.Close()
			continue
		}
		s.wg.Go(func() { s.serve(client) })
	}
}

func (s *severed) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", s.server)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	s.wg.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	buf := make([]byte, 4096)
	for {
		n, err := server.Read(buf)
		left := s.left.Add(-int64(n)) + int64(n)
		n = int(min(int64(n), max(left, 0)))
		s.passed.Add(int64(n))
		if _, writeErr := client.Write(buf[:n]); writeErr != nil || err != nil || left <= int64(n) {
			return
		}
	}
}

// through points the settings at it, as TCP and with a password.
func (s *severed) through(l *living) []string {
	host, port, _ := net.SplitHostPort(s.listener.Addr().String())
	return l.but("DB_HOST="+host, "DB_PORT="+port, "DB_PASS="+pgtest.Password)
}

// runIn runs a command with another state folder and environment; several may at once.
func (l *living) runIn(t *testing.T, state string, environ []string, args ...string) result {
	var stdout, stderr syncBuffer
	w := &world{
		args: append(args, "--state", state), stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, environ: environ,
		width: 80, transport: l.bucket.Transport(), machineID: l.machine,
	}
	return result{run(t.Context(), w), stdout.String(), stderr.String()}
}

// However little or much of the rows comes before the connection breaks for good, what did
// not come is never taken for what is not there.
func TestHalfRead(t *testing.T) {
	t.Parallel()
	l := newBound(t, databases.Cluster(t), 12, fixtures.Options{})
	addr := databases.Cluster(t).Addr(t)
	whole := sever(t, addr, 1<<40)
	if r := l.runIn(t, l.copyState(), whole.through(l), "orphans"); r.code != exitOK || !strings.Contains(r.stdout, "all 10 let it pass") {
		t.Fatal(r)
	}
	total := whole.passed.Load()
	if total < 50_000 {
		t.Fatalf("only %d bytes came through", total)
	}
	var wg sync.WaitGroup
	l.unchanged("half read", func() {
		for i := range int64(40) {
			n := 1 + i*(total*9/10)/39 // connections that were tried and not used vary
			wg.Go(func() {
				cut := sever(t, addr, n)
				r := l.runIn(t, l.copyState(), cut.through(l), "orphans", "--apply")
				// The rows were not read: a refusal. Not even opened: settings, or run again.
				opened := strings.Contains(r.stderr, `guard "whole": the rows could not be read`)
				if r.code == exitOK || opened != (r.code == exitRefused) || !strings.Contains(r.stderr, "hint: ") || strings.Contains(r.stdout, "removed ") {
					t.Errorf("after %d of %d bytes: %v", n, total, r)
				}
			})
		}
		wg.Wait()
	})
	l.well("broken connections", len(l.removable()))
	l.removes(l.removable())
}

// The database goes away between the scan and the last look: the run ends with what it
// did journalled, and nothing that is owned is gone.
func TestCutWhileRemoving(t *testing.T) {
	t.Parallel()
	l := newBound(t, databases.Cluster(t), 13, fixtures.Options{})
	addr := databases.Cluster(t).Addr(t)
	for _, more := range []int64{0, 60, 700} {
		cut := sever(t, addr, 1<<40)
		l.bucket.SetFault(func(r fixtures.Request) fixtures.Fault {
			if r.Op == costs.GetObject && !strings.HasPrefix(r.Key, ".mediamove/") { // the first copies: the scan is over
				cut.left.CompareAndSwap(1<<40-cut.passed.Load(), more)
			}
			return fixtures.Fault{}
		})
		r := l.runIn(t, l.state, cut.through(l), "orphans", "--apply")
		if r.code != exitStopped || !strings.Contains(r.stderr, "look again before deleting") || strings.Contains(r.stderr, pgtest.Password) {
			t.Errorf("cut %d bytes after the scan: %v", more, r)
		}
		l.owned()
		journal := l.clean("journal", "--only", "intent")
		if journal.stdout != "" {
			t.Errorf("outcomes are open: %v", journal)
		}
		l.alive()
	}
	l.bucket.SetFault(nil)
	before := len(l.stands())
	out := l.orphan(exitOK, "--apply")
	if gone := before - len(l.stands()); int64(gone) != out.Removed.Objects || out.Orphan.Objects != out.Removed.Objects {
		t.Errorf("%d gone, %+v", gone, out)
	}
	l.owned()
}

// Wrong passwords are told as such, and told to nobody.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	l := newBound(t, databases.Cluster(t), 14, fixtures.Options{})
	host, port, _ := net.SplitHostPort(databases.Cluster(t).Addr(t))
	const canary = "s3cret-canary/of:the@database"
	for name, env := range map[string][]string{
		"DB_PASS":      {"DB_HOST=" + host, "DB_PORT=" + port, "DB_PASS=" + canary},
		"DATABASE_URL": {"DATABASE_URL=postgres://mastodon:" + strings.NewReplacer("/", "%2F", ":", "%3A", "@", "%40").Replace(canary) + "@" + host + ":" + port + "/" + l.db.Name},
		"odd URL":      {"DATABASE_URL=postgres://mastodon:" + canary + "@" + host + ":" + port + "/" + l.db.Name},
	} {
		for _, command := range []string{"orphans", "bind"} {
			args := []string{command, "--verbose"}
			if command == "orphans" {
				args = append(args, "--apply")
			}
			l.unchanged(name, func() {
				r := l.runIn(t, l.state, l.but(env...), args...)
				if r.code != exitUsage || !strings.Contains(r.stderr, "hint: ") || strings.Contains(r.String(), "canary") {
					t.Errorf("%s, %s: %v", name, command, r)
				}
			})
		}
	}
	if name := holds(t, l.state, "canary"); name != "" {
		t.Errorf("%s has the password in it", name)
	}
	var used bytes.Buffer
	for _, o := range l.bucket.Objects() {
		body, _ := l.bucket.Body(o.Key)
		used.Write(body)
	}
	if strings.Contains(used.String(), "canary") {
		t.Error("the bucket has the password in it")
	}
	l.removes(l.removable())
}

// The same database is the same one by every way that Mastodon would reach it.
func TestWaysToTheDatabase(t *testing.T) {
	t.Parallel()
	l := newBound(t, databases.Cluster(t), 15, fixtures.Options{})
	host, port, _ := net.SplitHostPort(databases.Cluster(t).Addr(t))
	l.with(func() {
		l.set("DATABASE_URL", "postgresql://mastodon:"+pgtest.Password+"@"+host+":"+port+"/"+l.db.Name+"?sslmode=disable")
		for _, name := range []string{"DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASS"} {
			l.set(name, "nonsense") // DATABASE_URL wins
		}
		l.set("DB_PORT", "5432")
	}, func() { l.well("DATABASE_URL", len(l.removable())) })
	l.with(func() { l.use(databases.Cluster(t).Bouncer(t, l.db)) }, func() {
		l.well("pgbouncer", len(l.removable()))
		l.removes(l.removable())
	})
}
