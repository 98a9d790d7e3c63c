package cloudflare

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// DefaultEndpoint is where Cloudflare takes GraphQL queries.
	DefaultEndpoint = "https://api.cloudflare.com/client/v4/graphql"

	// DefaultPatience is how long one question waits in all, if [Options] doesn't
	// say. Cloudflare's limit clears after up to 5 minutes.
	DefaultPatience = time.Minute
)

// Options say which account is asked about, and how. Nothing else is consulted:
// no environment, no proxy variable.
type Options struct {
	Endpoint string // "": DefaultEndpoint; plain http only on this machine
	Token    Token
	Account  string // the account's id, 32 hexadecimal digits; see [Place]

	// Patience bounds the waits between the tries of one question, those for
	// Cloudflare's limit among them; 0: DefaultPatience, below: no second try.
	Patience time.Duration

	Proxy     *url.URL          // nil: none
	Transport http.RoundTripper // stands for the network (tests, demo)
	Now       func() time.Time  // nil: time.Now
	Log       *slog.Logger      // nil: silent
}

// An OptionError is an option that can't be right. It never shows the value.
type OptionError struct {
	Option string // the field of Options: "Endpoint", "Token" or "Account"
	Reason string
	Hint   string // what to give instead; may be ""
}

// Error returns "Option: reason"; the hint is told beside it.
func (e *OptionError) Error() string { return e.Option + ": " + e.Reason }

// A Client asks about one account. Its methods may be used by many goroutines at
// once.
type Client struct {
	endpoint string
	account  string

	// Functions, because fmt can't call the methods of what unexported fields hold,
	// and with a wrong verb it would look behind a pointer as well.
	authorization func() string         // the header's value
	clean         func(s string) string // makes foreign text fit for an error

	patience time.Duration
	base     http.RoundTripper
	now      func() time.Time
	log      *slog.Logger

	plain atomic.Bool // the API doesn't tell about sampling
}

// New checks o and returns a client for it. It sends nothing. An error is an
// [*OptionError].
func New(o Options) (*Client, error) {
	if o.Endpoint == "" {
		o.Endpoint = DefaultEndpoint
	}
	if o.Patience == 0 {
		o.Patience = DefaultPatience
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	secrets := []string{string(o.Token)}
	if o.Proxy != nil {
		password, _ := o.Proxy.User.Password()
		secrets = append(secrets, password)
	}
	if o.Transport == nil {
		o.Transport = newTransport(o.Proxy)
	}
	return &Client{
		endpoint: o.Endpoint, account: strings.ToLower(o.Account),
		authorization: func() string { return "Bearer " + string(o.Token) },
		clean:         func(s string) string { return clean(s, secrets...) },
		patience:      o.Patience, base: o.Transport, now: o.Now, log: o.Log,
	}, nil
}

// Close drops the kept connections.
func (c *Client) Close() {
	if t, ok := c.base.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

func (o Options) check() error {
	const where = "Cloudflare dashboard, API tokens, with the permission Account Analytics: Read"
	switch {
	case o.Token == "":
		return &OptionError{"Token", "is not set", where}
	case strings.ContainsFunc(string(o.Token), func(r rune) bool { return r <= ' ' || r > '~' }):
		return &OptionError{"Token", "has spaces or other characters that no token has", where}
	case !isAccount(o.Account):
		return &OptionError{"Account", "is no account id", "the 32 digits and letters before .r2.cloudflarestorage.com"}
	}
	u, err := url.Parse(o.Endpoint)
	const form = DefaultEndpoint
	switch {
	case err != nil || u.Hostname() == "":
		return &OptionError{"Endpoint", "is no URL", form}
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return &OptionError{"Endpoint", "has more than host and path", form}
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return &OptionError{"Endpoint", "http would send the token readable", form}
	case u.Scheme != "https" && u.Scheme != "http":
		return &OptionError{"Endpoint", "scheme is not https", form}
	}
	return nil
}

// isAccount reports whether s has the form of Cloudflare's account ids.
func isAccount(s string) bool {
	return len(s) == 32 && strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func newTransport(proxy *url.URL) *http.Transport {
	t := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 15 * time.Second}).DialContext,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 15 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        2,
		IdleConnTimeout:     30 * time.Second,
	}
	if proxy != nil {
		t.Proxy = http.ProxyURL(proxy)
	}
	return t
}
