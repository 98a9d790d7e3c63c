package owner_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"example.org/mediamove/ledger"
	"example.org/mediamove/owner"
	"example.org/mediamove/r2"
)

// memory is a bucket and a ledger as far as the claim needs them. It can die
// before or after its nth durable effect, which is what a kill looks like.
type memory struct {
	doc               []byte
	etag              int
	objects           []r2.Object
	careless          bool // ignores conditions
	id                ledger.Identity
	rows              bool
	effects           int
	dieAt             int // 0: never
	late              bool
	gets, puts, pages int
}

var errKilled = errors.New("killed")

func (m *memory) effect(do func()) error {
	m.effects++
	if m.effects != m.dieAt {
		do()
		return nil
	}
	if m.late {
		do()
	}
	return errKilled
}

func (m *memory) GetDoc(context.Context, string) ([]byte, string, error) {
	m.gets++
	if m.doc == nil {
		return nil, "", r2.ErrNotFound
	}
	return m.doc, string(rune('a' + m.etag)), nil
}

func (m *memory) PutDoc(_ context.Context, _ string, data []byte, ifMatch string) (string, error) {
	m.puts++
	switch {
	case m.careless:
	case ifMatch == "" && m.doc != nil:
		return "", r2.ErrExists
	case ifMatch != "" && ifMatch != string(rune('a'+m.etag)):
		return "", r2.ErrChanged
	}
	err := m.effect(func() { m.doc, m.etag = data, m.etag+1 })
	return string(rune('a' + m.etag)), err
}

func (m *memory) Page(context.Context, int) ([]r2.Object, bool, error) {
	m.pages++
	return m.objects, false, nil
}
func (m *memory) Identity(context.Context) (ledger.Identity, error) { return m.id, nil }
func (m *memory) SetIdentity(_ context.Context, id ledger.Identity) error {
	return m.effect(func() { m.id = id })
}
func (m *memory) Empty(context.Context) (bool, error) { return !m.rows, nil }

func options() owner.Options {
	return owner.Options{Domain: "a.example", BucketName: "bkt", Endpoint: "https://e"}
}

func mark(domain string, ledgers ...string) []byte {
	data, _ := owner.Mark{BucketID: "bid", Domain: domain, Ledgers: ledgers}.Encode()
	return data
}

// The decision table of the owner mark, row by row.
func TestTable(t *testing.T) {
	t.Parallel()
	avatar := r2.Object{Key: "accounts/avatars/000/000/001/original/a.png"}
	stray := r2.Object{Key: "holiday/beach.jpg"}
	tests := []struct {
		name    string
		m       memory
		edit    func(*owner.Options)
		refused string // part of the reason; "" is granted
		hint    string
		joined  bool
	}{
		{name: "empty ledger, empty bucket"},
		{name: "empty bucket, joined by name", edit: func(o *owner.Options) { o.Join = "bkt" }, refused: "nothing to join", hint: "leave --join out"},
		{name: "empty bucket, joined by id", edit: func(o *owner.Options) { o.Join = "bid" }, refused: "nothing to join", hint: "S3_KEY_PREFIX"},
		{name: "own mark", m: memory{doc: mark("a.example", "me"), rows: true, id: ledger.Identity{BucketID: "bid", Probed: true}}},
		{name: "own mark after a kill before the probe", m: memory{doc: mark("a.example", "me"), id: ledger.Identity{BucketID: "bid"}}},
		{name: "no mark, Mastodon keys", m: memory{objects: []r2.Object{avatar}}, refused: "already holds", hint: "--join bkt"},
		{name: "no mark, Mastodon keys, joined", m: memory{objects: []r2.Object{avatar}}, edit: func(o *owner.Options) { o.Join = "bkt" }, joined: true},
		{name: "no mark, foreign keys", m: memory{objects: []r2.Object{avatar, stray}}, edit: func(o *owner.Options) { o.Join = "bkt" }, refused: "not Mastodon's"},
		{name: "our domain, other ledger", m: memory{doc: mark("a.example", "other")}, refused: "by another ledger", hint: "--join bid"},
		{name: "our domain, other ledger, joined", m: memory{doc: mark("a.example", "other")}, edit: func(o *owner.Options) { o.Join = "bid" }, joined: true},
		{name: "our domain, joined with a wrong id", m: memory{doc: mark("a.example", "other")}, edit: func(o *owner.Options) { o.Join = "nope" }, refused: "does not name"},
		{name: "our domain, joined with the bucket's name only", m: memory{doc: mark("a.example", "other")}, edit: func(o *owner.Options) { o.Join = "bkt" }, refused: "does not name"},
		{name: "ledger knows objects, no mark", m: memory{rows: true, id: ledger.Identity{BucketID: "bid"}}, refused: "no owner mark", hint: "--new-bucket"},
		{name: "ledger knows objects, other id", m: memory{rows: true, doc: mark("a.example", "me"), id: ledger.Identity{BucketID: "old"}}, refused: "has id", hint: "--new-bucket"},
		{name: "other domain", m: memory{doc: mark("b.example", "me")}, edit: func(o *owner.Options) { o.Join = "bid" }, refused: "belongs to b.example"},
		{name: "not a mark", m: memory{doc: []byte("<html>")}, refused: "not a mediamove owner mark"},
		{name: "a later mark", m: memory{doc: []byte(`{"schema":"mediamove.owner/9"}`)}, refused: "schema"},
		{name: "server ignores conditions", m: memory{careless: true}, refused: "ignores If-None-Match"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m, o := tt.m, options()
				m.id.LedgerID = "me"
				if tt.edit != nil {
					tt.edit(&o)
				}
				before := string(m.doc)
				claim, err := owner.Check(t.Context(), &m, &m, o)
				if tt.refused == "" {
					if err != nil {
						t.Fatal(err)
					}
					if claim.BucketID == "" || claim.BucketID != m.id.BucketID || claim.Joined != tt.joined || !m.id.Probed {
						t.Errorf("claim %+v, identity %+v", claim, m.id)
					}
					return
				}
				r, ok := errors.AsType[*owner.RefusedError](err)
				if !ok || !strings.Contains(r.Reason, tt.refused) || !strings.Contains(r.Hint, tt.hint) {
					t.Fatalf("got %#v, want a refusal with %q and hint %q", err, tt.refused, tt.hint)
				}
				if string(m.doc) != before && !m.careless {
					t.Error("a refused claim wrote to the bucket")
				}
			})
		})
	}
}

