package cleanup_test

import (
	"context"
	"fmt"
	"iter"
	"testing"

	"pgregory.net/rapid"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// A catalog is rows by class, the last of which may be an error.
type catalog struct {
	rows  map[media.Class][]media.Row
	fails media.Class
}

func (c catalog) Classes() []media.Class {
	return []media.Class{media.MediaAttachments, media.Accounts, media.CustomEmojis}
}

func (c catalog) All(_ context.Context, class media.Class) iter.Seq2[media.Row, error] {
	return func(yield func(media.Row, error) bool) {
		for _, r := range c.rows[class] {
			if !yield(r, nil) {
				return
			}
		}
		if class == c.fails {
			yield(media.Row{}, errScripted)
		}
	}
}

func assess(t testing.TB, c catalog, objects []media.Key) (*cleanup.Match, error) {
	t.Helper()
	scratch, err := ledger.NewScratch(t.Context(), t.TempDir())
	must(t, err)
	defer func() { must(t, scratch.Close()) }()
	a := &cleanup.Assess{Catalog: c, Scratch: scratch}
	for _, k := range objects {
		must(t, a.Each(t.Context(), r2.Object{Key: k, Size: 1, ETag: "e"}))
	}
	return a.Match(t.Context())
}

func picture(id int64, name string) media.Row {
	return media.Row{Class: media.MediaAttachments, ID: id, Files: []media.Filed{{Attachment: "files", Name: name, ContentType: "image/png"}}}
}

// TestMatch: rows and objects in any order, in both spellings; orphans don't matter.
func TestMatch(t *testing.T) {
	t.Parallel()
	rows := map[media.Class][]media.Row{
		media.MediaAttachments: {picture(3, "a.png"), picture(1, "e\u0301.png"), picture(2, "b.png")},
		media.Accounts:         {{Class: media.Accounts, ID: 1, Files: []media.Filed{{Attachment: "avatars"}, {Attachment: "headers"}}}},
	}
	var required []media.Key
	for _, list := range rows {
		for _, r := range list {
			for k := range r.Required() {
				required = append(required, k)
			}
		}
	}
	n := int64(len(required))
	if n < 6 {
		t.Fatal(required)
	}
	var there []media.Key
	for _, k := range required {
		there = append(there, media.Key(media.Normal(string(k)))) // as R2 lists them
	}
	there = append(there, "robots.txt", "accounts/avatars/000/000/001/original/orphan.png", ".mediamove/owner.json", "backups/dumps/000/000/001/original/a.zip")
	m, err := assess(t, catalog{rows: rows}, there)
	must(t, err)
	equal(t, *m, cleanup.Match{Rows: 4, Required: n, Present: n})

	missing := there[0]
	m, err = assess(t, catalog{rows: rows}, there[1:])
	must(t, err)
	if m.Required != n || m.Present != n-1 || media.Normal(string(m.Example)) != string(missing) {
		t.Errorf("%+v, missing is %q", m, missing)
	}
	m, err = assess(t, catalog{rows: rows}, nil)
	must(t, err)
	equal(t, []int64{m.Required, m.Present}, []int64{n, 0})
	m, err = assess(t, catalog{}, there)
	must(t, err)
	equal(t, *m, cleanup.Match{})
}

func TestMatchFails(t *testing.T) {
	t.Parallel()
	for _, c := range (catalog{}).Classes() {
		_, err := assess(t, catalog{fails: c}, nil)
		wantIs(t, err, errScripted)
	}
}

func TestFits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		required, present int64
		fits              bool
		percent           string
	}{
		{0, 0, false, "0.0"}, {10, 9, true, "90.0"}, {10, 8, false, "80.0"}, {1000, 899, false, "89.9"}, {1000, 900, true, "90.0"}, {1, 1, true, "100.0"},
	} {
		m := &cleanup.Match{Required: tt.required, Present: tt.present}
		if m.Fits() != tt.fits || fmt.Sprintf("%.1f", m.Percent()) != tt.percent {
			t.Errorf("%+v: %t, %.1f %%", tt, m.Fits(), m.Percent())
		}
	}
}

// TestMatchModel: as many are present as in two sets.
func TestMatchModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		rows := map[media.Class][]media.Row{}
		want, bucket := map[media.Key]bool{}, map[media.Key]bool{}
		for id := range rapid.Int64Range(0, 30).Draw(r, "rows") {
			row := picture(id+1, rapid.SampledFrom([]string{"a.png", "b.mp4", "\u00e9.gif", "e\u0301.gif"}).Draw(r, "name"))
			rows[media.MediaAttachments] = append(rows[media.MediaAttachments], row)
			for k := range row.Required() {
				want[media.Key(media.Normal(string(k)))] = true
			}
		}
		present := int64(0)
		var objects []media.Key
		for k := range want {
			if bucket[k] = rapid.Bool().Draw(r, "there"); bucket[k] {
				present++
				objects = append(objects, k)
			}
		}
		objects = append(objects, "cache/accounts/avatars/000/000/001/original/x.png")
		m, err := assess(t, catalog{rows: rows}, objects)
		must(t, err)
		if m.Required != int64(len(want)) || m.Present != present || (m.Example == "") != (m.Present == m.Required) || bucket[media.Key(media.Normal(string(m.Example)))] {
			r.Fatalf("%+v, want %d of %d", *m, present, len(want))
		}
	})
}
