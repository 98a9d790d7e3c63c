package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"example.org/mediamove/bench/gentree"
)

// An actor plays a client: the test binary under another command line.
type actor struct {
	tree, base string   // base is the bucket's URL
	memory     string   // file of keys sent; empty: asks the bucket by a listing
	heads      bool     // a HEAD after each PUT
	mark       bool     // reads and writes the owner mark
	compare    bool     // sends nothing, see [actor.check]
	search     bool     // sends nothing, see [actor.lookThrough]
	lacks      bool     // the same, as missing says it
	prune      []string // the command line, see [actor.prunes]
	http       *http.Client
}

// newActor reads a client's command line; nil if it is none.
func newActor(args []string) *actor {
	trust := func(pem string) *http.Client {
		pool := x509.NewCertPool()
		if b, err := os.ReadFile(pem); err == nil {
			pool.AppendCertsFromPEM(b)
		}
		return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	}
	flag := func(name string) string {
		if i := slices.Index(args, name); i >= 0 {
			return args[i+1]
		}
		return ""
	}
	switch {
	case len(args) == 0:
	case args[0] == "bind", args[0] == "prune":
		return &actor{base: os.Getenv("S3_ENDPOINT") + "/" + os.Getenv("S3_BUCKET"), prune: args, http: http.DefaultClient}
	case args[0] == "sync", args[0] == "verify", args[0] == "orphans", args[0] == "missing":
		a := &actor{
			tree: args[1], base: os.Getenv("S3_ENDPOINT") + "/" + os.Getenv("S3_BUCKET"),
			memory: flag("--state"), mark: true, http: trust(os.Getenv("SSL_CERT_FILE")),
		}
		if args[0] == "verify" {
			a.compare, a.tree = true, strings.Join(args[4:], "") // after --json --state DIR
		}
		if a.search = args[0] == "orphans" || args[0] == "missing"; a.search {
			a.tree, a.lacks = "", args[0] == "missing"
		}
		return a
	case args[0] == "copy", args[0] == "check":
		return &actor{
			tree: args[1], base: os.Getenv("RCLONE_CONFIG_SINK_ENDPOINT") + "/" + strings.TrimPrefix(args[2], "sink:"),
			heads: !slices.Contains(args, "--s3-no-head"), http: trust(flag("--ca-cert")), compare: args[0] == "check",
		}
	case slices.Contains(args, "mirror"):
		u, _ := url.Parse(os.Getenv("MC_HOST_sink"))
		u.User = nil
		return &actor{
			tree: flag("mirror"), base: u.String() + "/" + strings.TrimPrefix(args[len(args)-1], "sink/"),
			http: trust(filepath.Join(flag("--config-dir"), "certs", "CAs", "sink.pem")),
		}
	}
	return nil
}

