package cloudflare

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// budgetWait is how long Cloudflare says to wait if its budget is used up and
// no header says otherwise.
const budgetWait = 5 * time.Minute

// A remedy is what may help after a failed attempt.
type remedy uint8

const (
	nothing  remedy = iota
	later           // the same after a wait
	narrower        // less time at once
	newer           // without the days that are no longer kept
	plainer         // without asking about sampling
)

// A failure is an attempt that brought less than was asked for.
type failure struct {
	err    *Error
	remedy remedy
	wait   time.Duration // at least, before the next attempt

	// some says that the answer has rows all the same.
	some bool
	rows map[key]values
}

// A pattern is one refusal that is documented (analytics/graphql-api/errors) or,
// where noted, has been seen. Message and code are lower case; a message is
// recognised by a part of it.
type pattern struct {
	message, code string
	err           error
	remedy        remedy
}

// patterns returns what is known, the first that applies being the one.
func patterns() []pattern {
	return []pattern{
		{message: "rate limiter budget depleted", err: ErrLimit, remedy: later},
		{message: "limit reached, please try again later", err: ErrLimit, remedy: later}, // seen
		{message: "exceeded its rate limit", err: ErrLimit, remedy: later},               // seen
		{code: "budget", err: ErrLimit, remedy: later},                                   // seen
		{message: "query consumed excessive resources", err: ErrLimit, remedy: narrower},
		{message: "your request queries too many nodes", err: ErrLimit},
		{message: "too many queries in progress", err: ErrUnavailable, remedy: later},
		{message: "unable to execute query", err: ErrUnavailable, remedy: later},
		{message: "internal server error", err: ErrUnavailable, remedy: later},

		{message: "unauthorized", err: ErrToken},
		{message: "not authorized", err: ErrToken},                                     // for that account
		{message: "does not have access to the field", err: ErrToken, remedy: plainer}, // seen
		{message: "does not have access to the path", err: ErrToken},
		{message: "authentication error", err: ErrToken}, // seen
		{code: "authz", err: ErrToken},                   // seen
		{code: "authn", err: ErrToken},
		// The REST layer's, which stands before.
		{code: "1000", err: ErrToken},
		{code: "6003", err: ErrToken},
		{code: "6111", err: ErrToken},
		{code: "9109", err: ErrToken},
		{code: "10000", err: ErrToken},

		{message: "cannot request data older than", err: ErrShape, remedy: newer},
		{message: "time range is too large", err: ErrShape, remedy: narrower},
		{message: "cannot request a time range wider than", err: ErrShape, remedy: narrower}, // seen
		{message: "unknown field", err: ErrShape, remedy: plainer},
		{message: "number of fields can't be more than", err: ErrShape, remedy: plainer},
	}
}

// refusal classifies the errors that an answer lists.
func (c *Client) refusal(q question, status int, list []said) *failure {
	for _, p := range patterns() {
		for _, s := range list {
			if p.matches(s) {
				return &failure{err: c.failed(q, status, p.err, s.Message), remedy: p.remedy}
			}
		}
	}
	f := c.byStatus(q, status, true)
	f.err = c.failed(q, status, f.err.Err, list[0].Message)
	return f
}

func (p pattern) matches(s said) bool {
	if p.code != "" {
		return p.code == word(s.Code) || p.code == word(s.Extensions.Code)
	}
	return strings.Contains(strings.ToLower(s.Message), p.message)
}

// word returns a JSON string or number as lower case text.
func word(code json.RawMessage) string {
	return strings.ToLower(string(bytes.Trim(code, `"`)))
}

// byStatus classifies an answer whose words, if there were any, nobody has described.
// Without words a 403 may come from whatever stands before the API.
func (c *Client) byStatus(q question, status int, spoken bool) *failure {
	f := &failure{}
	err, message := ErrShape, ""
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden && spoken:
		err = ErrToken
	case status == http.StatusTooManyRequests:
		err, f.remedy = ErrLimit, later
	case status == http.StatusRequestTimeout || status >= 500:
		err, f.remedy = ErrUnavailable, later
	case status >= 300 && status < 400:
		message = "a redirect, which is not followed"
	case status == http.StatusOK:
		message = "neither figures nor errors"
	default:
		message = "a page that Cloudflare's API does not send"
	}
	f.err = c.failed(q, status, err, message)
	return f
}

// failed returns an error about q, with a message fit to be shown.
func (c *Client) failed(q question, status int, err error, message string) *Error {
	return &Error{Dataset: q.data.name, Status: status, Message: c.clean(message), Err: err}
}

// heed takes the wait that the API asks for into f, if it says one.
func (f *failure) heed(h http.Header) {
	limited := errors.Is(f.err, ErrLimit)
	if seconds, err := strconv.Atoi(h.Get("Retry-After")); err == nil && seconds >= 0 && seconds <= 24*60*60 {
		f.wait = time.Duration(seconds) * time.Second
	} else if limited && f.remedy == later {
		f.wait = budgetWait
	}
	if limited {
		f.err.RetryAfter = f.wait
	}
}
