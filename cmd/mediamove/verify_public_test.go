package main

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"example.org/mediamove/fixtures"
	"example.org/mediamove/media"
	"example.org/mediamove/verify"
)

// front lets visitors in, and names the host in the settings.
func (m *moved) front(o fixtures.PublicOptions) {
	m.t.Helper()
	l, err := m.b.Public(o).Listen(false)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(l.Close)
	m.env["S3_PROTOCOL"] = "http"
	m.env["S3_ALIAS_HOST"] = strings.TrimPrefix(l.URL, "http://") + o.Path
}

// on changes the answers for one key.
func on(key string, edit func(a *fixtures.Answer)) func(*http.Request, *fixtures.Answer) {
	return func(r *http.Request, a *fixtures.Answer) {
		if strings.HasSuffix(r.URL.Path, key) {
			edit(a)
		}
	}
}

// Whatever visitors get wrong is found; if all is fine, that is told with how much was
// looked at.
func TestVerifyPublic(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(250))
	key := m.plain(4)[3] // of a type that its name tells
	all := func(*http.Request, *fixtures.Answer) {}
	m.front(fixtures.PublicOptions{AllowOrigin: "https://social.example", Edit: all})
	out := m.verify(exitOK, "--public")
	if p := out.Looks.Public; p.Asked < 200 || p.Fine != p.Asked || out.Looks.Private.Asked != 0 || out.Read != nil {
		t.Errorf("%+v", out.Looks)
	}
	if r := m.run("verify", "--public", "--visits", "20"); r.code != exitOK || !strings.Contains(r.stdout, "visited through the public host: ") {
		t.Error(r)
	}
	cors := fixtures.PublicOptions{AllowOrigin: "*"}
	tests := []struct {
		name string
		set  func(o *fixtures.PublicOptions)
		want string
	}{
		{"wrong type", func(o *fixtures.PublicOptions) {
			o.Edit = on(key, func(a *fixtures.Answer) { a.Header.Set("Content-Type", "text/html") })
		}, "Content-Type"},
		{"no Cache-Control", func(o *fixtures.PublicOptions) {
			o.Edit = on(key, func(a *fixtures.Answer) { a.Header.Del("Cache-Control") })
		}, "Cache-Control"},
		{"CORS for somebody else", func(o *fixtures.PublicOptions) {
			o.Edit = on(key, func(a *fixtures.Answer) { a.Header.Set("Access-Control-Allow-Origin", "https://other.example") })
		}, "no CORS"},
		{"not found", func(o *fixtures.PublicOptions) { o.Hide = []string{key} }, "status 404"},
		{"forbidden", func(o *fixtures.PublicOptions) { o.Forbid = []string{key} }, "status 403"},
		{"a redirect", func(o *fixtures.PublicOptions) {
			o.Edit = on(key, func(a *fixtures.Answer) {
				a.Status = http.StatusFound
				a.Header.Set("Location", "https://other.example/")
			})
		}, "status 302"},
		{"stale bytes", func(o *fixtures.PublicOptions) {
			o.Edit = on(key, func(a *fixtures.Answer) { a.Body = append(bytes.Clone(a.Body[:len(a.Body)-1]), '!') })
		}, "other bytes"},
		{"a thumbnail instead", func(o *fixtures.PublicOptions) {
			o.Edit = on(key, func(a *fixtures.Answer) { a.Body = a.Body[:len(a.Body)/2] })
		}, "other bytes"},
	}
	for _, tt := range tests {
		o := cors
		tt.set(&o)
		m.front(o)
		out := m.differs(map[string]string{key: "public"}, "--public", "--visits", "1000")
		if d := m.doubts(out.Run)[key]; !strings.Contains(d.Detail, tt.want) || out.Looks.Public.Fine != out.Looks.Public.Asked-1 || out.Same != int64(m.files.Moved.Files) {
			t.Errorf("%s: %q, %+v", tt.name, d.Detail, out.Looks)
		}
	}
	// No policy at all is wrong with every object.
	m.front(fixtures.PublicOptions{})
	out = m.verify(exitLeft, "--public", "--visits", "10")
	if p := out.Looks.Public; p.Fine != 0 || out.Public != p.Asked || out.Differences != p.Asked {
		t.Errorf("%+v", out)
	}
	r := m.run("verify", "--public", "--visits", "10")
	if !strings.Contains(r.stdout, "DNS, CORS policy, cache rules, access") {
		t.Error(r)
	}
}

