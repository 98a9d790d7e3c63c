package r2

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

// publicConnections are kept to the public host: a sample needs few.
const publicConnections = 16

// A PublicConfig says where visitors get the media, in Mastodon's settings.
type PublicConfig struct {
	Host     string // S3_ALIAS_HOST: no scheme; may have a port and a path
	Protocol string // S3_PROTOCOL: "https" (also "") or "http"
	Prefix   string // S3_KEY_PREFIX

	Meter     *costs.Meter      // nil: one that nobody reads
	Transport http.RoundTripper // stands for the network (tests, demo)
	Proxy     *url.URL          // nil: none
	Log       *slog.Logger      // nil: silent
}

// A Public is the bucket's public host as visitors see it: nothing is signed, and
// a cache may answer. All methods may be used by many goroutines at once.
type Public struct {
	asker  stranger
	site   url.URL // scheme and host
	path   string  // from the host to the key, unescaped
	prefix string
}

// OpenPublic checks c and returns the host it names. It sends nothing.
// An error is a [*ConfigError].
func OpenPublic(c PublicConfig) (*Public, error) {
	site, path, err := c.site()
	if err != nil {
		return nil, err
	}
	if c.Meter == nil {
		c.Meter = new(costs.Meter)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	common := Config{Proxy: c.Proxy, MaxConcurrency: publicConnections}
	if c.Transport == nil {
		c.Transport = newTransport(common)
	}
	return &Public{
		asker: stranger{
			wire: &wire{base: c.Transport, meter: c.Meter},
			hush: newRedactor(common), log: c.Log, host: site.Host, setting: "S3_ALIAS_HOST",
		},
		site: site, path: path, prefix: strings.Trim(c.Prefix, "/"),
	}, nil
}

// site takes the settings apart.
func (c PublicConfig) site() (site url.URL, path string, err error) {
	if c.Protocol == "" {
		c.Protocol = "https"
	}
	if c.Protocol != "https" && c.Protocol != "http" {
		return site, "", &ConfigError{"S3_PROTOCOL", "is neither https nor http", "https"}
	}
	bad := func(reason, hint string) error { return &ConfigError{"S3_ALIAS_HOST", reason, hint} }
	const form = "like files.example.com"
	host, path, _ := strings.Cut(c.Host, "/")
	switch u, err := url.Parse(c.Protocol + "://" + host); {
	case c.Host == "":
		return site, "", bad("is not set", form)
	case strings.ContainsAny(c.Host, "@?#"): // not shown: it may hold a password
		return site, "", bad("has more than host and path", form)
	case strings.Contains(c.Host, "://"):
		_, rest, _ := strings.Cut(c.Host, "://")
		return site, "", bad("begins with a scheme, which Mastodon would write twice", rest)
	case err != nil || u.Hostname() == "" || u.Host != host:
		return site, "", bad("is no host name", form)
	}
	// As Mastodon does it, a slash at the end makes two of them.
	if strings.Contains(c.Host, "/") {
		path += "/"
	}
	return url.URL{Scheme: c.Protocol, Host: host}, "/" + path, nil
}

// Close drops the kept connections.
func (p *Public) Close() {
	if c, ok := p.asker.wire.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// A Visit is the answer that a visitor got, whatever it is.
type Visit struct {
	Status int
	Header http.Header
	// Body is the answer's, for the caller to close. It ends in an error if fewer
	// or more bytes come than were announced; of a refusal it holds 64 KiB at most.
	Body io.ReadCloser
}

// Get fetches k from the public host, under the URL that Mastodon writes for it,
// for a web page of the given origin ("https://example.com"; "" sends none). It
// counts as GetObject, even if a cache answers.
//
// A refusal is an answer, a redirect as well: it isn't followed. 5xx, 429 and
// network faults are tried three times in all. An error means that nothing
// answered: ErrEndpoint if the host doesn't exist or can't prove who it is.
func (p *Public) Get(ctx context.Context, k media.Key, origin string) (v Visit, err error) {
	v.Body, err = p.open(ctx, question{op: costs.GetObject, key: k, url: p.url(k), origin: origin}, &v)
	return v, err
}

// open fills in the rest of v.
func (p *Public) open(ctx context.Context, q question, v *Visit) (io.ReadCloser, error) {
	resp, err := p.asker.ask(ctx, q)
	if err != nil {
		return nil, err
	}
	v.Status, v.Header = resp.StatusCode, resp.Header
	return resp.Body, nil
}

// Lists reports whether the host shows strangers what the bucket holds: true if
// it answers for its root with S3's listing, of either version. It takes two
// requests, counted as what they would cost if they were answered. An error means
// that it can't be told: no answer, or an overloaded host.
func (p *Public) Lists(ctx context.Context) (bool, error) {
	root := p.site
	root.Path = "/"
	if dir := strings.Trim(p.path, "/"); dir != "" {
		root.Path += dir + "/"
	}
	root.RawPath = visitorPath(root.Path)
	for _, query := range []string{"", "list-type=2"} {
		u := root
		u.RawQuery = query
		shown, status, err := p.asker.lists(ctx, &u)
		if shown || err != nil {
			return shown, err
		}
		if status == http.StatusTooManyRequests || status >= 500 {
			return false, p.asker.unclear(status)
		}
	}
	return false, nil
}

// AnonymousList reports whether the S3 endpoint lists the bucket for strangers
// (one Class A at most: what is refused isn't charged). 400, 401 and 403 are a no;
// any answer that is neither that nor a listing is an error.
func (b *Bucket) AnonymousList(ctx context.Context) (bool, error) {
	slot, err := b.pace.acquire(ctx)
	if err != nil {
		return false, &Error{Op: costs.ListObjects, Err: err}
	}
	defer slot.done(outcomeNeutral, 0)
	u := b.lean.bucket(url.Values{"list-type": {"2"}, "max-keys": {"1"}})
	s := stranger{wire: b.wire, hush: b.hush, log: b.log, host: b.host, setting: "S3_ENDPOINT"}
	shown, status, err := s.lists(ctx, u)
	if shown || err != nil {
		return shown, err
	}
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		return false, nil
	}
	return false, s.unclear(status)
}

// url is where Mastodon tells browsers to get k.
func (p *Public) url(k media.Key) *url.URL {
	u := p.site
	u.Path = p.path
	if p.prefix != "" {
		u.Path += p.prefix + "/"
	}
	u.Path += string(k)
	u.RawPath = visitorPath(u.Path)
	return &u
}

// visitorPath escapes as Paperclip does: every byte that RFC 2396 allows nowhere in
// a URL, and ? ( ) [ ] + besides (kt-paperclip, lib/paperclip/url_generator.rb).
// S3's own escaping differs, and a cache may tell the two forms apart.
func visitorPath(path string) string {
	const plain = "/-_.!~*';:@&=$,"
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(path) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte(plain, c) >= 0:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}
