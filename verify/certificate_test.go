package verify

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.org/mediamove/media"
)

// sampleCertificate is one after a move, before the switch, of a sample.
func sampleCertificate() Certificate {
	return Certificate{
		MadeAt: time.Date(2026, 11, 30, 9, 15, 21, 0, time.UTC), Version: "1.2.0", Run: 1187,
		Domain: "chillout.example", Root: "/home/mastodon/live/public/system",
		Bucket: "chillout-media", BucketID: "b3f1c7d2a9e84f60",
		Endpoint: "https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com", LedgerID: "5d0c9a1e77b24c38",
		Objects: 1064350, Bytes: 98765432101,
		ListedRun: 1187, ListedAt: time.Date(2026, 11, 30, 9, 14, 2, 0, time.UTC), ReadBack: 3000, Seed: new(uint64(81723)),
		Put: 1060000, Adopted: 4350,
		Classes: []ClassTotal{
			{media.MediaAttachments, false, 12000, 8123456789},
			{media.Accounts, false, 310, 31234567},
			{media.PreviewCardProviders, false, 40, 345678},
			{media.Outside, false, 2, 17},
			{media.MediaAttachments, true, 1051998, 90610395050},
		},
		List: ListFile{Name: "chillout.txt.sha256", Lines: 2128701, SHA256: [32]byte{0x9f, 31: 0x2c}},
	}
}

// switchedCertificate is one weeks after the switch, of everything read back, with
// names that need quotes.
func switchedCertificate() Certificate {
	c := sampleCertificate()
	c.Root, c.Prefix, c.Version = "", "media files", "1.2.0 (dirty)"
	c.SwitchedAt = time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)
	c.ReadBack, c.Seed = c.Objects, nil
	c.Rewritten, c.Absent, c.List.Lines = 12, 3, c.List.Lines+15
	c.List.Name = "Bücher\nobjects: 7.sha256"
	return c
}

// cleanedCertificate is one after cleanup runs.
func cleanedCertificate() Certificate {
	c := switchedCertificate()
	c.Removed = 1234
	return c
}

func TestCertificateGolden(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Certificate{"certificate.txt": sampleCertificate(), "switched.txt": switchedCertificate(), "cleaned.txt": cleanedCertificate()} {
		data := c.Encode()
		certGolden(t, name, data)
		back, err := ParseCertificate(data)
		if d := cmp.Diff(c, back); err != nil || d != "" {
			t.Errorf("%s: %v (-want +got)\n%s", name, err, d)
		}
	}
}

// certGolden compares with a file in testdata; UPDATE_GOLDEN=1 writes it.
func certGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = "testdata/" + name
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if d := cmp.Diff(string(want), string(got)); err != nil || d != "" {
		t.Errorf("%s: %v (-want +got)\n%s", name, err, d)
	}
}

// A page of the first format is read for ever.
func TestCertificateOfEarlierVersions(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/certificate.txt")
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseCertificate(data)
	if d := cmp.Diff(sampleCertificate(), c); err != nil || d != "" {
		t.Errorf("%v (-want +got)\n%s", err, d)
	}
}

