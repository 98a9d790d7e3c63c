package r2

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"example.org/mediamove/media"
)

func TestBatchable(t *testing.T) {
	t.Parallel()
	for key, want := range map[media.Key]bool{
		"media_attachments/files/112/345/678/901/234/567/original/0123456789abcdef.png":    true,
		"cache/media_attachments/files/112/345/678/901/234/567/small/0123456789abcdef.png": true,
		"site_uploads/files/000/000/001/@2x/0123456789abcdef.png":                          true,
		"custom_emojis/images/000/000/001/static/A_b-c.PNG":                                true,
		"": false, "/": false, "a": false, "a/": false, "/a": false, "a//b": false, "a/./b": false, "a/../b": false,
		".mediamove/owner.json": false, "a/.b": false, " a/b": false, "a/b ": false, "a/b\n": false, "a/ b": false,
		"a/b\x01": false, "a/b\xff": false, "a/b\ufffd": false, "a/ü": false, "a/b\u00a0": false, "a/<b>": false, "a/b&amp;c": false,
		"a/b+c": false, "a/b%20c": false, "a/b\x00": false, "a/b\\c": false, "a/b'c": false, "a/\u212a": false, "a/b:c": false,
		media.Key("a/" + strings.Repeat("b", 1022)): true, media.Key("a/" + strings.Repeat("b", 1023)): false,
	} {
		if Batchable(key) != want {
			t.Errorf("%q: %t", key, !want)
		}
	}
}

// Whatever is batchable stays itself: in XML, trimmed, in NFC, in a URL's path.
func TestBatchableStaysItself(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-zA-Z0-9_@./ -]{0,12}`), rapid.StringMatching(`[a-z@_-][a-z.]{0,3}(/[a-zA-Z0-9@_-][a-z.]{0,3}){1,4}`)).Draw(t, "key")
		if !Batchable(media.Key(key)) {
			return
		}
		var text bytes.Buffer
		if err := xml.EscapeText(&text, []byte(key)); err != nil || text.String() != key {
			t.Fatalf("in XML %q", text.String())
		}
		if strings.TrimSpace(key) != key || media.Normal(key) != key || media.CheckKey(key) != nil {
			t.Fatalf("%q isn't plain", key)
		}
	})
}

// A server that reports outcomes of its own choice in any order is understood key by key.
func TestDeleteBatchProperty(t *testing.T) {
	t.Parallel()
	codes := map[string]error{"NoSuchKey": nil, "InternalError": ErrTransient, "ObjectLockedByBucketPolicy": ErrLocked, "AccessDenied": ErrDenied}
	rapid.Check(t, func(rt *rapid.T) {
		keys := batch(rapid.IntRange(1, 20).Draw(rt, "keys"))
		want := make([]error, len(keys))
		var parts []string
		for i, k := range keys {
			code := rapid.SampledFrom([]string{"", "", "", "-", "NoSuchKey", "InternalError", "ObjectLockedByBucketPolicy", "AccessDenied"}).Draw(rt, "outcome")
			switch code {
			case "":
				parts = append(parts, fmt.Sprintf("<Deleted><Key>%s</Key></Deleted>", k))
			case "-":
				want[i] = ErrNonsense
			default:
				parts = append(parts, fmt.Sprintf("<Error><Code>%s</Code><Key>%s</Key></Error>", code, k))
				want[i] = codes[code]
			}
		}
		b, _ := open(t, says(200, "<DeleteResult>"+strings.Join(rapid.Permutation(parts).Draw(rt, "order"), " ")+"</DeleteResult>"))
		errs, err := b.DeleteBatch(t.Context(), keys)
		if len(parts) == 0 {
			if !errors.Is(err, ErrNonsense) {
				rt.Fatal(err)
			}
			return
		}
		if err != nil {
			rt.Fatal(err)
		}
		for i := range keys {
			if !errors.Is(errs[i], want[i]) || (errs[i] == nil) != (want[i] == nil) {
				rt.Errorf("%s: %v, want %v", keys[i], errs[i], want[i])
			}
		}
	})
}

// What is read as a result says what another reader of XML reads in it.
func FuzzDeleted(f *testing.F) {
	f.Add([]byte(result(batch(2), [2]string{"k", "InternalError"})))
	f.Add([]byte("<DeleteResult/>"))
	f.Add([]byte("<DeleteResult><Deleted><Key>a&amp;&#x20;b</Key><X><Y/></X></Deleted></DeleteResult>"))
	f.Add([]byte("<DeleteResult><Error><Key>a</Key></Error><Deleted/></DeleteResult>"))
	f.Fuzz(func(t *testing.T, text []byte) {
		echoes, err := parseDeleted(bytes.Clone(text))
		if err != nil {
			if !errors.Is(err, ErrNonsense) || echoes != nil {
				t.Fatalf("%v, %v", echoes, err)
			}
			return
		}
		var doc struct {
			XMLName xml.Name `xml:"DeleteResult"`
			Deleted []struct{ Key string }
			Error   []struct{ Key, Code string }
		}
		if err := xml.Unmarshal(text, &doc); err != nil {
			t.Fatalf("not XML: %v", err)
		}
		for _, e := range echoes {
			switch {
			case e.failed && len(doc.Error) > 0 && doc.Error[0].Key == e.key && doc.Error[0].Code == e.code:
				doc.Error = doc.Error[1:]
			case !e.failed && len(doc.Deleted) > 0 && doc.Deleted[0].Key == e.key:
				doc.Deleted = doc.Deleted[1:]
			default:
				t.Fatalf("%+v isn't there", e)
			}
		}
		if len(doc.Deleted)+len(doc.Error) > 0 {
			t.Fatalf("overlooked %+v", doc)
		}
	})
}
