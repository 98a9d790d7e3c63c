package r2

import (
	"encoding/xml"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// A document is a page as encoding/xml sees it, in R2's order of elements.
type document struct {
	XMLName               xml.Name  `xml:"ListBucketResult"`
	Name                  *string   `xml:",omitempty"`
	Contents              []entry   `xml:",omitempty"`
	IsTruncated           *string   `xml:",omitempty"`
	Prefix                *string   `xml:",omitempty"`
	Owner                 *struct{} `xml:",omitempty"`
	NextContinuationToken *string   `xml:",omitempty"`
	KeyCount              *string   `xml:",omitempty"`
	EncodingType          *string   `xml:",omitempty"`
}

type entry struct {
	Key, Size, LastModified, ETag, StorageClass *string `xml:",omitempty"`
}

// agrees compares what p holds with what encoding/xml made of the same text.
func (d *document) agrees(p *page) string {
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	type object struct {
		Key, ETag, Size string
		Modified        time.Time
	}
	type all struct {
		Name, Token, Encoded, Truncated, Count string
		Objects                                []object
	}
	number := func(n int64, s *string) string { // as s is written, if it is n
		digits := strconv.FormatInt(n, 10)
		if s != nil && strings.TrimLeft(*s, "0") == strings.TrimLeft(digits, "0") {
			return *s
		}
		return strings.TrimPrefix(digits, "-1")
	}
	ours := all{string(p.name), string(p.token), string(p.encoded), string(p.truncated), number(p.count, d.KeyCount), nil}
	theirs := all{text(d.Name), text(d.NextContinuationToken), text(d.EncodingType), text(d.IsTruncated), text(d.KeyCount), nil}
	for i, c := range p.contents {
		var size *string
		if i < len(d.Contents) {
			size = d.Contents[i].Size
		}
		ours.Objects = append(ours.Objects, object{string(c.key), string(c.etag), number(c.size, size), c.modified})
	}
	for _, c := range d.Contents {
		at, _ := time.Parse(time.RFC3339, text(c.LastModified))
		theirs.Objects = append(theirs.Objects, object{text(c.Key), text(c.ETag), text(c.Size), at})
	}
	return cmp.Diff(theirs, ours)
}

const onePage = `<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
  <Name>b</Name><Prefix/><KeyCount>1</KeyCount><IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b</NextContinuationToken>
  <Contents><Key>a%2Fb</Key><Size>3</Size><ETag>&quot;abc&#34;</ETag><LastModified>2023-11-14T22:13:20.000Z</LastModified>
    <Owner><ID>1</ID><DisplayName/></Owner><StorageClass>STANDARD</StorageClass></Contents>
  <CommonPrefixes><Prefix>p</Prefix></CommonPrefixes><EncodingType>url</EncodingType>
</ListBucketResult>
`

func TestPageRead(t *testing.T) {
	t.Parallel()
	object := func(inside string) string {
		return "<ListBucketResult><Contents>" + inside + "</Contents></ListBucketResult>"
	}
	for name, text := range map[string]string{
		"all there is":      onePage,
		"little":            "<ListBucketResult/>",
		"no declaration":    strings.SplitN(onePage, "\n", 2)[1],
		"byte order mark":   "\ufeff" + onePage,
		"single quotes":     strings.ReplaceAll(onePage, `"`, `'`),
		"spaces in tags":    "<ListBucketResult  a='1'\n b=\"2\" ><Name >b</Name\t></ListBucketResult >\n",
		"odd attributes":    "<ListBucketResult xmlns:xsi='x' a.b-c='\"'></ListBucketResult>",
		"all entities":      object("<Key>&lt;&gt;&amp;&quot;&apos;&#65;&#x1F600;&#xD;&#9;&#10;</Key>"),
		"raw text":          object("<Key> a>b\"c'\td\n猫\u007f </Key>"),
		"highest number":    object("<Size>9223372036854775807</Size>"),
		"leading zero":      object("<Size>007</Size>"),
		"offset in a date":  object("<LastModified>2023-11-14T23:13:20+01:00</LastModified>"),
		"nothing in fields": "<ListBucketResult><Name></Name><IsTruncated></IsTruncated><Contents/></ListBucketResult>",
		"unknown elements":  "<ListBucketResult><New a='1'>x<Deep><er/>y</Deep>&amp;</New><b:c/></ListBucketResult>",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var d document
			if err := xml.Unmarshal([]byte(text), &d); err != nil {
				t.Fatal(err)
			}
			p := &page{name: []byte("of an earlier page"), contents: make([]content, 7)}
			if err := p.parse([]byte(text)); err != nil {
				t.Fatal(err)
			}
			if diff := d.agrees(p); diff != "" {
				t.Errorf("(-encoding/xml +ours):\n%s", diff)
			}
		})
	}
}