// anyText draws texts that would like to be more than a text.
func anyText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(),
		rapid.StringMatching(`[!-~]{1,20}`),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 1, 20), func(b []byte) string { return string(b) }),
		rapid.SampledFrom([]string{
			"x\nobjects:      7", "a\r\nb", "\u2028", "\u202etxt.exe", "\"", `\`, `"x"`, "no prefix", "not compared", "not yet",
			"mediamove ", " ", " lead", "trail ", "a: b", "\x1b[2J", "\xff", "%s%d", "\x00", "日本", "e\u0301", "\U000e0001",
		}),
	)
}

// anyCertificate draws one that may be saved.
func anyCertificate(t *rapid.T) Certificate {
	text := func(label string) string {
		return anyText().Filter(func(s string) bool { return s != "" }).Draw(t, label)
	}
	when := rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(0, 253402300799).Draw(t, "unix"), 0).UTC()
	})
	c := Certificate{
		MadeAt: when.Draw(t, "made"), Version: text("version"), Run: rapid.Int64Min(1).Draw(t, "run"),
		Domain: text("domain"), Root: anyText().Draw(t, "root"), Bucket: text("bucket"), BucketID: text("id"),
		Endpoint: text("endpoint"), Prefix: anyText().Draw(t, "prefix"), LedgerID: text("ledger"),
		ListedRun: rapid.Int64Min(1).Draw(t, "listed run"), ListedAt: when.Draw(t, "listed"),
	}
	for _, class := range rapid.SliceOfNDistinct(rapid.SampledFrom(append(media.TopFolders(), "")), 1, 5, rapid.ID).Draw(t, "classes") {
		row := ClassTotal{
			media.Class(class), rapid.Bool().Draw(t, "cached"),
			rapid.Int64Range(1, maxCount/10).Draw(t, "n"), rapid.Int64Range(0, math.MaxInt64/10).Draw(t, "size"),
		}
		c.Classes, c.Objects, c.Bytes = append(c.Classes, row), c.Objects+row.Objects, c.Bytes+row.Bytes
	}
	c.Put = rapid.Int64Range(0, c.Objects).Draw(t, "put")
	c.Adopted = c.Objects - c.Put
	c.ReadBack = rapid.Int64Range(0, c.Objects).Draw(t, "read")
	if rapid.Bool().Draw(t, "sample") {
		c.Seed = new(rapid.Uint64().Draw(t, "seed"))
	}
	if rapid.Bool().Draw(t, "switched") {
		c.SwitchedAt = when.Draw(t, "switch")
		c.Rewritten, c.Absent = rapid.Int64Range(0, maxCount).Draw(t, "rewritten"), rapid.Int64Range(0, maxCount).Draw(t, "absent")
	}
	if rapid.Bool().Draw(t, "cleaned") {
		c.Removed = rapid.Int64Range(1, maxCount).Draw(t, "removed")
	}
	c.List = ListFile{"x" + strings.ReplaceAll(anyText().Draw(t, "list"), "/", ""), listLines(c.Objects, c.Rewritten+c.Absent), [32]byte{7}}
	return c
}

func TestCertificateInverse(t *testing.T) {
	t.Parallel()
	lines := bytes.Count(sampleCertificate().Encode(), []byte("\n")) - len(sampleCertificate().Classes)
	rapid.Check(t, func(t *rapid.T) {
		c := anyCertificate(t)
		data := c.Encode()
		back, err := ParseCertificate(data)
		if d := cmp.Diff(c, back); err != nil || d != "" {
			t.Fatalf("%v (-want +got)\n%s\n%s", err, d, data)
		}
		want := lines
		if c.Removed > 0 {
			want++
		}
		if n := bytes.Count(data, []byte("\n")) - len(c.Classes); n != want {
			t.Fatalf("%d lines besides the classes, not %d:\n%s", n, want, data)
		}
		if i := bytes.IndexFunc(data, func(r rune) bool { return r > '~' || r < ' ' && r != '\n' }); i >= 0 {
			t.Fatalf("not plain ASCII at %d:\n%s", i, data)
		}
	})
}

// Other zones and parts of a second are the same page.
func TestCertificateTimes(t *testing.T) {
	t.Parallel()
	c := sampleCertificate()
	want := c.Encode()
	c.MadeAt = c.MadeAt.In(time.FixedZone("JST", 9*3600)).Add(999 * time.Millisecond)
	c.ListedAt = c.ListedAt.In(time.FixedZone("", -1800))
	if got := c.Encode(); !bytes.Equal(got, want) {
		t.Errorf("got %s", got)
	}
}

// What a person, an editor or a mail program could do to a page.
func TestCertificateAltered(t *testing.T) {
	t.Parallel()
	page := string(sampleCertificate().Encode())
	sw := string(switchedCertificate().Encode())
	for name, altered := range map[string]string{
		"nothing":            "",
		"cut":                page[:len(page)/2],
		"cut by a byte":      page[:len(page)-1],
		"a line more":        page + "\n",
		"a line of ours":     page + "objects:  1064350\n",
		"CRLF":               strings.ReplaceAll(page, "\n", "\r\n"),
		"BOM":                "\ufeff" + page,
		"later format":       swapText(t, page, "certificate 1\n", "certificate 2\n"),
		"other file":         "BEGIN:VCARD\n",
		"too long":           page + strings.Repeat("x", MaxCertificate),
		"objects":            swapText(t, page, "    1064350", "    1064351"),
		"bytes":              swapText(t, page, "98765432101", "98765432102"),
		"differences":        swapText(t, page, "differences:            0", "differences:            1"),
		"spaces":             swapText(t, page, "bucket:       ", "bucket:      "),
		"put":                swapText(t, page, "1060000", "1060001"),
		"plus":               swapText(t, page, "run:          1187", "run:          +1187"),
		"zero run":           swapText(t, page, "run:          1187", "run:          0"),
		"separators":         swapText(t, page, "      3000,", "     3.000,"),
		"read back":          swapText(t, page, "      3000,", "   2064350,"),
		"seed":               swapText(t, page, "seed 81723", "seed 081723"),
		"all of them":        swapText(t, page, "3000, a sample with the seed 81723", "3000, all of them"),
		"class twice":        swapText(t, page, "accounts, local:    ", "media_attachments, local:"),
		"class sums":         swapText(t, page, "   8123456789", "   8123456788"),
		"class moved":        swapText(t, page, "accounts, local", "accounts, attic"),
		"zone":               swapText(t, page, "09:15:21Z", "10:15:21+01:00"),
		"fraction":           swapText(t, page, "09:15:21Z", "09:15:21.5Z"),
		"no date":            swapText(t, page, "2026-11-30T09:15:21Z", "yesterday"),
		"no domain":          swapText(t, page, "chillout.example", ""),
		"domain in vain":     swapText(t, page, "chillout.example", `"chillout.example"`),
		"bad quotes":         swapText(t, page, "chillout.example", `"chillout.example`),
		"list elsewhere":     swapText(t, page, "chillout.txt.sha256", "../chillout.txt.sha256"),
		"list nowhere":       swapText(t, page, "chillout.txt.sha256", ".."),
		"list lines":         swapText(t, page, "2128701", "2128700"),
		"capital digits":     swapText(t, page, "9f0000", "9F0000"),
		"short hash":         swapText(t, page, "9f0000", "9f00"),
		"line swapped":       swapText(t, page, "\nput: ", "\nputs:"),
		"explained":          swapText(t, page, "only reading back can", "only reading can"),
		"before the switch":  swapText(t, sw, "2026-12-01T03:00:00Z", "not yet"),
		"other spelling":     swapText(t, sw, `B\u00fccher`, `B\xc3\xbccher`),
		"unquoted":           swapText(t, sw, `"media files"`, `media files`),
		"negative":           swapText(t, sw, "           3\n", "          -3\n"),
		"exceptions traded":  swapText(t, sw, "          12\n", "          13\n"),
		"every line doubled": strings.ReplaceAll(page, "\n", "\n\n"),
	} {
		c, err := ParseCertificate([]byte(altered))
		if !errors.Is(err, ErrCertificate) {
			t.Errorf("%s: error %v", name, err)
		}
		if d := cmp.Diff(Certificate{}, c); d != "" {
			t.Errorf("%s: returned %s", name, d)
		}
	}
}