// What the bucket holds below backups/ and imports/ must be nobody's, and nobody may
// ask for a listing.
func TestVerifyPublicPrivate(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(120))
	var archive string
	for _, k := range m.files.HeldBackKeys {
		if k.Private() {
			archive = string(k)
		}
	}
	m.b.Put(archive, []byte("an archive of somebody"))
	m.front(fixtures.PublicOptions{AllowOrigin: "*", Forbid: []string{"backups/", "imports/"}})
	out := m.differs(map[string]string{archive: "exposed"}, "--public", "--visits", "20")
	if p := out.Looks.Private; p.Asked != 1 || p.Fine != 1 {
		t.Errorf("%+v", out.Looks)
	}
	m.front(fixtures.PublicOptions{AllowOrigin: "*"})
	out = m.verify(exitLeft, "--public", "--visits", "20")
	if p := out.Looks.Private; p.Asked != 1 || p.Fine != 0 || out.Public != 1 || out.Exposed != 1 || out.Differences != 2 {
		t.Errorf("%+v", out)
	}
	r := m.run("verify", "--public", "--visits", "20")
	if !strings.Contains(r.stdout, "PRIVATE, and anybody gets it") {
		t.Error(r)
	}
	m.b.Delete(archive)
	m.front(fixtures.PublicOptions{AllowOrigin: "*", Listable: true})
	out = m.verify(exitLeft, "--public", "--visits", "20")
	if out.Public != 1 || out.Differences != 1 {
		t.Errorf("%+v", out)
	}
	r = m.run("verify", "--public", "--visits", "20")
	if !strings.Contains(r.stdout, "anybody can list the bucket") {
		t.Error(r)
	}
	if r := m.run("status", "--list", "public"); !strings.Contains(r.stdout, "wrong through the public host") {
		t.Error(r)
	}
}

// A path in the alias host, a key prefix and after the switch: the URLs are Mastodon's.
func TestVerifyPublicBelowAPath(t *testing.T) {
	t.Parallel()
	b := fixtures.NewBucket(fixtures.Options{})
	m := &moved{newSite(t, listen(t, b), fixtures.Mixed(120)), b}
	m.env["S3_KEY_PREFIX"], m.env["S3_ENABLED"] = "old", "false"
	m.must(exitOK, m.sync())
	m.front(fixtures.PublicOptions{Path: "/media", AllowOrigin: "*"})
	m.env["S3_ENABLED"] = "true"
	out := m.verify(exitOK, "--public", "--visits", "1000", m.root)
	if p := out.Looks.Public; p.Asked != int64(m.files.Moved.Files) || p.Fine != p.Asked {
		t.Errorf("%+v", out.Looks)
	}
	seen := make(map[verify.Class]bool)
	for _, o := range b.Objects() {
		seen[verify.ClassOf(media.Key(strings.TrimPrefix(o.Key, "old/")))] = true
	}
	m.front(fixtures.PublicOptions{Path: "/media"}) // no policy: each visit is a finding
	out = m.verify(exitLeft, "--public", "--visits", "1")
	for key := range m.doubts(out.Run) {
		delete(seen, verify.ClassOf(media.Key(key)))
	}
	if delete(seen, verify.Class{}); len(seen) != 0 {
		t.Errorf("not visited: %v", seen)
	}
}

// A host that does not answer is not a difference, and not fine either.
func TestVerifyPublicSilent(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Small(4))
	m.env["S3_PROTOCOL"], m.env["S3_ALIAS_HOST"] = "http", "127.0.0.1:1"
	out := verified(t, exitStopped, m.run("verify", "--json", "--public", "--visits", "1"))
	if out.Complete || len(out.Unknown) == 0 || out.Public != 0 || out.Differences != 0 {
		t.Errorf("%+v", out)
	}
}
