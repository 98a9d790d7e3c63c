package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"example.org/mediamove/bench/sink"
)

// A sinkProc is a sink in a process of its own, on its own core.
type sinkProc struct {
	endpoint
	cmd    *exec.Cmd
	client *http.Client
}

// startSink starts one; over TLS if secure.
func (h *harness) startSink(ctx context.Context, secure bool) (*sinkProc, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &sinkProc{endpoint: endpoint{region: "auto", accessKey: "BENCHACCESSKEY", secretKey: "benchsecretkey"}}
	argv := []string{"-c", strconv.Itoa(h.sinkCPU), self, "sink"}
	if secure {
		s.cert = filepath.Join(h.work, "sink.pem")
		argv = append(argv, "-tls-cert", s.cert)
	}
	s.cmd = exec.CommandContext(ctx, "taskset", argv...)
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start sink: %w", err)
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start sink: %w", err), s.cmd.Wait())
	}
	return s, s.connect(strings.TrimSpace(addr))
}

// connect makes the client that controls the sink. It speaks to the same port
// as the clients under test; its requests are not counted.
func (s *sinkProc) connect(addr string) error {
	s.url = "http://" + addr
	s.client = &http.Client{Timeout: 10 * time.Second}
	if s.cert == "" {
		return nil
	}
	s.url = "https://" + addr
	pem, err := os.ReadFile(s.cert)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	s.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	return nil
}

// stop kills the sink: it holds nothing that anybody would miss.
func (s *sinkProc) stop() {
	s.client.CloseIdleConnections()
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// control asks for one of the sink's /_ paths and returns its counters.
func (s *sinkProc) control(ctx context.Context, path string) (st sink.Stats, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		return st, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return st, fmt.Errorf("sink %s: %w", path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	if err == nil {
		err = json.Unmarshal(body, &st)
	}
	if err != nil {
		return st, fmt.Errorf("sink %s: %w", path, err)
	}
	return st, nil
}

// measured runs c to its end and returns what it and the sink took.
func (h *harness) measured(ctx context.Context, s *sinkProc, c client, j job) (sample, error) {
	before, err := s.control(ctx, "/_reset")
	if err != nil {
		return sample{}, err
	}
	p, err := h.launch(ctx, c, j)
	if err != nil {
		return sample{}, err
	}
	got, err := p.wait()
	if err != nil {
		return got, err
	}
	if got.Requests, err = s.control(ctx, "/_stats"); err != nil {
		return got, err
	}
	got.settle(got.Requests.CPUSeconds - before.CPUSeconds)
	return got, nil
}

// fresh is measured on an empty bucket, with nothing remembered by the
// client. It checks that all of the tree has arrived.
func (h *harness) fresh(ctx context.Context, s *sinkProc, c client, t tree) (sample, error) {
	if _, err := s.control(ctx, "/_wipe"); err != nil {
		return sample{}, err
	}
	home, err := os.MkdirTemp(h.work, "home-")
	if err != nil {
		return sample{}, err
	}
	defer os.RemoveAll(home)
	got, err := h.measured(ctx, s, c, job{s.endpoint, t.dir, "bench", home})
	if err == nil && got.Requests.Objects != t.Files+c.marks {
		err = fmt.Errorf("%s stored %d objects of %d", c.name, got.Requests.Objects-c.marks, t.Files)
	}
	return got, err
}
