package cloudflare

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// Whatever a server says: it is figures of the time that was asked about, or an
// error that can be shown.
func FuzzAnswer(f *testing.F) {
	older, err := os.ReadFile("testdata/older.json")
	if err != nil {
		f.Fatal(err)
	}
	day, err := os.ReadFile("testdata/day.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(200, older)
	f.Add(200, day)
	f.Add(200, []byte(strings.ReplaceAll(string(day), "2026-11-02", "2026-11-04")))
	f.Add(200, []byte(strings.ReplaceAll(string(day), `"errors": null`, `"errors": [{"message":"x","extensions":{"code":"budget"}}]`)))
	f.Add(403, []byte(`{"success":false,"errors":[{"code":10000,"message":"Authentication error"}]}`))
	f.Add(503, []byte("<html>"))
	f.Add(200, []byte(`{"data":{"viewer":{"accounts":[{"rows":[{"dimensions":{"date":"2026-11-02","bucketName":"b"},"max":{"payloadSize":1,"metadataSize":0,"objectCount":1,"uploadCount":0}}]}]}}}`))
	c := (&api{}).client(f)
	f.Fuzz(func(t *testing.T, status int, data []byte) {
		for _, d := range []*dataset{operations(), storage()} {
			q := question{data: d, span: span{nov(2), nov(4)}, sampling: true}
			rows, fail := c.read(q, status, data)
			if fail != nil {
				fail.heed(http.Header{"Retry-After": {string(data[:min(3, len(data))])}})
				checkFailure(t, fail)
				rows = fail.rows
			} else if status != 200 {
				t.Fatalf("%d is an answer", status)
			}
			for k, v := range rows {
				if k.day.Before(nov(2)) || !k.day.Before(nov(4)) || !isName(k.action+k.status) {
					t.Fatalf("%+v", k)
				}
				if min(v.requests, v.responseBytes, v.payload, v.metadata, v.objects, v.uploads) < 0 {
					t.Fatalf("%+v", v)
				}
			}
		}
	})
}

func checkFailure(t *testing.T, f *failure) {
	t.Helper()
	text := f.err.Error()
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) }) || len(text) > maxShown+200 || f.wait < 0 {
		t.Fatalf("%q %s", text, f.wait)
	}
	if !slices.Contains([]error{ErrToken, ErrLimit, ErrUnavailable, ErrShape}, f.err.Err) {
		t.Fatalf("%v is none of ours", f.err.Err)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a", "b")
	f.Add("\x1b]0;", "\u2028\u202e")
	f.Add(strings.Repeat("é", 160), "")
	f.Fuzz(func(t *testing.T, before, after string) {
		got := clean(before+testToken+after, "", testToken)
		if strings.Contains(got, testToken) || len(got) > maxShown+3 ||
			strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsGraphic(r) }) {
			t.Errorf("%q", got)
		}
	})
}
