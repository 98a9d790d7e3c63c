package cloudflare

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		option string // that is wrong; "" for none
		change func(*Options)
	}{
		{"", func(*Options) {}},
		{"", func(o *Options) { o.Account = strings.ToUpper(testAccount) }},
		{"", func(o *Options) { o.Endpoint = "http://[::1]:8080/x" }},
		{"", func(o *Options) { o.Endpoint = "http://localhost/x" }},
		{"", func(o *Options) { o.Endpoint = "https://gateway.example/x" }},
		{"Token", func(o *Options) { o.Token = "" }},
		{"Token", func(o *Options) { o.Token = testToken + "\n" }},
		{"Token", func(o *Options) { o.Token = "Bearer " + testToken }},
		{"Token", func(o *Options) { o.Token = testToken + "é" }},
		{"Account", func(o *Options) { o.Account = "" }},
		{"Account", func(o *Options) { o.Account = testAccount[1:] }},
		{"Account", func(o *Options) { o.Account = "g" + testAccount[1:] }},
		{"Endpoint", func(o *Options) { o.Endpoint = "http://api.cloudflare.com/client/v4/graphql" }},
		{"Endpoint", func(o *Options) { o.Endpoint = "ftp://localhost/" }},
		{"Endpoint", func(o *Options) { o.Endpoint = "api.cloudflare.com" }},
		{"Endpoint", func(o *Options) { o.Endpoint = "https://" + testToken + ":x@api.cloudflare.com/" }},
		{"Endpoint", func(o *Options) { o.Endpoint = "https://api.cloudflare.com/?token=" + testToken }},
		{"Endpoint", func(o *Options) { o.Endpoint = "https://api.cloudflare.com/#" + testToken }},
		{"Endpoint", func(o *Options) { o.Endpoint = "https://\x7f" + testToken }},
	} {
		o := Options{Token: testToken, Account: testAccount}
		tt.change(&o)
		c, err := New(o)
		e, ok := errors.AsType[*OptionError](err)
		switch {
		case tt.option == "" && (err != nil || c == nil):
			t.Errorf("%+v: %v", o, err)
		case tt.option == "":
			c.Close()
		case !ok || e.Option != tt.option || e.Reason == "" || c != nil:
			t.Errorf("%+v: %v", o, err)
		case strings.Contains(err.Error()+e.Hint, testToken):
			t.Errorf("shows the token: %v", err)
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c, err := New(Options{Token: testToken, Account: testAccount})
	if err != nil {
		t.Fatal(err)
	}
	if c.endpoint != "https://api.cloudflare.com/client/v4/graphql" || c.patience != DefaultPatience || time.Since(c.now()) > time.Minute {
		t.Errorf("%v", c)
	}
	if tr := c.base.(*http.Transport); tr.Proxy != nil {
		t.Error("takes a proxy from the environment")
	}
}

func TestTokenNeverShows(t *testing.T) {
	t.Parallel()
	o := Options{Token: testToken, Account: testAccount, Transport: wire{}}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%e", "%10.3s"} {
		for _, x := range []any{o.Token, &o.Token, o, &o, c, []any{c}, map[Token]int{o.Token: 1}} {
			fmt.Fprintf(&out, verb+"\n", x)
		}
	}
	for _, log := range []*slog.Logger{slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))} {
		log.Info("x", "token", o.Token, "client", c, "options", fmt.Sprint(o))
	}
	data, err := json.Marshal(struct {
		T Token
		P *Token
	}{o.Token, &o.Token})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(data)
	leaks(t, out.String())
	if o.Token.String() != hidden || o.Token.GoString() != hidden {
		t.Error(o.Token.String())
	}
}

// leaks looks for any twelve characters of the token, in plain and in hex.
func leaks(t *testing.T, text string) {
	t.Helper()
	text = strings.ToLower(text)
	for i := range len(testToken) - 12 {
		piece := strings.ToLower(testToken[i : i+12])
		if strings.Contains(text, piece) || strings.Contains(text, fmt.Sprintf("%x", piece)) {
			t.Errorf("leaks in %q", text)
			return
		}
	}
}

// Servers echo what they got. Nothing of it passes an error or a log.
func TestTokenNeverEchoes(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		graphQL("Unauthorized: Bearer "+testToken, "authn"),
		graphQL("internal server error "+testToken, ""),
		graphQL(strings.Repeat("x", maxShown-10)+testToken, "odd"),
		`{"data":{"viewer":{"accounts":"` + testToken + `"}}}`,
		`{"data":{"viewer":{"accounts":[{"rows":[{"dimensions":{"date":"2026-11-02","actionType":"x"},"sum":{"requests":"` + testToken + `"}}]}]}}}`,
		testToken,
	} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			c := failsWith(200, body).client(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
			_, err := c.Operations(t.Context(), "", nov(2), nov(3))
			if err == nil {
				t.Error(body)
			}
			leaks(t, fmt.Sprintf("%v %+v %s", err, err, log.String()))
		})
	}
	c := (&api{}).client(t, patience(-1), func(o *Options) {
		o.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("can't send %v", r.Header)
		})
	})
	_, err := c.Storage(t.Context(), "", nov(2), nov(3))
	leaks(t, err.Error())
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), hidden) {
		t.Error(err)
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]*Error{
		"read R2 storage from Cloudflare: token refused":                         {Dataset: "storage", Err: ErrToken},
		"read R2 storage from Cloudflare: token refused: no":                     {Dataset: "storage", Status: 200, Message: "no", Err: ErrToken},
		"read R2 operations from Cloudflare: 403 token refused: no":              {Dataset: "operations", Status: 403, Message: "no", Err: ErrToken},
		"read R2 operations from Cloudflare: 429 too many queries (again in 5s)": {Dataset: "operations", Status: 429, RetryAfter: 4_900 * time.Millisecond, Err: ErrLimit},
	} {
		if e.Error() != want {
			t.Errorf("%q, want %q", e.Error(), want)
		}
	}
}

func TestPlace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ endpoint, name string }{
		{"https://" + testAccount + ".r2.cloudflarestorage.com", "media"},
		{"https://" + testAccount + ".r2.cloudflarestorage.com/", "media"},
		{"HTTPS://" + strings.ToUpper(testAccount) + ".R2.CloudflareStorage.com:443", "media"},
		{"https://" + testAccount + ".eu.r2.cloudflarestorage.com", "eu_media"},
		{"https://" + testAccount + ".fedramp.r2.cloudflarestorage.com", "fedramp_media"},
		{"https://" + testAccount + ".a.b.r2.cloudflarestorage.com", ""},
		{"https://" + testAccount + "..r2.cloudflarestorage.com", ""},
		{"https://media." + testAccount + ".r2.cloudflarestorage.com", ""},
		{"https://r2.cloudflarestorage.com", ""},
		{"https://" + testAccount + ".r2.cloudflarestorage.com.evil.example", ""},
		{"https://s3.example.com", ""},
		{testAccount + ".r2.cloudflarestorage.com", ""},
		{"https://\x7f", ""},
		{"", ""},
	} {
		account, name, ok := Place(tt.endpoint, "media")
		if ok != (tt.name != "") || name != tt.name || ok && account != testAccount {
			t.Errorf("%s: %s, %s, %t", tt.endpoint, account, name, ok)
		}
	}
}
