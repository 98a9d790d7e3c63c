package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"

	"example.org/mediamove/bench/sink"
)

// runSink is the subcommand that the harness starts on a core of its own. It
// prints the address it listens on, since the port may be chosen by the kernel.
func runSink(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("bench sink", flag.ContinueOnError)
	addr := fs.String("addr", "127.0.0.1:0", "listen on `HOST:PORT`")
	etag := fs.String("etag", "auto", "where ETags come from: `auto`, md5 or fake")
	cert := fs.String("tls-cert", "", "speak TLS and write the self-signed certificate to `FILE`")
	procs := fs.Int("procs", 0, "GOMAXPROCS; 0: as many as the process may use")
	var o sink.Options
	fs.DurationVar(&o.Latency, "latency", 0, "add `D` to every request")
	fs.IntVar(&o.Page, "page", 1000, "most keys in a listing answer")
	if err := fs.Parse(args); err != nil {
		return err
	}
	o.ETag = sink.ETagMode(*etag)
	switch o.ETag {
	case sink.ETagAuto, sink.ETagMD5, sink.ETagFake:
	default:
		return fmt.Errorf("-etag %s: not auto, md5 or fake", *etag)
	}
	if *procs > 0 {
		runtime.GOMAXPROCS(*procs)
	}
	debug.SetGCPercent(400) // its memory is no figure, its CPU is
	l, err := listen(ctx, *addr, *cert)
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return sink.New(o).Serve(ctx, l)
}

// listen opens the address, over TLS if a file for the certificate is named.
func listen(ctx context.Context, addr, certFile string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil || certFile == "" {
		return l, err
	}
	cert, pem, err := sink.Certificate()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(certFile, pem, 0o644); err != nil {
		return nil, err
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}), nil
}