func (a *actor) play() error {
	switch {
	case a.compare:
		return a.check()
	case a.search:
		return a.lookThrough()
	case a.prune != nil:
		return a.prunes()
	}
	known, err := a.known()
	if err != nil {
		return err
	}
	var keys []string
	err = filepath.WalkDir(a.tree, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if key := strings.TrimPrefix(name, a.tree+"/"); !bytes.Contains(known, []byte(key)) {
				keys = append(keys, key)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make(chan error, len(keys))
	for part := range slices.Chunk(keys, 1+len(keys)/16) {
		wg.Go(func() {
			for _, key := range part {
				errs <- a.send(key)
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return a.remember(keys)
}

// known is text that holds every key sent before.
func (a *actor) known() ([]byte, error) {
	if !a.mark {
		return a.request(http.MethodGet, "?list-type=2", nil, http.StatusOK)
	}
	if err := os.MkdirAll(a.memory, 0o700); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(a.memory, "keys"))
	if err == nil {
		_, err = a.request(http.MethodGet, "/.mediamove/owner.json", nil, http.StatusOK)
		return b, err
	}
	_, err = a.request(http.MethodPut, "/.mediamove/owner.json", []byte("{}"), http.StatusOK)
	return nil, err
}

func (a *actor) remember(keys []string) error {
	if !a.mark {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(a.memory, "keys"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(strings.Join(keys, "\n"))
	return err
}

func (a *actor) send(key string) error {
	body, err := os.ReadFile(filepath.Join(a.tree, key))
	if err != nil {
		return err
	}
	if _, err := a.request(http.MethodPut, "/"+key, body, http.StatusOK); err != nil || !a.heads {
		return err
	}
	_, err = a.request(http.MethodHead, "/"+key, nil, http.StatusOK)
	return err
}

func (a *actor) request(method, path string, body []byte, want int) ([]byte, error) {
	req, err := http.NewRequest(method, a.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != want {
		return nil, fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	return io.ReadAll(resp.Body)
}

// stage is a harness whose clients are actors.
func stage(t *testing.T) (*harness, *bytes.Buffer) {
	t.Helper()
	h, b := quietHarness(1)
	h.work, h.trees, h.sinkCPU = t.TempDir(), t.TempDir(), runtime.NumCPU()-1
	h.tools = tools{dir: t.TempDir(), work: h.work}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	h.tools.mediamove = self
	for name, tool := range toolTable() {
		if err := os.Symlink(self, filepath.Join(h.tools.dir, name+"-"+tool.version)); err != nil {
			t.Fatal(err)
		}
	}
	h.forest = newForest(h.config)
	small := gentree.Spec{Files: 20, Median: 300, Sigma: 1}
	empty := small
	empty.Empty = true
	one, few, many := small, small, small
	one.Files, one.Seed, few.Files, many.Files = 1, 2, 40, 2100
	h.forest.specs = map[string]gentree.Spec{
		"t1": one, "o100k": few, "o1m": many, "i1m": {Files: 2000},
		"t100k": small, "t10k": small, "s300k": small, "t1g": small, "t4g": small, "e300k": empty,
	}
	return h, b
}

// Every measure that needs no server but the sink, with actors: the tables are
// complete and the goals are judged.
func TestMeasures(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		rows, goals int
		want        []string // parts of the report
	}{
		{"upload100k", 4, 2, []string{"| 21 / 0 |", "| rclone --s3-no-head | 1 |"}},
		{"upload10k", 4, 2, []string{"| 21 / 20 |"}},
		{"latency", 8, 2, []string{"### 20ms", "### 150ms"}},
		{"noop", 2, 2, []string{"| 0 / 1 |", "one GET of the owner mark: 0 (limit 0): met"}},
		{"walk", 3, 2, []string{"| find | 1 |", "mediamove, both cores: wall time"}},
		{"big", 4, 4, []string{"### t1g", "### t4g"}},
		{"verify100k", 4, 8, []string{"| 1 / 1 |", "| rclone check --size-only | 1 |", "mediamove verify ROOT: LISTs: 1 (limit 1): met"}},
		{"verify1m", 2, 6, []string{"2100 objects in ledger and bucket", "| 3 / 1 |", "LISTs: 3 (limit 3): met", "one GET: 0 (limit 0): met", "peak with o1m against the peak with o100k"}},
		{"orphans1m", 10, 18, []string{"| bare listing + COPY | 1 |", "2000 keys. ", "| 2 / 1 |", "LISTs: 2 (limit 2): met", "one GET: 0 (limit 0): met", "all of it moved before: peak memory"}},
		{"prune1m", 10, 9, []string{"| bare listing + COPY, and what prune asks besides | 1 |", "2000 keys, ", "| 2 / 1 |", "one GET: 0 (limit 0): met", "requests that delete: 11 (limit 60): met", "not cleared: 0 (limit 0): met", "worked out | 0 | 99 | 0 | 0 | 99 | 0 |"}},
		{"memory", 4, 3, []string{"| mediamove, again | 1 |", "peak with s300k against the peak with t10k"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, b := stage(t)
			i := slices.IndexFunc(measures(), func(m measure) bool { return m.name == tt.name })
			m := measures()[i]
			if err := m.run(t.Context(), h, m); err != nil {
				t.Fatal(err)
			}
			rows, goals := 0, 0
			for lines := bufio.NewScanner(bytes.NewReader(b.Bytes())); lines.Scan(); {
				line := lines.Text()
				switch {
				case strings.HasPrefix(line, "| client"), strings.HasPrefix(line, "|--"):
				case strings.HasPrefix(line, "| "):
					rows++
				case strings.HasPrefix(line, "- "):
					goals++
				}
			}
			if rows != tt.rows || goals != tt.goals || strings.Contains(b.String(), "NaN") {
				t.Errorf("%d rows, %d goals, want %d and %d:\n%s", rows, goals, tt.rows, tt.goals, b)
			}
			for _, want := range tt.want {
				if !strings.Contains(b.String(), want) {
					t.Errorf("no %q in\n%s", want, b)
				}
			}
			if left, _ := filepath.Glob(filepath.Join(h.work, "home-*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}
