package cloudflare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"
)

const (
	maxTries  = 4
	firstWait = time.Second
	maxAnswer = 8 << 20 // 10,000 rows are some 4 MB
	timeToTry = 45 * time.Second
)

// A round is one question of a caller: its queries, and what they share.
type round struct {
	c        *Client
	data     *dataset
	bucket   string
	queries  int           // that may still be made
	patience time.Duration // that is left for waits
}

// ask makes attempts until s is answered, can't be, or patience or queries are
// used up. A failure's remedy is then nothing, narrower or newer.
func (r *round) ask(ctx context.Context, s span) (map[key]values, *failure) {
	q := question{data: r.data, bucket: r.bucket, span: s}
	for try := 1; ; try++ {
		q.sampling = r.data.sampling != "" && !r.c.plain.Load()
		if r.queries == 0 {
			return nil, &failure{err: r.c.failed(q, 0, ErrLimit, fmt.Sprintf("%d queries made for one question", maxQueries))}
		}
		r.queries--
		rows, f := r.c.attempt(ctx, q)
		switch {
		case f == nil:
			return rows, nil
		case ctx.Err() != nil:
			return nil, &failure{err: r.c.failed(q, 0, context.Cause(ctx), "")}
		case f.remedy == plainer && q.sampling:
			r.c.plain.Store(true)
			try--
			continue
		case f.remedy == plainer:
			f.remedy = nothing
			return nil, f
		case f.remedy != later:
			return nil, f
		}
		if err := r.wait(ctx, try, f); err != nil {
			return nil, &failure{err: r.c.failed(q, 0, err, "")}
		}
		if f.remedy == nothing {
			return nil, f
		}
	}
}

// wait sleeps before the next try. Where there may be none, it takes the remedy
// from f instead.
func (r *round) wait(ctx context.Context, try int, f *failure) error {
	backoff := firstWait << (try - 1)
	d := max(f.wait, backoff/2+rand.N(backoff/2))
	if try >= maxTries || d > r.patience {
		f.remedy = nothing
		return nil
	}
	r.patience -= d
	r.c.log.InfoContext(ctx, "asking Cloudflare's analytics again", "after", d.Round(time.Millisecond), "because", f.err)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// attempt sends q once.
func (c *Client) attempt(ctx context.Context, q question) (map[key]values, *failure) {
	body, err := q.body(c.account)
	if err != nil {
		return nil, &failure{err: c.failed(q, 0, err, "")}
	}
	ctx, cancel := context.WithTimeout(ctx, timeToTry)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, &failure{err: c.failed(q, 0, err, "")}
	}
	req.Header = http.Header{
		"Authorization": {c.authorization()},
		"Content-Type":  {"application/json"},
		"Accept":        {"application/json"},
		"User-Agent":    {"mediamove"},
	}
	// Not an http.Client: that would follow redirects.
	resp, err := c.base.RoundTrip(req)
	if err != nil {
		return nil, &failure{err: c.failed(q, 0, ErrUnavailable, reason(err)), remedy: later}
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, &failure{err: c.failed(q, resp.StatusCode, ErrUnavailable, "the answer broke off: "+reason(err)), remedy: later}
	case len(data) > maxAnswer:
		return nil, &failure{err: c.failed(q, resp.StatusCode, ErrShape, "the answer is too large"), remedy: narrower}
	}
	rows, f := c.read(q, resp.StatusCode, data)
	if f != nil {
		f.heed(resp.Header)
	}
	return rows, f
}

// reason says what a transport reported, without the URL, which is known.
func reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "nothing for " + timeToTry.String()
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return err.Error()
}

// read makes sense of an answer.
func (c *Client) read(q question, status int, data []byte) (map[key]values, *failure) {
	var r reply
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, c.unreadable(q, status, data, err)
	}
	var f *failure
	switch {
	case len(r.Errors) > 0:
		f = c.refusal(q, status, r.Errors)
	case status != http.StatusOK || r.Data == nil || r.Data.Viewer == nil:
		return nil, c.byStatus(q, status, false)
	}
	if r.Data == nil || r.Data.Viewer == nil {
		return nil, f
	}
	accounts := r.Data.Viewer.Accounts
	switch {
	case f == nil && len(accounts) == 0:
		return nil, &failure{err: c.failed(q, status, ErrToken, "it shows no account of that id")}
	case f == nil && (len(accounts) > 1 || accounts[0].Rows == nil):
		return nil, &failure{err: c.failed(q, status, ErrShape, "figures of not exactly one account")}
	case f != nil && (len(accounts) != 1 || accounts[0].Rows == nil):
		return nil, f
	}
	rows, err := q.figures(*accounts[0].Rows)
	if err != nil {
		return nil, &failure{err: c.failed(q, status, ErrShape, err.Error())}
	}
	if f != nil {
		f.some, f.rows = true, rows
	}
	return rows, f
}

// unreadable classifies an answer that isn't the JSON it should be.
func (c *Client) unreadable(q question, status int, data []byte, err error) *failure {
	if status != http.StatusOK {
		return c.byStatus(q, status, false)
	}
	f := &failure{}
	message := err.Error()
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		message = e.Value + " where it can't be"
	}
	switch head := bytes.TrimSpace(data); {
	case len(head) == 0:
		message, f.remedy = "nothing", later
	case head[0] == '<':
		message = "a web page: something between here and Cloudflare?"
	case !json.Valid(data) && err.Error() == "unexpected end of JSON input":
		message, f.remedy = "cut short", later
	}
	f.err = c.failed(q, status, ErrShape, message)
	return f
}
