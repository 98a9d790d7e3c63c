package r2

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
)

func TestSecretNeverShows(t *testing.T) {
	t.Parallel()
	c := testConfig()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%e", "%10.3s"} {
		leaks2(t, fmt.Sprintf(verb, c.SecretAccessKey))
		leaks2(t, fmt.Sprintf(verb, &c.SecretAccessKey))
		leaks2(t, fmt.Sprintf(verb, c))
	}
	data, err := json.Marshal(struct{ S Secret }{c.SecretAccessKey})
	if err != nil {
		t.Fatal(err)
	}
	leaks2(t, string(data))
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", c.SecretAccessKey, "config", c)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", c.SecretAccessKey)
	leaks2(t, log.String())
}

// leaks2 looks for the secret in plain and in hex.
func leaks2(t *testing.T, text string) {
	t.Helper()
	if strings.Contains(text, testSecret) || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", testSecret)) {
		t.Errorf("leaks in %q", text)
	}
}

func TestRedactor(t *testing.T) {
	t.Parallel()
	c := testConfig()
	c.Proxy = &url.URL{Scheme: "http", Host: "proxy", User: url.UserPassword("u", "proxypass")}
	r := newRedactor(c)
	for in, want := range map[string]string{
		"plain":                                     "plain",
		"a\nb\x1b[31mc\u0085":                       "a b [31mc",
		"key " + testKeyID + "!":                    "key [secret]!",
		testSecret:                                  "[secret]",
		"via http://u:proxypass@proxy":              "via http://u:[secret]@proxy",
		"x Signature=0123 y":                        "x [secret]",
		"AWS4-HMAC-SHA256 Credential=a/b":           "[secret]",
		"?X-Amz-Credential=a&X-Amz-Signature=b":     "?[secret]",
		"hash " + strings.Repeat("0a", 32) + " end": "hash [secret] end",
		strings.Repeat("é", 400):                    strings.Repeat("é", 150) + "…",
	} {
		if got := r.text(in); got != want {
			t.Errorf("%q became %q", in, got)
		}
	}
}

func FuzzRedactor(f *testing.F) {
	f.Add("a", "b")
	f.Add("\x1b]0;", "\u2028")
	r := newRedactor(testConfig())
	f.Fuzz(func(t *testing.T, before, after string) {
		for _, c := range []string{testKeyID, testSecret} {
			got := r.text(before + c + after)
			if strings.Contains(got, c) || strings.ContainsAny(got, "\n\r\x1b\x00") || len(got) > maxShown+3 {
				t.Errorf("%q", got)
			}
		}
	})
}