func TestSteadyRunSendsOneGet(t *testing.T) {
	t.Parallel()
	m := memory{doc: mark("a.example", "me"), rows: true, id: ledger.Identity{LedgerID: "me", BucketID: "bid", Probed: true, Endpoint: options().Endpoint}}
	if _, err := owner.Check(t.Context(), &m, &m, options()); err != nil {
		t.Fatal(err)
	}
	if m.gets != 1 || m.puts != 0 || m.pages != 0 {
		t.Errorf("%d GET, %d PUT, %d LIST; want 1 GET only", m.gets, m.puts, m.pages)
	}
}

// Another server may treat conditions otherwise: it is probed, although the bucket
// came along with its mark.
func TestAnotherEndpointIsProbed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := memory{careless: true, doc: mark("a.example", "me"), rows: true, id: ledger.Identity{LedgerID: "me", BucketID: "bid", Probed: true, Endpoint: "https://old"}}
		_, err := owner.Check(t.Context(), &m, &m, options())
		if r, ok := errors.AsType[*owner.RefusedError](err); !ok || !strings.Contains(r.Reason, "ignores If-None-Match") {
			t.Error(err)
		}
	})
}

// forgetful loses the answer of its first writes.
type forgetful struct {
	*memory
	lost int
}

func (f *forgetful) PutDoc(ctx context.Context, name string, data []byte, ifMatch string) (string, error) {
	etag, err := f.memory.PutDoc(ctx, name, data, ifMatch)
	if f.lost > 0 {
		f.lost--
		return etag, r2.ErrFound
	}
	return etag, err
}

// A lost answer is no proof, neither of a careful server nor of a careless one.
func TestLostProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &forgetful{&memory{id: ledger.Identity{LedgerID: "me"}}, 3}
		if _, err := owner.Check(t.Context(), f, f, options()); err != nil || !f.id.Probed {
			t.Error(f.id, err)
		}
		f = &forgetful{&memory{id: ledger.Identity{LedgerID: "me"}}, 99}
		if _, err := owner.Check(t.Context(), f, f, options()); err == nil || f.id.Probed {
			t.Error(f.id, err)
		}
	})
}

// Whether an empty ledger would be granted is found out without a write.
func TestWouldGrant(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		m    memory
		join string
		want bool
	}{
		"empty bucket":         {memory{}, "", true},
		"another ledger's":     {memory{doc: mark("a.example", "other")}, "", false},
		"another's, joined":    {memory{doc: mark("a.example", "other")}, "bid", true},
		"another instance's":   {memory{doc: mark("b.example", "other")}, "bid", false},
		"holds other people's": {memory{objects: []r2.Object{{Key: "holiday/a.jpg"}}}, "", false},
	} {
		o := options()
		o.Join = tt.join
		before := string(tt.m.doc)
		if err := owner.WouldGrant(t.Context(), &tt.m, o); (err == nil) != tt.want {
			t.Errorf("%s: %v", name, err)
		}
		if tt.m.puts != 0 || string(tt.m.doc) != before {
			t.Errorf("%s: something was written", name)
		}
	}
}

func TestNoDomain(t *testing.T) {
	t.Parallel()
	o := options()
	o.Domain = ""
	if _, err := owner.Check(t.Context(), new(memory), new(memory), o); !errors.Is(err, owner.ErrNoDomain) {
		t.Error(err)
	}
}

