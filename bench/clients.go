package main

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
)

// An endpoint is a server that clients send to.
type endpoint struct {
	url       string // scheme and host
	region    string
	accessKey string
	secretKey string
	cert      string // PEM file to trust; empty: plain HTTP
}

// A job is one command to be: what to send, where to, and a folder of the
// client's own, which outlives the run if a second one shall find something.
type job struct {
	endpoint
	tree, bucket, home string
}

// A client is one program under test.
type client struct {
	name   string
	marks  int // objects that it adds to those of the tree
	argv   func(job) []string
	env    func(job) []string
	onBoth bool // not pinned to the client's core
	says   bool // its stdout is kept, since a measure checks it
}

// stdout returns the file that c writes to.
func (c client) stdout(j job) string {
	if !c.says {
		return os.DevNull
	}
	return filepath.Join(j.home, "stdout")
}

// The names that goals refer to.
const (
	ours         = "mediamove"
	rclone       = "rclone"
	rcloneNoHead = "rclone --s3-no-head"
	mc           = "mc mirror"
	find         = "find"

	verifyListing = "mediamove verify"
	verifyRoot    = "mediamove verify ROOT"
	checkSize     = "rclone check --size-only"
	checkHash     = "rclone check"
)

// clients returns the named ones, built.
func (h *harness) clients(ctx context.Context, names ...string) ([]client, error) {
	var all []client
	for _, name := range names {
		c, err := h.client(ctx, name)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// client returns one client. Asking for it builds it, so a run of two measures
// needs not build what the others would.
func (h *harness) client(ctx context.Context, name string) (client, error) {
	switch name {
	case ours:
		path, err := h.tools.ours(ctx)
		return mediamoveClient(path), err
	case verifyListing, verifyRoot:
		path, err := h.tools.ours(ctx)
		return verifyClient(path, name == verifyRoot), err
	case rclone:
		path, err := h.tools.peer(ctx, "rclone")
		return rcloneClient(name, path, rcloneCopy()...), err
	case rcloneNoHead:
		path, err := h.tools.peer(ctx, "rclone")
		return rcloneClient(name, path, append(rcloneCopy(), "--s3-no-head")...), err
	case checkHash:
		path, err := h.tools.peer(ctx, "rclone")
		return rcloneClient(name, path, rcloneCheck()...), err
	case checkSize:
		path, err := h.tools.peer(ctx, "rclone")
		return rcloneClient(name, path, append(rcloneCheck(), "--size-only")...), err
	case mc:
		path, err := h.tools.peer(ctx, "mc")
		return mcClient(path), err
	case find:
		return client{
			name: name,
			argv: func(j job) []string { return []string{"find", j.tree, "-type", "f", "-printf", `%s %T@ %p\n`} },
			env:  func(job) []string { return nil },
		}, nil
	}
	panic("no client " + name)
}

// mediamoveClient has no flag but the two that say where things are: it has to
// find its pace by itself.
func mediamoveClient(path string) client {
	return client{
		name:  ours,
		marks: 1,
		argv: func(j job) []string {
			return []string{path, "sync", j.tree, "--state", filepath.Join(j.home, "state")}
		},
		env: func(j job) []string {
			env := []string{
				"S3_ENDPOINT=" + j.url, "S3_BUCKET=" + j.bucket, "S3_REGION=" + j.region,
				"AWS_ACCESS_KEY_ID=" + j.accessKey, "AWS_SECRET_ACCESS_KEY=" + j.secretKey,
				"LOCAL_DOMAIN=bench.example", "S3_PERMISSION=", "S3_ENABLED=false",
			}
			if j.cert != "" {
				env = append(env, "SSL_CERT_FILE="+j.cert)
			}
			return env
		},
	}
}

// verifyClient asks the bucket's listing what mediamoveClient has done, with
// the tree or by the ledger alone.
func verifyClient(path string, root bool) client {
	c := mediamoveClient(path)
	c.name, c.says = verifyListing, true
	if root {
		c.name = verifyRoot
	}
	c.argv = func(j job) []string {
		argv := []string{path, "verify", "--json", "--state", filepath.Join(j.home, "state")}
		if root {
			argv = append(argv, j.tree)
		}
		return argv
	}
	return c
}

// rcloneCopy has the flags of the goals. With --s3-no-head there is no HEAD
// after each upload, which is half of rclone's requests: the faster peer, but it
// no longer checks what was stored.
func rcloneCopy() []string { return []string{"copy", "--transfers", "64", "--checkers", "64"} }

// rcloneCheck leaves mediamove's mark out, which no tree has and which would
// be a difference. More checkers than the eight of rclone's own made it slower.
func rcloneCheck() []string { return []string{"check", "--exclude", "/.mediamove/**"} }

// rcloneClient runs a command with its flags, from the tree to the bucket.
func rcloneClient(name, path string, command ...string) client {
	return client{
		name: name,
		argv: func(j job) []string {
			argv := []string{
				path, command[0], j.tree, "sink:" + j.bucket,
				"--config", "/dev/null", "--fast-list", "--s3-no-check-bucket",
			}
			if j.cert != "" {
				argv = append(argv, "--ca-cert", j.cert)
			}
			return append(argv, command[1:]...)
		},
		env: func(j job) []string {
			const p = "RCLONE_CONFIG_SINK_"
			return []string{
				p + "TYPE=s3", p + "PROVIDER=Cloudflare", p + "ENDPOINT=" + j.url, p + "REGION=" + j.region,
				p + "ACCESS_KEY_ID=" + j.accessKey, p + "SECRET_ACCESS_KEY=" + j.secretKey,
			}
		},
	}
}

// mcClient has no flag for concurrency: mc finds its pace by itself too.
func mcClient(path string) client {
	return client{
		name: mc,
		argv: func(j job) []string {
			return []string{path, "--quiet", "--config-dir", mcConfig(j), "mirror", j.tree, "sink/" + j.bucket}
		},
		env: func(j job) []string {
			u, err := url.Parse(j.url)
			if err != nil {
				panic(err) // our own endpoint
			}
			u.User = url.UserPassword(j.accessKey, j.secretKey)
			return []string{"MC_HOST_sink=" + u.String()}
		},
	}
}

// mcConfig returns where mc keeps its configuration: never in the home of
// whoever runs the bench, whose aliases it would find.
func mcConfig(j job) string { return filepath.Join(j.home, "mc") }

// furnish puts what a client expects into its folder: mc trusts only the
// certificates that lie there.
func (j job) furnish() error {
	if j.cert == "" {
		return os.MkdirAll(j.home, 0o755)
	}
	dir := filepath.Join(mcConfig(j), "certs", "CAs")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	pem, err := os.ReadFile(j.cert)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "sink.pem"), pem, 0o644)
}
