package r2

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"

	"example.org/mediamove/costs"
)

// DefaultConcurrency bounds the requests in flight if [Config] doesn't. The
// pace finds the useful number below it: at 150 ms per answer, 160 slots are
// some 1,000 requests a second.
const DefaultConcurrency = 160

// A Config says which bucket, and how it may be reached. Nothing else is
// consulted: no environment, no profile, no proxy variable.
type Config struct {
	Endpoint        string // https://ACCOUNT.r2.cloudflarestorage.com
	Region          string // "" is "auto", R2's only one
	Bucket          string
	Prefix          string // S3_KEY_PREFIX; all keys are below it
	AccessKeyID     string
	SecretAccessKey Secret

	// ACL is S3_PERMISSION: nil is unset, "" is none. R2 has no ACLs: its
	// hosts never get the header.
	ACL *string

	AllowHTTP      bool     // plain http to other hosts than this one
	Proxy          *url.URL // nil: none
	RootCAs        *x509.CertPool
	MaxConcurrency int   // 0: DefaultConcurrency
	BytesPerSecond int64 // of uploads; 0: as fast as it goes

	Meter     *costs.Meter      // nil: one that nobody reads
	Transport http.RoundTripper // stands for the network (tests, demo)
	Log       *slog.Logger      // nil: silent
}

// A ConfigError is a setting that can't be right.
type ConfigError struct {
	Setting string // as Mastodon names it, such as S3_ENDPOINT
	Reason  string
	Hint    string // what to type instead; may be ""
}

// Error returns "S3_ENDPOINT: reason"; the hint is told beside it.
func (e *ConfigError) Error() string { return e.Setting + ": " + e.Reason }

// checked returns c with its defaults, and the endpoint taken apart.
func (c Config) checked() (Config, *url.URL, error) {
	for _, v := range []struct{ name, value string }{
		{"S3_ENDPOINT", c.Endpoint},
		{"S3_BUCKET", c.Bucket},
		{"AWS_ACCESS_KEY_ID", c.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", string(c.SecretAccessKey)},
	} {
		if v.value == "" {
			return c, nil, &ConfigError{v.name, "is not set", ""}
		}
	}
	if strings.ContainsAny(c.Bucket, "/?#% ") {
		return c, nil, &ConfigError{"S3_BUCKET", "is no bucket name", "the bare name, as the R2 dashboard shows it"}
	}
	u, err := c.endpoint()
	if err != nil {
		return c, nil, err
	}
	if c.Region == "" {
		c.Region = "auto"
	}
	if c.MaxConcurrency <= 0 {
		c.MaxConcurrency = DefaultConcurrency
	}
	if c.Meter == nil {
		c.Meter = new(costs.Meter)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Prefix = strings.Trim(c.Prefix, "/")
	return c, u, nil
}

// endpoint parses and judges the endpoint. A path is fine (gateways have
// them), the bucket's name in it is not: it would be there twice.
func (c Config) endpoint() (*url.URL, error) {
	bad := func(reason, hint string) error { return &ConfigError{"S3_ENDPOINT", reason, hint} }
	const form = "like https://ACCOUNT.r2.cloudflarestorage.com"
	u, err := url.Parse(strings.TrimRight(c.Endpoint, "/"))
	if err != nil || u.Hostname() == "" {
		return nil, bad("is no URL", form)
	}
	// Never show c.Endpoint itself from here on: it may hold a password.
	switch host := strings.ToLower(u.Hostname()); {
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, bad("scheme is neither https nor http", form)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, bad("has more than host and path", form)
	case u.Scheme == "http" && !c.AllowHTTP && !isLoopback(host):
		return nil, bad("http would send everything readable", "use https, or S3_PROTOCOL=http if this network is yours")
	case strings.HasPrefix(host, strings.ToLower(c.Bucket)+"."):
		return nil, bad("holds the bucket's name", fmt.Sprintf("%s://%s", u.Scheme, u.Host[len(c.Bucket)+1:]))
	case u.Path == "/"+c.Bucket || strings.HasSuffix(u.Path, "/"+c.Bucket):
		return nil, bad("ends with the bucket's name", fmt.Sprintf("%s://%s%s", u.Scheme, u.Host, strings.TrimSuffix(u.Path, "/"+c.Bucket)))
	case isR2(host) && u.Path != "":
		return nil, bad("has a path", fmt.Sprintf("%s://%s", u.Scheme, u.Host))
	}
	return u, nil
}

// isR2 reports whether host is Cloudflare's, jurisdictions included.
func isR2(host string) bool {
	return strings.HasSuffix(strings.ToLower(host), ".r2.cloudflarestorage.com")
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