// Killed before or after any durable step of a first run or of joining, the next
// run goes on by itself: no lock-out by our own half-written mark.
func TestKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	starts := map[string]func() (*memory, owner.Options){
		"first": func() (*memory, owner.Options) { return new(memory), options() },
		"join": func() (*memory, owner.Options) {
			o := options()
			o.Join = "bid"
			return &memory{doc: mark("a.example", "other")}, o
		},
		"switch": func() (*memory, owner.Options) {
			o := options()
			o.Switch = owner.After
			return new(memory), o
		},
	}
	for name, start := range starts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				for step := 1; ; step++ {
					for _, late := range []bool{false, true} {
						m, o := start()
						m.id.LedgerID, m.dieAt, m.late = "me", step, late
						_, err := owner.Check(t.Context(), m, m, o)
						if err == nil {
							return // there is no such step any more
						}
						m.dieAt = 0
						claim, err := owner.Check(t.Context(), m, m, o)
						if err != nil {
							t.Fatalf("step %d (late %t): the next run says %v", step, late, err)
						}
						got, err := owner.ParseMark(m.doc)
						if err != nil || !got.Names("me") || got.BucketID != claim.BucketID || !m.id.Probed {
							t.Fatalf("step %d (late %t): mark %+v, identity %+v, %v", step, late, got, m.id, err)
						}
						if claim.Joined != (name == "join") {
							t.Fatalf("step %d (late %t): joined %t", step, late, claim.Joined)
						}
						if claim.Switched != (o.Switch == owner.After) {
							t.Fatalf("step %d (late %t): switched %t", step, late, claim.Switched)
						}
					}
				}
			})
		})
	}
}

// After the switch stays after the switch, until somebody types otherwise.
func TestSwitchSticks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, o := &memory{id: ledger.Identity{LedgerID: "me"}}, options()
		steps := []struct {
			say  owner.Switch
			want bool
		}{{owner.Unset, false}, {owner.After, true}, {owner.Unset, true}, {owner.Before, false}, {owner.Unset, false}, {owner.After, true}}
		for i, s := range steps {
			o.Switch = s.say
			claim, err := owner.Check(t.Context(), m, m, o)
			if err != nil || claim.Switched != s.want {
				t.Fatalf("step %d: %+v, %v", i, claim, err)
			}
			got, _ := owner.ParseMark(m.doc)
			if (got.SwitchedAt != nil) != s.want || m.id.SwitchedAt.IsZero() == s.want {
				t.Fatalf("step %d: mark %v, ledger %v", i, got.SwitchedAt, m.id.SwitchedAt)
			}
		}
		// A lost ledger learns it from the mark, and the other way round.
		m.id.SwitchedAt, o.Switch = time.Time{}, owner.Unset
		if claim, err := owner.Check(t.Context(), m, m, o); err != nil || !claim.Switched || m.id.SwitchedAt.IsZero() {
			t.Fatal(claim, err)
		}
	})
}

// A rewrite by this version loses nothing that a later one wrote.
func TestMarkKeepsUnknownFields(t *testing.T) {
	t.Parallel()
	m, err := owner.ParseMark([]byte(`{"schema":"mediamove.owner/1","bucket_id":"b","domain":"d","ledgers":["l"],"created_at":"2026-11-22T00:00:00Z","region":"x","cleaner":{"host":"h"},
		"database":{"hash":"d","host":"h","ledger":"l","count":7,"token":"t","bound_at":"2026-11-23T00:00:00Z","pool":"p"}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := owner.Binding{Database: "d", Host: "h", Ledger: "l", Count: 7, Token: "t", BoundAt: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)}
	if m.Binding == nil || *m.Binding != want {
		t.Errorf("binding %+v", m.Binding)
	}
	data, err := m.Encode()
	for _, field := range []string{`"region": "x"`, `"cleaner": {`, `"pool": "p"`, `"token": "t"`, `"count": 7`} {
		if err != nil || strings.Count(string(data), field) != 1 {
			t.Errorf("%s in %s %v", field, data, err)
		}
	}
}

func TestMarkRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := owner.Mark{
			BucketID: rapid.StringN(1, 20, -1).Draw(t, "id"), Domain: rapid.StringN(1, 20, -1).Draw(t, "domain"),
			Ledgers: rapid.SliceOf(rapid.String()).Draw(t, "ledgers"),
		}
		if rapid.Bool().Draw(t, "bound") {
			m.Binding = &owner.Binding{Database: "d", Host: "h", Ledger: "l", Count: rapid.Int64().Draw(t, "count"), Token: rapid.String().Draw(t, "token")}
		}
		data, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := owner.ParseMark(data)
		if err != nil || got.BucketID != m.BucketID || got.Domain != m.Domain || len(got.Ledgers) != len(m.Ledgers) || (got.Binding == nil) != (m.Binding == nil) || m.Binding != nil && *got.Binding != *m.Binding {
			t.Fatalf("%+v → %+v, %v", m, got, err)
		}
	})
}

func FuzzParseMark(f *testing.F) {
	f.Add(mark("a.example", "me"))
	f.Add([]byte(`{"schema":"mediamove.owner/1","ledgers":null}`))
	f.Add([]byte(`{"schema":"mediamove.owner/1","bucket_id":"b","domain":"d","database":{"hash":"x","count":1,"more":[]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := owner.ParseMark(data)
		if err != nil {
			return
		}
		again, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := owner.ParseMark(again); err != nil || got.BucketID != m.BucketID {
			t.Fatalf("%q does not survive a round trip: %v", data, err)
		}
	})
}
