package media_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"example.org/mediamove/media"
)

func TestCheckKey(t *testing.T) {
	t.Parallel()
	const (
		control = "contains a control character"
		line    = "contains a line or paragraph separator"
		non     = "contains a Unicode noncharacter"
		empty   = "contains an empty path segment"
		dot     = "contains a . or .. path segment"
	)
	for _, tt := range []struct{ key, reason string }{
		{"accounts/avatars/000/000/001/original/a.png", ""},
		{"a", ""},
		{"Grüße aus 東京 🎉 & <b>\"'%2F+.png", ""},
		{"cafe\u0301.png", ""}, // not NFC, but a key
		{"\uf8ff\ufffd", ""},
		{"...", ""},
		{".hidden/..x", ""},
		{strings.Repeat("x", 1024), ""},
		{strings.Repeat("é", 512), ""},
		{"", "empty"},
		{strings.Repeat("x", 1025), "longer than 1,024 bytes"},
		{strings.Repeat("é", 512) + "x", "longer than 1,024 bytes"},
		{"a\xff", "not valid UTF-8"},
		{"caf\xe9.png", "not valid UTF-8"},
		{"\xed\xa0\x80", "not valid UTF-8"}, // a surrogate
		{"a\x00b", control},
		{"a\nb", control},
		{"a\x1b[31m", control},
		{"a\x7f", control},
		{"a\u0085", control},
		{"a\u009f", control},
		{"a\u2028", line},
		{"a\u2029", line},
		{"a\ufffe", non},
		{"a\uffff", non},
		{"a\U0001fffe", non},
		{"a\U0010ffff", non},
		{"a\ufdd0", non},
		{"a\ufdef", non},
		{"/a", empty},
		{"a/", empty},
		{"a//b", empty},
		{"/", empty},
		{".", dot},
		{"a/../b", dot},
		{"./a", dot},
		{"a/..", dot},
	} {
		err := media.CheckKey(tt.key)
		if tt.reason == "" {
			if err != nil {
				t.Errorf("CheckKey(%q) = %v", tt.key, err)
			}
			continue
		}
		keyErr, ok := errors.AsType[*media.KeyError](err)
		if !ok || keyErr.Reason != tt.reason || keyErr.Key != tt.key {
			t.Errorf("CheckKey(%q) = %v, want reason %q", tt.key, err, tt.reason)
		}
	}
}

func TestMastodonKeysPass(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := anyPath(t)
		p.Style = "original"
		p.Name = rapid.StringMatching(`[0-9a-f]{16}\.(png|jpeg|mp4|mp3)`).Draw(t, "file name")
		if err := media.CheckKey(string(p.Key())); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzCheckKey(f *testing.F) {
	for _, s := range []string{"", "a/b.png", "a//b", "a/../b", "a\x00", "\xff", "a\u2028", "\ufffe", "cafe\u0301"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if err := media.CheckKey(s); err != nil {
			for _, r := range err.Error() { // it is shown on terminals
				if r < 0x20 || r == 0x7f || r == utf8.RuneError && !strings.ContainsRune(s, r) {
					t.Errorf("%q: message %q", s, err)
				}
			}
			return
		}
		// What passes must survive an XML listing as it is.
		var back string
		doc, err := xml.Marshal(s)
		if err == nil {
			err = xml.Unmarshal(doc, &back)
		}
		if err != nil || back != s {
			t.Errorf("%q comes back as %q, %v", s, back, err)
		}
	})
}

func TestNormal(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain.png":     "plain.png",
		"cafe\u0301":    "caf\u00e9",
		"caf\u00e9":     "caf\u00e9",
		"\u212b":        "\u00c5",
		"\u1112\u1161":  "\ud558",
		"not \xff utf8": "not \xff utf8",
	} {
		if got := media.Normal(in); got != want {
			t.Errorf("Normal(%q) = %q, want %q", in, got, want)
		}
	}
}

func ExampleCheckKey() {
	fmt.Println(media.CheckKey("accounts/avatars/000/000/001/original/a\x1b[2J.png"))
	// Output:
	// key "accounts/avatars/000/000/001/original/a\x1b[2J.png": contains a control character
}
