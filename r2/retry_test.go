package r2

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.org/mediamove/costs"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// What each answer means: how it ends, and after how many attempts if the
// second would succeed.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	const retried = 2
	for _, c := range []struct {
		status   int
		code     string // "" is HTML
		attempts int
		err      error // nil: success, or a plain Error
		stops    bool
	}{
		{429, "TooManyRequests", retried, nil, false},
		{429, "ServiceUnavailable", retried, nil, false},
		{429, "", retried, nil, false},
		{500, "InternalError", retried, nil, false},
		{502, "", retried, nil, false},
		{503, "SlowDown", retried, nil, false},
		{503, "ServiceUnavailable", retried, nil, false},
		{504, "", retried, nil, false},
		{508, "", retried, nil, false}, // not S3: something in between
		{520, "", retried, nil, false},
		{521, "", retried, nil, false},
		{527, "", retried, nil, false},
		{530, "", retried, nil, false},
		{400, "ClientDisconnect", retried, nil, false},
		{400, "IncompleteBody", retried, nil, false},
		{400, "RequestTimeout", retried, nil, false},
		{408, "", retried, nil, false},
		{409, "ConditionalRequestConflict", retried, nil, false},

		{501, "NotImplemented", 1, errAny, false},
		{501, "", 1, errAny, false},
		{507, "InsufficientStorage", 1, errAny, false},
		{400, "InvalidArgument", 1, errAny, false},
		{400, "BadDigest", 1, ErrBadDigest, false},
		{400, "XAmzContentSHA256Mismatch", 1, ErrBadDigest, false},
		{403, "ObjectLockedByBucketPolicy", 1, ErrLocked, false},

		{401, "Unauthorized", 1, ErrDenied, true},
		{403, "AccessDenied", 1, ErrDenied, true},
		{403, "SignatureDoesNotMatch", 1, ErrDenied, true},
		{403, "RequestTimeTooSkewed", 1, ErrDenied, true},
		{400, "ExpiredRequest", 1, ErrDenied, true},
		{403, "NotEntitled", 1, ErrDenied, true},
		{403, "", 1, ErrDenied, true},
		{404, "NoSuchBucket", 1, ErrNoBucket, true},
		{301, "PermanentRedirect", 1, ErrEndpoint, true},
		{307, "", 1, ErrEndpoint, true},
	} {
		t.Run(fmt.Sprint(c.status, c.code), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &store{before: nth(1, func(w http.ResponseWriter, _ *http.Request) bool {
					if c.code == "" {
						w.WriteHeader(c.status)
						fmt.Fprint(w, "<html><h1>sorry</h1></html>")
					} else {
						s3Error(w, c.status, c.code, "Signature=abc "+testSecret+" "+testKeyID)
					}
					return true
				})}
				b, m := open(t, s)
				_, err := b.Put(t.Context(), upload("k", "x"))
				if errors.Is(c.err, errAny) {
					if err == nil {
						t.Fatal("no error")
					}
					leaks(t, err.Error())
				} else {
					mustBe(t, err, c.err)
				}
				if Stops(err) != c.stops {
					t.Errorf("Stops is %v: %v", !c.stops, err)
				}
				if n := m.Usage().Get(costs.PutObject); n != int64(c.attempts) {
					t.Errorf("%d attempts, want %d", n, c.attempts)
				}
				if n := b.Stats().Retries; n != int64(c.attempts-1) {
					t.Errorf("%d retries in Stats", n)
				}
			})
		})
	}
}

var errAny = errors.New("any")

// What people read.
func TestErrorTexts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status        int
		code, message string
		want          string
	}{
		{403, "AccessDenied", "x", "upload a/b.png: 403 AccessDenied: token lacks Object Read & Write on bucket b"},
		{401, "Unauthorized", "x", "upload a/b.png: 401 Unauthorized: acct.r2.cloudflarestorage.com does not know this AWS_ACCESS_KEY_ID: check it, and S3_ENDPOINT"},
		{404, "NoSuchBucket", "x", "upload a/b.png: 404 NoSuchBucket: there is no bucket b at acct.r2.cloudflarestorage.com: check S3_BUCKET, and S3_ENDPOINT (a bucket in a jurisdiction has its own)"},
		{400, "InvalidArgument", "bad\n\t thing", "upload a/b.png: 400 InvalidArgument: bad thing"},
		{412, "PreconditionFailed", "x", "upload a/b.png: 412 PreconditionFailed: the key is taken"},
	} {
		b, _ := open(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", c.code, c.message)
		}))
		_, err := b.Put(t.Context(), upload("a/b.png", "x"))
		if err == nil || err.Error() != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
}

func TestClockSkewIsNamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := open(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(-17*time.Minute).UTC().Format(http.TimeFormat))
			s3Error(w, 403, "RequestTimeTooSkewed", "x")
		}))
		_, err := b.Put(t.Context(), upload("k", "x"))
		if want := "upload k: 403 RequestTimeTooSkewed: this machine's clock is 17m0s ahead of the server's: set it right"; err.Error() != want {
			t.Errorf("got %v", err)
		}
		if got := b.Stats().ClockOffset; got != -17*time.Minute {
			t.Errorf("offset %v", got)
		}
	})
}

// The waits between attempts of one write: at least a second, growing,
// bounded, and at least what the server asks for.
func TestRetryTiming(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(store)
		n := 0
		s.before = func(w http.ResponseWriter, _ *http.Request) bool {
			if n++; n == 3 {
				w.Header().Set("Retry-After", "77")
			}
			if n < 5 {
				s3Error(w, 429, "TooManyRequests", "x")
			}
			return n < 5
		}
		b, _ := open(t, s)
		if _, err := b.Put(t.Context(), upload("k", "x")); err != nil {
			t.Fatal(err)
		}
		for i, least := range []time.Duration{time.Second, 2 * time.Second, 77 * time.Second, 8 * time.Second} {
			if gap := s.times[i+1].Sub(s.times[i]); gap < least || gap > least+least/2+time.Minute {
				t.Errorf("wait %d was %v", i+1, gap)
			}
		}
	})
}

func TestWaitIsBounded(t *testing.T) {
	t.Parallel()
	for n := range 100 {
		if d := (&job{op: costs.PutObject}).wait(n, 0); d < writeWait || d > maxWait*3/2 {
			t.Errorf("write %d waits %v", n, d)
		}
		if d := (&job{op: costs.HeadObject}).wait(n, 0); d < readWait || d > maxWait*3/2 {
			t.Errorf("read %d waits %v", n, d)
		}
	}
}

// One object that never works, among others that do, ends as ErrTransient
// after a bounded number of attempts, and doesn't stop the run.
func TestAttemptsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(store)
		tries := 0
		s.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/b/bad" {
				return false
			}
			tries++
			s3Error(w, 500, "InternalError", "We encountered an internal error.")
			return true
		}
		b, _ := open(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { // the others
			for i := 0; ctx.Err() == nil; i++ {
				_, _ = b.head(ctx, "other")
				_ = sleep(ctx, 700*time.Millisecond)
			}
		}()
		_, err := b.Put(ctx, upload("bad", "x"))
		cancel()
		synctest.Wait()
		mustBe(t, err, ErrTransient)
		if Stops(err) || tries != maxAttempts {
			t.Errorf("Stops %v after %d tries", Stops(err), tries)
		}
		if want := "upload bad: 500 InternalError: tried 10 times: We encountered an internal error."; err.Error() != want {
			t.Errorf("got %v", err)
		}
	})
}

// A whole hour of nothing but failures costs no object, be they many or one
// that has to make all the probes.
func TestOutageCostsNoObject(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 20} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			var after atomic.Int32
			b, _ := open(t, &store{before: func(w http.ResponseWriter, _ *http.Request) bool {
				if time.Since(began) < time.Hour {
					http.Error(w, "<html>", http.StatusServiceUnavailable)
					return true
				}
				nth := after.Add(1)
				switch nth { // it's back, but not quite well yet
				case 1:
					s3Error(w, 409, "ConditionalRequestConflict", "try again")
				case 2:
					s3Error(w, 500, "InternalError", "We encountered an internal error.")
				}
				return nth < 3
			}})
			errs := make(chan error, n)
			for i := range n {
				go func() {
					_, err := b.Put(t.Context(), upload(mediaKey(i), "x"))
					errs <- err
				}()
			}
			for range n {
				if err := <-errs; err != nil {
					t.Error(err)
				}
			}
			if d := time.Since(began); d > 2*time.Hour {
				t.Errorf("took %v", d)
			}
		})
	}
}

