package r2

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// A Bucket is a bucket that can be reached. All methods may be used by many
// goroutines at once; the pace is theirs together.
type Bucket struct {
	name, prefix string
	acl          string // canned ACL of new objects; "" sends none
	host         string

	wire *wire
	api  *s3.Client // everything but single PUTs
	lean *lean      // single PUTs
	pace *pace
	band *bandwidth
	hush *redactor
	log  *slog.Logger

	buffers  sync.Pool // of *[]byte, up to smallBody
	retries  atomic.Int64
	nonsense atomic.Int32          // in a row
	dead     atomic.Pointer[Error] // why no request can succeed any more
}

// Open checks c and returns the bucket it names. It sends nothing.
// An error is a [*ConfigError].
func Open(c Config) (*Bucket, error) {
	c, endpoint, err := c.checked()
	if err != nil {
		return nil, err
	}
	base := c.Transport
	if base == nil {
		base = newTransport(c)
	}
	creds := aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: string(c.SecretAccessKey)}
	b := &Bucket{
		name:   c.Bucket,
		prefix: c.Prefix,
		host:   endpoint.Host,
		wire:   &wire{base: base, meter: c.Meter},
		pace:   newPace(paceOptions{Max: c.MaxConcurrency, Log: c.Log}),
		hush:   newRedactor(c),
		log:    c.Log,
	}
	if c.BytesPerSecond > 0 {
		b.band = newBandwidth(c.BytesPerSecond)
	}
	b.acl = acl(c, endpoint.Hostname())
	b.api = newAPI(c, creds, endpoint, b.wire)
	b.lean = newLean(c, creds, endpoint, b.wire)
	return b, nil
}

// Close drops the kept connections. Requests under way go on.
func (b *Bucket) Close() {
	if c, ok := b.wire.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// acl decides about the x-amz-acl header (R2 has no ACLs and documents the
// header as unsupported).
func acl(c Config, host string) string {
	switch {
	case isR2(host):
		return ""
	case c.ACL != nil:
		return *c.ACL
	default:
		c.Log.Warn("S3_PERMISSION is not set: objects get the bucket's default permission", "endpoint", host)
		return ""
	}
}

// newAPI sets the SDK up by hand: LoadDefaultConfig would read the
// environment and ~/.aws.
func newAPI(c Config, creds aws.Credentials, endpoint *url.URL, w *wire) *s3.Client {
	return s3.New(s3.Options{
		Region:             c.Region,
		EndpointResolverV2: fixedEndpoint{*endpoint.JoinPath(c.Bucket), c.Region},
		HTTPClient:         w,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return creds, nil
		}),
		// R2 refuses a CRC beside Content-MD5, and aws-chunked trailers failed on it.
		RequestChecksumCalculation:   aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation:   aws.ResponseChecksumValidationWhenRequired,
		ContinueHeaderThresholdBytes: -1,               // R2 doesn't do Expect: 100-continue
		Retryer:                      aws.NopRetryer{}, // retries are ours: see run
		APIOptions:                   []func(*middleware.Stack) error{unsignedEncoding},
	})
}

// unsignedEncoding drops Accept-Encoding before the request is signed: R2's
// emulator and proxies alter it, which would break the signature.
func unsignedEncoding(stack *middleware.Stack) error {
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("UnsignedEncoding",
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			if r, ok := in.Request.(*smithyhttp.Request); ok {
				r.Header.Del("Accept-Encoding")
			}
			return next.HandleFinalize(ctx, in)
		}), "Signing", middleware.Before)
}

// unsignedPayload spares the SDK a second hashing of a part over http; its
// Content-MD5 is signed and says the same.
func unsignedPayload(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
}

// newTransport is the network: HTTP/1.1, as many kept connections as there
// may be requests, no proxy but the configured one. One HTTP/2 connection
// would carry all workers at the speed of one.
func newTransport(c Config) *http.Transport {
	t := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.RootCAs},
		TLSHandshakeTimeout: 15 * time.Second,
		Protocols:           new(http.Protocols),
		MaxIdleConns:        c.MaxConcurrency,
		MaxIdleConnsPerHost: c.MaxConcurrency,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
		WriteBufferSize:     smallBody + 2<<10, // headers and a small body in one write
	}
	t.Protocols.SetHTTP1(true) // and so not HTTP/2, whatever TLS would negotiate
	if c.Proxy != nil {
		t.Proxy = http.ProxyURL(c.Proxy)
	}
	return t
}

// Stats is a snapshot for progress lines.
type Stats struct {
	Concurrency int   // requests that may run at once just now
	InFlight    int   // requests that do
	Retries     int64 // attempts beyond each first
	Throttled   int64 // 429 and SlowDown

	Paused bool // the breaker waits for the bucket
	Since  time.Time

	ClockOffset time.Duration // server's time minus ours, to a second
}

// Stats returns the current figures.
func (b *Bucket) Stats() Stats {
	p := b.pace.stats()
	return Stats{
		Concurrency: p.Limit,
		InFlight:    p.InFlight,
		Retries:     b.retries.Load(),
		Throttled:   p.Throttled,
		Paused:      p.Paused,
		Since:       p.PausedSince,
		ClockOffset: b.wire.clock.ahead(),
	}
}
