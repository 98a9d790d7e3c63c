package r2

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"example.org/mediamove/costs"
)

// An exchange is what one attempt came to, as seen below the SDK.
type exchange struct {
	op     costs.Op
	tried  bool // it reached the network, or may have
	status int  // 0: no answer
	header http.Header
	fault  *fault // the answer is a refusal
	cut    error  // why the answer's body couldn't be read
}

type exchangeKey struct{}

// exchangeOf returns the attempt that ctx belongs to. A request without one
// still counts, as the dearest there is.
func exchangeOf(ctx context.Context) *exchange {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return x
	}
	return &exchange{op: costs.Unknown}
}

// A wire is the floor that every request stands on, the SDK's and our own:
// it reserves the attempt, sends it once, watches both bodies, and reads
// refusals, so that nothing above counts, follows or retries.
type wire struct {
	base  http.RoundTripper
	meter *costs.Meter
	clock clock
	met   atomic.Bool // the endpoint has answered before
}

// Do sends req once. A redirect is an answer like any other: it isn't
// followed, as credentials would travel with it.
func (w *wire) Do(req *http.Request) (*http.Response, error) {
	x := exchangeOf(req.Context())
	if err := w.meter.Reserve(x.op); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	// Cancelled by the watch too, so that a stall frees connection and slot.
	x.tried = true
	ctx, cancel := context.WithCancelCause(req.Context())
	wd := newWatch(cancel)
	req = w.prepared(ctx, req, wd)
	resp, err := w.base.RoundTrip(req)
	if err != nil {
		wd.stop()
		// net/http reports a cancelled context in words of its own.
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		cancel(nil)
		return nil, err
	}
	wd.toUs(minProgress)
	w.met.Store(true)
	w.clock.note(resp.Header)
	x.status, x.header = resp.StatusCode, resp.Header
	resp.Body = &incoming{ReadCloser: resp.Body, ctx: ctx, cancel: cancel, w: wd, x: x}
	if resp.StatusCode >= 300 {
		x.fault = readFault(resp)
	} else {
		x.fault = hiddenFault(resp, x.op)
	}
	return resp, nil
}

// prepared returns req as it goes out. What is set here is unsigned: gateways
// are known to alter both headers.
func (w *wire) prepared(ctx context.Context, req *http.Request, wd *watch) *http.Request {
	if req.Body == nil || req.Body == http.NoBody {
		ctx = w.counted(ctx, exchangeOf(ctx).op)
	}
	req = req.WithContext(ctx)
	// A small body is in memory, where net/http must see it; it needs no watching
	// of its own, as it leaves at once and then the answer is due.
	if req.ContentLength > smallBody {
		req.Body = &outgoing{req.Body, wd}
	}
	req.Header["User-Agent"] = userAgent()
	if req.Method == http.MethodGet {
		// Otherwise a gzip-encoded object may come unpacked, without a length.
		req.Header["Accept-Encoding"] = []string{"identity"}
	}
	return req
}

func userAgent() []string { return []string{"mediamove"} }

// counted makes the meter see what net/http repeats by itself: a request
// without a body whose kept connection turns out to be closed.
func (w *wire) counted(ctx context.Context, op costs.Op) context.Context {
	if _, ok := w.base.(*http.Transport); !ok {
		return ctx
	}
	var conns atomic.Int32
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		if conns.Add(1) > 1 {
			w.meter.Count(op)
		}
	}})
}

// hiddenFault finds an S3 error in an answer whose status says success, as S3
// sends it when it fails after the status line. Anything else is put back.
func hiddenFault(resp *http.Response, op costs.Op) *fault {
	if resp.ContentLength == 0 || op == costs.HeadObject || op == costs.GetObject {
		return nil
	}
	body := resp.Body
	br := bufio.NewReaderSize(body, 512)
	head, _ := br.Peek(512)
	resp.Body = struct {
		io.Reader
		io.Closer
	}{br, body}
	if !errorRoot(head) {
		return nil
	}
	f := readFault(resp)
	f.status = impliedStatus(f.code)
	return f
}

// errorRoot reports whether an XML document begins with <Error>.
func errorRoot(head []byte) bool {
	head = bytes.TrimSpace(head)
	if bytes.HasPrefix(head, []byte("<?xml")) {
		_, head, _ = bytes.Cut(head, []byte("?>"))
	}
	head = bytes.TrimSpace(head)
	return bytes.HasPrefix(head, []byte("<Error>")) || bytes.HasPrefix(head, []byte("<Error "))
}
