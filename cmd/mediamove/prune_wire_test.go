package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/pgtest"
)

// impatient is the program, but for one thing: instead of waiting it asks the test to put
// the bucket's clock forward.
func impatient() {
	w := system()
	w.sleep = func(ctx context.Context, d time.Duration) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, os.Getenv("TEST_CLOCK")+"?d="+url.QueryEscape(d.String()), nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		return answer.Body.Close()
	}
	os.Exit(run(context.Background(), w))
}

// Between the moments of the bucket there are those of the database and of the wait. They
// are told by what the program sends.
func wireMoment(what string, most int) moment {
	return moment{what, func(r fixtures.Request) bool { return r.Key == "wire: "+what }, most}
}

var wireMoments = []moment{
	wireMoment("snapshot", 1), wireMoment("UPDATE", 1), wireMoment("COMMIT", 1), wireMoment("touched", 1), wireMoment("wait", 8),
}

// A wire is a connection to the database server on which the process dies.
type wire struct {
	s      *slayer
	socket net.Listener
	server string
	wg     sync.WaitGroup
}

// connect makes a way to the database server and to the clock, and returns their settings.
func (s *slayer) connect(t *testing.T, l *living) []string {
	t.Helper()
	w := &wire{s: s, server: databases.Cluster(t).Addr(t)}
	var err error
	if w.socket, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	w.wg.Go(func() {
		for {
			client, err := w.socket.Accept()
			if err != nil {
				return
			}
			w.wg.Go(func() { w.serve(client) })
		}
	})
	clock, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		d, _ := time.ParseDuration(r.FormValue("d"))
		s.strike("wait", func() { l.later(d) })
	})}
	w.wg.Go(func() { _ = server.Serve(clock) })
	t.Cleanup(func() { _, _ = w.socket.Close(), server.Close(); w.wg.Wait() })
	host, port, _ := net.SplitHostPort(w.socket.Addr().String())
	return []string{"DB_HOST=" + host, "DB_PORT=" + port, "DB_PASS=" + pgtest.Password, "TEST_CLOCK=http://" + clock.Addr().String()}
}

// strike lets a step happen, and kills before it or after it, if it is its moment.
func (s *slayer) strike(what string, step func()) {
	process, when := s.chosen(fixtures.Request{Key: "wire: " + what})
	switch {
	case process == nil:
		step()
	case when == 0:
		_ = process.Signal(s.signal)
	case when < 3:
		step()
		_ = process.Signal(s.signal)
	default:
		step()
		time.AfterFunc(s.delay, func() { _ = process.Signal(s.signal) })
	}
}

func (w *wire) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", w.server)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	w.wg.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	})
	buf := make([]byte, 1<<16)
	writing := false
	for {
		n, err := client.Read(buf)
		sent := buf[:n]
		writing = writing || bytes.Contains(sent, []byte("READ WRITE"))
		forward := func() { _, _ = server.Write(sent) }
		switch {
		case bytes.Contains(sent, []byte("file_file_name = NULL")):
			w.s.strike("UPDATE", forward)
		case writing && bytes.Contains(sent, []byte("COMMIT")):
			writing = false
			w.s.strike("COMMIT", forward)
		case bytes.Contains(sent, []byte("json_build_object('file_file_name'")):
			w.s.strike("snapshot", forward)
		case bytes.Contains(sent, []byte("WITH page AS MATERIALIZED (SELECT id, status_id")):
			w.s.strike("touched", forward)
		default:
			forward()
		}
		if err != nil {
			return
		}
	}
}

// impatiently is the command line of such a run.
func (l *living) impatiently(ctx context.Context, env []string, args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	l.t.Helper()
	self, err := os.Executable()
	if err != nil {
		l.t.Fatal(err)
	}
	cmd = exec.CommandContext(ctx, self)
	cmd.Args = append([]string{filepath.Join(filepath.Dir(self), "mediamove-impatient")}, append(args, "--state", l.state)...)
	cmd.Env = append(append([]string{}, env...), "PATH="+os.Getenv("PATH"), "HOME="+l.t.TempDir())
	cmd.Stdin = strings.NewReader("example.com\n")
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}
