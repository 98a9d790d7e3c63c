package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// A gateway is versitygw with its objects in a folder.
type gateway struct {
	endpoint
	dir string
	cmd *exec.Cmd
}

// versity has the clients talk to a server that checks what they send. Its
// own cost is far above theirs, so only the client's CPU is compared.
func versity(ctx context.Context, h *harness, m measure) error {
	t, err := h.forest.get(ctx, "t10k", false)
	if err != nil {
		return err
	}
	h.report.tree(t)
	clients, err := h.clients(ctx, ours, rclone, rcloneNoHead, mc)
	if err != nil {
		return err
	}
	g, err := h.startGateway(ctx, t)
	if err != nil {
		return err
	}
	defer g.stop()
	runs := 0
	all, err := h.rounds(ctx, m, clients, false, func(ctx context.Context, c client) (sample, error) {
		runs++
		return h.throughGateway(ctx, g, c, t, runs)
	})
	if err != nil {
		return err
	}
	h.report.table(all, t)
	name, best := all.best(cpu, rclone, rcloneNoHead, mc)
	h.report.goal(goal{text: "client CPU against the best peer's (" + name + ")", value: all.get(ours).of(cpu).med / best, limit: 1})
	return nil
}

// startGateway starts versitygw on the server's core. It has a region of its
// own, since its answer to a wrong one is a refusal.
func (h *harness) startGateway(ctx context.Context, t tree) (*gateway, error) {
	path, err := h.tools.peer(ctx, "versitygw")
	if err != nil {
		return nil, err
	}
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	g := &gateway{endpoint: endpoint{
		url: "http://" + addr, region: "us-east-1", accessKey: "BENCHACCESSKEY", secretKey: "benchsecretkey",
	}}
	// Beside the tree: where that is memory, no client waits for a disk.
	if g.dir, err = os.MkdirTemp(filepath.Dir(t.dir), "bench-versitygw-"); err != nil {
		return nil, err
	}
	g.cmd = exec.CommandContext(ctx, "taskset", "-c", strconv.Itoa(h.sinkCPU),
		path, "--port", addr, "--region", g.region, "--quiet", "posix", g.dir)
	g.cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+g.accessKey, "ROOT_SECRET_KEY="+g.secretKey)
	if err := g.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start versitygw: %w", err)
	}
	return g, reachable(ctx, addr)
}

// stop kills the server and removes its objects.
func (g *gateway) stop() {
	_ = g.cmd.Process.Kill()
	_ = g.cmd.Wait()
	os.RemoveAll(g.dir)
}

// throughGateway uploads t into a new bucket and removes it afterwards.
func (h *harness) throughGateway(ctx context.Context, g *gateway, c client, t tree, n int) (sample, error) {
	home, err := os.MkdirTemp(h.work, "home-")
	if err != nil {
		return sample{}, err
	}
	defer os.RemoveAll(home)
	j := job{g.endpoint, t.dir, fmt.Sprintf("bench-%d", n), home}
	if err := h.makeBucket(ctx, j); err != nil {
		return sample{}, err
	}
	defer os.RemoveAll(filepath.Join(g.dir, j.bucket))
	before, err := processCPU(g.cmd.Process.Pid)
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
	after, err := processCPU(g.cmd.Process.Pid)
	got.settle(after - before)
	return got, err
}

// makeBucket has mc make the bucket: a client that is there anyway and signs
// correctly.
func (h *harness) makeBucket(ctx context.Context, j job) error {
	c, err := h.client(ctx, mc)
	if err != nil {
		return err
	}
	argv := c.argv(j)
	cmd := exec.CommandContext(ctx, argv[0], "--quiet", "--config-dir", mcConfig(j), "mb", "sink/"+j.bucket)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + j.home}, c.env(j)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make bucket: %w: %s", err, out)
	}
	return nil
}

// freeAddress asks the kernel for a port that nobody uses. Somebody may take it
// before the server does; then the measure fails and says so.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// reachable waits until something listens on addr.
func reachable(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var d net.Dialer
	for {
		conn, err := d.DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", addr, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