func TestPageRefused(t *testing.T) {
	t.Parallel()
	in := func(s string) string { return "<ListBucketResult>" + s + "</ListBucketResult>" }
	object := func(s string) string { return in("<Contents>" + s + "</Contents>") }
	for name, text := range map[string]string{
		"nothing":             "",
		"text":                "hello",
		"HTML":                "<!DOCTYPE html><html></html>",
		"another root":        "<Feed></Feed>",
		"begins with an end":  "</ListBucketResult>",
		"no end":              "<ListBucketResult><Name>b</Name>",
		"cut in a tag":        "<ListBucketResult><Name>b</Na",
		"cut in a text":       "<ListBucketResult><Name>b",
		"two documents":       in("") + in(""),
		"text at the end":     in("") + "x",
		"text between":        in("x<Name>b</Name>"),
		"overlap":             "<ListBucketResult><Contents></ListBucketResult></Contents>",
		"overlap below":       in("<New><a></New></a>"),
		"other end of text":   in("<Name>b</Key>"),
		"element in text":     in("<Name>b<i/></Name>"),
		"comment":             in("<!-- x -->"),
		"comment in text":     in("<Name>a<!-- x -->b</Name>"),
		"CDATA":               in("<Name><![CDATA[b]]></Name>"),
		"end of CDATA":        in("<Name>]]></Name>"),
		"instruction":         in("<?x y?>"),
		"document type":       "<!DOCTYPE a>" + in(""),
		"late declaration":    " <?xml version='1.0'?>" + in(""),
		"endless declaration": "<?xml version='1.0'" + in(""),
		"another XML":         "<?xml version='1.1'?>" + in(""),
		"another encoding":    "<?xml version='1.0' encoding='latin1'?>" + in(""),
		"own entity":          in("<Name>&b;</Name>"),
		"endless entity":      in("<Name>&amp</Name>"),
		"bare ampersand":      in("<Name>a & b;</Name>"),
		"NUL by number":       in("<Name>&#0;</Name>"),
		"surrogate by number": in("<Name>&#xD800;</Name>"),
		"noncharacter, too":   in("<Name>&#xFFFE;</Name>"),
		"beyond Unicode":      in("<Name>&#x110000;</Name>"),
		"overflow":            in("<Name>&#99999999999;</Name>"),
		"capital X":           in("<Name>&#X41;</Name>"),
		"control character":   in("<Name>\x01</Name>"),
		"carriage return":     in("<Name>a\rb</Name>"),
		"not UTF-8":           in("<Name>\xff</Name>"),
		"noncharacter":        in("<Name>\ufffe</Name>"),
		"bad unknown element": in("<New>\x01</New>"),
		"endless depth":       in(strings.Repeat("<a>", 9) + strings.Repeat("</a>", 9)),
		"no name":             in("<>"),
		"number for a name":   in("<1/>"),
		"space before a name": in("< Name>b</Name>"),
		"two colons":          in("<a:b:c/>"),
		"attribute, bare":     "<ListBucketResult a></ListBucketResult>",
		"attribute, unquoted": "<ListBucketResult a=1></ListBucketResult>",
		"attribute, endless":  "<ListBucketResult a='1></ListBucketResult>",
		"attribute, nameless": "<ListBucketResult ='1'></ListBucketResult>",
		"attribute, joined":   "<ListBucketResult a='1'b='2'></ListBucketResult>",
		"attribute, entity":   "<ListBucketResult a='&lt;'></ListBucketResult>",
		"attribute, control":  "<ListBucketResult a='\x01'></ListBucketResult>",
		"attribute at an end": "<ListBucketResult></ListBucketResult a='1'>",
		"name twice":          in("<Name>b</Name><Name>b</Name>"),
		"name twice, empty":   in("<Name/><Name>b</Name>"),
		"token twice":         in("<NextContinuationToken>b</NextContinuationToken><NextContinuationToken>c</NextContinuationToken>"),
		"encoding twice":      in("<EncodingType>url</EncodingType><EncodingType/>"),
		"truncated twice":     in("<IsTruncated>true</IsTruncated><IsTruncated>false</IsTruncated>"),
		"count twice":         in("<KeyCount>0</KeyCount><KeyCount>0</KeyCount>"),
		"key twice":           object("<Key>a</Key><Key>b</Key>"),
		"size twice":          object("<Size>1</Size><Size>1</Size>"),
		"date twice":          object(strings.Repeat("<LastModified>2023-11-14T22:13:20Z</LastModified>", 2)),
		"ETag twice":          object("<ETag>a</ETag><ETag>a</ETag>"),
		"no number":           object("<Size/>"),
		"a negative number":   object("<Size>-1</Size>"),
		"a sign":              object("<Size>+1</Size>"),
		"a space":             object("<Size> 1</Size>"),
		"a fraction":          object("<Size>1.0</Size>"),
		"too high a number":   object("<Size>9223372036854775808</Size>"),
		"no date":             object("<LastModified/>"),
		"another date":        object("<LastModified>Tue, 14 Nov 2023 22:13:20 GMT</LastModified>"),
		"no such day":         object("<LastModified>2023-02-30T22:13:20Z</LastModified>"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustBe(t, new(page).parse([]byte(text)), ErrNonsense)
		})
	}
}