// swapText replaces text that must be there once.
func swapText(t *testing.T, page, old, text string) string {
	t.Helper()
	if strings.Count(page, old) < 1 {
		t.Fatalf("no %q in\n%s", old, page)
	}
	return strings.Replace(page, old, text, 1)
}

// No change of one byte goes unnoticed: it is an error or another certificate.
func TestCertificateEveryByteCounts(t *testing.T) {
	t.Parallel()
	page := switchedCertificate().Encode()
	for i := range page {
		for _, with := range []byte{page[i] ^ 1, ' ' + byte(i%3)} {
			altered := slices.Clone(page)
			if altered[i] = with; with == page[i] {
				continue
			}
			if c, err := ParseCertificate(altered); err == nil && cmp.Equal(c, switchedCertificate()) {
				t.Errorf("byte %d: %q in place of %q", i, with, page[i])
			}
		}
	}
}

// Sums that pass the largest number must not come round to the right one, and a
// class is counted once.
func TestCertificateSums(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Certificate){
		"classes": func(c *Certificate) {
			c.Classes = []ClassTotal{{"a", false, math.MaxInt64, 0}, {"b", false, math.MaxInt64, 0}, {"c", false, c.Objects + 2, c.Bytes}}
		},
		"bytes": func(c *Certificate) {
			c.Classes = []ClassTotal{{"a", false, 1, math.MaxInt64}, {"b", false, 1, math.MaxInt64}, {"c", false, c.Objects - 2, c.Bytes + 2}}
		},
		"put": func(c *Certificate) { c.Put, c.Adopted = math.MinInt64, math.MinInt64+c.Objects },
		"exceptions": func(c *Certificate) {
			c.Rewritten, c.Absent = math.MaxInt64, math.MaxInt64
			c.List.Lines = listLines(c.Objects, -2)
		},
		"class twice": func(c *Certificate) {
			c.Classes = []ClassTotal{{"a", false, 1, 0}, {"a", false, c.Objects - 1, c.Bytes}}
		},
		"lines": func(c *Certificate) {
			c.Objects = math.MinInt64 + 1
			c.List.Lines = 3
		},
	} {
		c := switchedCertificate()
		change(&c)
		if _, err := ParseCertificate(c.Encode()); !errors.Is(err, ErrCertificate) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCertificateRefuses(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Certificate){
		"2 differences":           func(c *Certificate) { c.Differences = 2 },
		"no object to certify":    func(c *Certificate) { c.Objects, c.Put, c.Adopted, c.Classes, c.List.Lines = 0, 0, 0, nil, 16 },
		`made by "": must not be`: func(c *Certificate) { c.Version = "" },
		`domain "": must not be`:  func(c *Certificate) { c.Domain = "" },
		`made at "": not a time`:  func(c *Certificate) { c.MadeAt = time.Time{} },
		`begun ": not a time`:     func(c *Certificate) { c.ListedAt = time.Time{} },
		"before the switch":       func(c *Certificate) { c.SwitchedAt = time.Time{} },
		"is none of a file":       func(c *Certificate) { c.List.Name = "a/b" },
		"of 1064350 objects":      func(c *Certificate) { c.ReadBack++ },
		`"11026-11-30T09:15:21Z"`: func(c *Certificate) { c.MadeAt = c.MadeAt.AddDate(9000, 0, 0) },
		"no run":                  func(c *Certificate) { c.ListedRun = 0 },
		"a count of -1":           func(c *Certificate) { c.Absent = -1 },
		"a count of -7":           func(c *Certificate) { c.Removed = -7 },
	} {
		c := switchedCertificate()
		change(&c)
		if _, err := ParseCertificate(c.Encode()); !errors.Is(err, ErrCertificate) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

func FuzzParseCertificate(f *testing.F) {
	f.Add(sampleCertificate().Encode())
	f.Add(switchedCertificate().Encode())
	f.Add([]byte(certificateLine + "\n\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseCertificate(data)
		if err != nil {
			if !errors.Is(err, ErrCertificate) || !cmp.Equal(c, Certificate{}) {
				t.Errorf("%v with %+v", err, c)
			}
			return
		}
		if again := c.Encode(); !bytes.Equal(again, data) {
			t.Errorf("printed again:\n%s\nwas:\n%s", again, data)
		}
		if c.Differences != 0 || c.Objects < 1 || c.Put+c.Adopted != c.Objects {
			t.Errorf("believed: %+v", c)
		}
	})
}

func FuzzCertificateText(f *testing.F) {
	f.Add("plain", "no prefix")
	f.Add("a\nbytes:  1", "\xff\u202e")
	f.Fuzz(func(t *testing.T, bucket, root string) {
		c := sampleCertificate()
		c.Bucket, c.Root = "b"+bucket, root
		data := c.Encode()
		if len(data) > MaxCertificate {
			return
		}
		back, err := ParseCertificate(data)
		if err != nil || back.Bucket != c.Bucket || back.Root != root {
			t.Errorf("%v, bucket %q, root %q of\n%s", err, back.Bucket, back.Root, data)
		}
	})
}

func ExampleCertificate_Encode() {
	page := strings.Split(string(sampleCertificate().Encode()), "\n")
	fmt.Println(page[0])
	fmt.Println(page[7], "#", strconv.Quote("not compared"), "if it was not")
	// Output:
	// mediamove certificate 1
	// media root:   /home/mastodon/live/public/system # "not compared" if it was not
}
