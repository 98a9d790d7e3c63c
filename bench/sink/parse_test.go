package sink

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const putHead = "PUT /bucket/media_attachments/files/112/345/678/901/234/567/original/0123456789abcdef.png?x-id=PutObject HTTP/1.1\r\n" +
	"Host: 127.0.0.1:9000\r\nUser-Agent: some client\r\nContent-Length: 5\r\nContent-MD5: XUFAKrxLKna5cZ2REBfFkg==\r\n" +
	"If-None-Match: *\r\nContent-Type: image/png\r\nX-Amz-Meta-Mtime: 1.5\r\nAuthorization: AWS4-HMAC-SHA256 …\r\n\r\n"

// The sink is light because a request costs it no memory.
func TestReadingARequestAllocatesNothing(t *testing.T) {
	src := strings.NewReader(putHead)
	br := bufio.NewReaderSize(src, readBuffer)
	var r request
	allocs := testing.AllocsPerRun(100, func() {
		src.Reset(putHead)
		br.Reset(src)
		if err := r.read(br); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	if r.length != 5 || string(r.ifNoneMatch) != "*" || string(r.kept) != "content-type: image/png\r\nx-amz-meta-mtime: 1.5\r\n" {
		t.Errorf("%+v", r)
	}
}

func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"\r\n\r\n", "GET /\r\n\r\n", "GET / SPDY/1\r\n\r\n", "GET * HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nno colon\r\n\r\n", "PUT /b/k HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"PUT /b/k HTTP/1.1\r\nContent-Length: five\r\n\r\n",
	} {
		var r request
		if err := r.read(bufio.NewReader(strings.NewReader(text))); !errors.Is(err, errMalformed) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(putHead))
	f.Add([]byte("GET /b?list-type=2&prefix=a%2Fb&delimiter= HTTP/1.1\r\n\r\n"))
	f.Add([]byte("POST /b/%zz?uploads HTTP/1.0\nConnection: close\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r request
		if err := r.read(bufio.NewReader(bytes.NewReader(data))); err != nil {
			return
		}
		if r.length < 0 || r.decoded < -1 || r.path[0] != '/' {
			t.Errorf("accepted %q as %+v", data, r)
		}
		bucket, _, err := r.bucketKey()
		if err == nil && strings.Contains(bucket, "/") {
			t.Errorf("bucket %q", bucket)
		}
		r.get("prefix")
		r.has("uploads")
	})
}

// Whatever comes in, reading it ends, and an error is the last of it.
func FuzzObjects(f *testing.F) {
	var b bytes.Buffer
	if err := WriteObjects(&b, slices.Values([]Object{{Key: "a", Size: 1}, {Key: "b", Parts: 2}})); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:b.Len()-1])
	f.Add([]byte("no objects"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var failed error
		for _, err := range readObjects(bytes.NewReader(data)) {
			if failed != nil {
				t.Fatalf("something came after %v", failed)
			}
			failed = err
		}
	})
}

// What counts as plain needs escaping nowhere.
func TestPlain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.StringMatching(`[\x00-\x7fé]?[0-9A-Za-z/._~-]{0,5}`).Draw(rt, "text")
		var b bytes.Buffer
		if err := xml.EscapeText(&b, []byte(text)); err != nil {
			rt.Fatal(err)
		}
		same := b.String() == text && strings.ReplaceAll(url.QueryEscape(text), "%2F", "/") == text
		if plain(text) != same {
			rt.Errorf("%q: plain %t, stays the same %t", text, plain(text), same)
		}
	})
}

// frame is aws-chunked, written.
func frame(text []byte, size int) []byte {
	var b bytes.Buffer
	for len(text) > 0 {
		n := min(size, len(text))
		fmt.Fprintf(&b, "%x;chunk-signature=00\r\n%s\r\n", n, text[:n])
		text = text[n:]
	}
	b.WriteString("0;chunk-signature=00\r\n\r\n")
	return b.Bytes()
}

func TestAWSChunkedRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(rt, "text")
		framed := frame(text, rapid.IntRange(1, 100).Draw(rt, "size"))
		got, err := io.ReadAll(&awsReader{br: bufio.NewReader(bytes.NewReader(framed))})
		if err != nil || !bytes.Equal(got, text) {
			rt.Fatalf("%q, %v", got, err)
		}
		if len(text) == 0 {
			return
		}
		cut := rapid.IntRange(0, len(framed)-len("0;chunk-signature=00\r\n\r\n")).Draw(rt, "cut")
		if _, err := io.ReadAll(&awsReader{br: bufio.NewReader(bytes.NewReader(framed[:cut]))}); err == nil {
			rt.Fatalf("cut at %d of %d: no error", cut, len(framed))
		}
	})
}

func FuzzAWSChunked(f *testing.F) {
	f.Add([]byte("5;chunk-signature=0\r\nhello\r\n0\r\n\r\n"))
	f.Add([]byte("-1\r\n"))
	f.Add([]byte("7fffffffffffffff\r\nx"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := io.ReadAll(&awsReader{br: bufio.NewReader(bytes.NewReader(data))})
		if len(got) > len(data) {
			t.Errorf("%d bytes out of %d, %v", len(got), len(data), err)
		}
	})
}