func TestPlainKey(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"": "", "a/b": "a/b", "a+b": "a b", "%41%c3%A9%2B%25": "Aé+%", "%00%fF": "\x00\xff",
		"%": "!", "a%4": "!", "%zz": "!", "%4g": "!", "%é": "!",
	} {
		p := &page{encoded: []byte("url")}
		got, ok := p.plainKey(&content{key: []byte(key)})
		if ok != (want != "!") || ok && string(got) != want {
			t.Errorf("%q became %q, %t", key, got, ok)
		}
		p.encoded = nil
		if got, ok := p.plainKey(&content{key: []byte(key)}); !ok || string(got) != key {
			t.Errorf("%q, not encoded, became %q, %t", key, got, ok)
		}
	}
}

// Whatever encoding/xml writes is read as it was.
func TestPageProperty(t *testing.T) {
	t.Parallel()
	// What XML can carry; encoding/xml would write the rest as U+FFFD.
	text := rapid.StringOf(rapid.Rune().Filter(func(r rune) bool {
		return r >= ' ' && r != 0xfffe && r != 0xffff || r == '\n' || r == '\t' || r == '\r'
	}))
	maybe := rapid.Ptr(text, true)
	rapid.Check(t, func(rt *rapid.T) {
		number := rapid.Custom(func(rt *rapid.T) string {
			return strconv.FormatInt(rapid.Int64Range(0, math.MaxInt64).Draw(rt, "n"), 10)
		})
		date := rapid.Custom(func(rt *rapid.T) string {
			return time.Unix(rapid.Int64Range(0, 4e9).Draw(rt, "s"), rapid.Int64Range(0, 1e9-1).Draw(rt, "ns")).UTC().Format(time.RFC3339Nano)
		})
		d := document{
			Name: maybe.Draw(rt, "name"), IsTruncated: maybe.Draw(rt, "truncated"), Prefix: maybe.Draw(rt, "prefix"),
			NextContinuationToken: maybe.Draw(rt, "token"), KeyCount: rapid.Ptr(number, true).Draw(rt, "count"), EncodingType: maybe.Draw(rt, "encoding"),
			Contents: rapid.SliceOf(rapid.Custom(func(rt *rapid.T) entry {
				return entry{
					maybe.Draw(rt, "key"), rapid.Ptr(number, true).Draw(rt, "size"), rapid.Ptr(date, true).Draw(rt, "date"),
					maybe.Draw(rt, "etag"), maybe.Draw(rt, "class"),
				}
			})).Draw(rt, "contents"),
		}
		data, err := xml.Marshal(d)
		if err != nil {
			rt.Fatal(err)
		}
		var p page
		if err := p.parse(data); err != nil {
			rt.Fatal(err)
		}
		if diff := d.agrees(&p); diff != "" {
			rt.Errorf("(-encoding/xml +ours):\n%s", diff)
		}
	})
}

// FuzzPage: whatever is accepted, encoding/xml accepts, and reads the same in it.
func FuzzPage(f *testing.F) {
	f.Add(onePage)
	f.Add("\ufeff<ListBucketResult a='>'><New>x<Deep/>&#x41;</New><KeyCount>007</KeyCount></ListBucketResult>\n")
	f.Add("<ListBucketResult><Contents><Key>]]&gt;</Key></Contents><Contents/></ListBucketResult>")
	prefixed := regexp.MustCompile(`</?[\w.-]+:`) // encoding/xml takes any prefix for none
	f.Fuzz(func(t *testing.T, text string) {
		var p page
		if p.parse([]byte(text)) != nil || prefixed.MatchString(text) {
			return
		}
		var d document
		if err := xml.Unmarshal([]byte(text), &d); err != nil {
			t.Fatalf("accepted %q: %v", text, err)
		}
		if diff := d.agrees(&p); diff != "" {
			t.Errorf("%q (-encoding/xml +ours):\n%s", text, diff)
		}
	})
}