// Errors below HTTP: which stop the run, which are tried again.
func TestTransportErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err   error
		stops bool
		want  string
	}{
		"unknown host": {&net.OpError{Op: "dial", Err: &net.DNSError{Name: "acct.example", IsNotFound: true, Err: "no such host"}}, true, "host acct.example does not exist: check S3_ENDPOINT"},
		"DNS is down":  {&net.OpError{Op: "dial", Err: &net.DNSError{Name: "acct.example", IsTemporary: true, Err: "server misbehaving"}}, false, ""},
		"unknown CA":   {&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, true, "can't prove who it is"},
		"wrong name":   {&tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: new(x509.Certificate), Host: "h"}}, true, "can't prove who it is"},
		"no TLS":       {tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, true, "does not speak TLS"},
		"refused":      {&net.OpError{Op: "dial", Err: errors.New("connection refused")}, false, ""},
		"reset":        {&net.OpError{Op: "read", Err: errors.New("connection reset by peer")}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := new(store)
				n := 0
				b, m := open(t, nil, func(cfg *Config) {
					cfg.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
						if n++; n == 1 {
							return nil, c.err
						}
						return inProcess{s}.RoundTrip(r)
					})
				})
				_, err := b.Put(t.Context(), upload("k", "x"))
				if c.stops {
					mustBe(t, err, ErrEndpoint)
					if !Stops(err) || n != 1 || !strings.Contains(err.Error(), c.want) {
						t.Errorf("%d attempts, %v", n, err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if int64(n) != m.Usage().A()+m.Usage().B() {
					t.Errorf("%d attempts, counted %v", n, m.Usage())
				}
			})
		})
	}
}

// Once the endpoint has answered, a name that doesn't resolve is a flaw of DNS.
func TestFlappingDNS(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(store)
		n := 0
		b, _ := open(t, nil, func(cfg *Config) {
			cfg.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				if n++; n == 2 {
					return nil, &net.DNSError{Name: "h", IsNotFound: true}
				}
				return inProcess{s}.RoundTrip(r)
			})
		})
		for i := range 2 {
			if _, err := b.Put(t.Context(), upload(mediaKey(i), "x")); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Credentials must not travel to where a redirect points.
func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	visited := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visited = true }))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+r.URL.Path, status)
		}))
		c := testConfig()
		c.Endpoint = first.URL
		b, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		_, putErr := b.Put(t.Context(), upload("k", "x"))
		_, headErr := b.Head(t.Context(), "k")
		_, _, docErr := b.GetDoc(t.Context(), "k")
		for _, err := range []error{putErr, headErr, docErr} {
			mustBe(t, err, ErrEndpoint)
			if !strings.Contains(err.Error(), strings.TrimPrefix(other.URL, "http://")) {
				t.Errorf("other host not named: %v", err)
			}
		}
		first.Close()
		b.Close()
	}
	if visited {
		t.Error("the other host was visited")
	}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	s := new(store)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 {
			t.Errorf("spoke %s", r.Proto)
		}
		s.ServeHTTP(w, r)
	}))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	c := testConfig()
	c.Endpoint = srv.URL
	b, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Put(t.Context(), upload("k", "x"))
	mustBe(t, err, ErrEndpoint)

	c.RootCAs = x509.NewCertPool()
	c.RootCAs.AddCert(srv.Certificate())
	b, err = Open(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = b.Put(t.Context(), upload("k", "x")); err != nil {
		t.Fatal(err)
	}
	b.Close()
}

// net/http repeats a bodyless request by itself if a kept connection turns
// out to be closed. The meter must see that too.
func TestSilentRepeatsAreCounted(t *testing.T) {
	t.Parallel()
	n := make(chan int, 10)
	served := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		served++
		n <- served
		if served == 2 {
			panic(http.ErrAbortHandler)
		}
		s3Error(w, 404, "NoSuchKey", "x")
	}))
	defer srv.Close()
	c := testConfig()
	c.Endpoint = srv.URL
	b, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for range 2 {
		_, _, err := b.GetDoc(t.Context(), "k")
		mustBe(t, err, ErrNotFound)
	}
	if got := c.Meter.Usage().Get(costs.GetObject); got != int64(len(n)) {
		t.Errorf("%d counted, %d served", got, len(n))
	}
}

// What libraries say about a failed request may quote it.
func TestTransportErrorsDontLeak(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`Put "https://h/b/k?X-Amz-Credential=` + testKeyID + `&X-Amz-Signature=00": EOF`,
		`malformed HTTP response "Authorization: AWS4-HMAC-SHA256 Credential=` + testKeyID + `, Signature=00"`,
		"proxy says " + testSecret,
	} {
		synctest.Test(t, func(t *testing.T) {
			b, _ := open(t, nil, func(cfg *Config) {
				cfg.Transport = roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New(text) })
			})
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			f := b.attempt(ctx, &job{op: costs.PutObject, key: "k", send: (&putting{b: b, u: new(upload("k", "x"))}).send})
			if f == nil || !f.retry {
				t.Fatalf("%+v", f)
			}
			leaks(t, fmt.Sprintf("%v %+v %#v", f.err, f.err, f.err))
			leaks(t, fmt.Sprintf("%v %+v %#v", f.err.Err, f.err.Err, f.err.Err))
		})
	}
}
