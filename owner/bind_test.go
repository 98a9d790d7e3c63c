package owner_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/owner"
)

// keeper is a memory whose ledger keeps the cleaning counter too.
type keeper struct {
	*memory
	books ledger.Cleaning
	never bool // the ledger knows of no counter
}

func (k *keeper) Cleaning(context.Context) (ledger.Cleaning, error) {
	if k.never {
		return ledger.Cleaning{}, ledger.ErrUnknown
	}
	return k.books, nil
}

func (k *keeper) SetCleaning(_ context.Context, c ledger.Cleaning) error {
	return k.effect(func() { k.books, k.never = c, false })
}

func (k *keeper) mark(t *testing.T) owner.Mark {
	t.Helper()
	m, err := owner.ParseMark(k.doc)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// bound is a keeper whose bucket was bound to its database "db" and host "h" by it
// (count 1, then raised to 3).
func bound(edit ...func(*owner.Binding)) *keeper {
	b := &owner.Binding{Database: "db", Host: "h", Ledger: owner.LedgerHash("bid", "me"), Count: 3, Token: "three"}
	for _, e := range edit {
		e(b)
	}
	data, _ := owner.Mark{BucketID: "bid", Domain: "a.example", Ledgers: []string{"me"}, Binding: b}.Encode()
	return &keeper{
		memory: &memory{doc: data, rows: true, id: ledger.Identity{LedgerID: "me", BucketID: "bid", Probed: true}},
		books:  ledger.Cleaning{Count: 3, Token: "three"},
	}
}

func unbound() *keeper {
	k := bound()
	k.doc, k.books, k.never = mark("a.example", "me"), ledger.Cleaning{}, true
	return k
}

// Each way in which the two sides can differ has its own word.
func TestCheckBound(t *testing.T) {
	t.Parallel()
	intent := ledger.Cleaning{Count: 2, Token: "two", Open: true, NextCount: 3, NextToken: "three"}
	closed := intent
	closed.Open = false
	for name, tt := range map[string]struct {
		k              *keeper
		database, host string
		books          *ledger.Cleaning
		refused, hint  string
	}{
		"ours":                   {k: bound()},
		"our open intent":        {k: bound(), books: &intent},
		"intent not open":        {k: bound(), books: &closed, refused: "counts 3 cleaning runs, this ledger knows of 2", hint: "--take-over"},
		"intent, another token":  {k: bound(), books: &ledger.Cleaning{Count: 2, Token: "two", Open: true, NextCount: 3, NextToken: "drei"}, refused: "not the same ones"},
		"intent, another count":  {k: bound(), books: &ledger.Cleaning{Count: 2, Token: "two", Open: true, NextCount: 4, NextToken: "three"}, refused: "not the same ones"},
		"never bound":            {k: unbound(), refused: "not bound to a database", hint: "mediamove bind"},
		"another database":       {k: bound(), database: "db2", refused: "not the database", hint: "mediamove bind"},
		"another host":           {k: bound(), host: "h2", refused: "another host", hint: "--take-over"},
		"another ledger":         {k: bound(func(b *owner.Binding) { b.Ledger = owner.LedgerHash("bid", "you") }), refused: "another ledger", hint: "--take-over"},
		"another bucket's":       {k: bound(func(b *owner.Binding) { b.Ledger = owner.LedgerHash("old", "me") }), refused: "another ledger"},
		"restored ledger":        {k: bound(), books: &ledger.Cleaning{Count: 2, Token: "two"}, refused: "restored from a backup", hint: "stop the copy"},
		"restored bucket":        {k: bound(), books: &ledger.Cleaning{Count: 4, Token: "four"}, refused: "counts 3 cleaning runs, this ledger knows of 4"},
		"copy, same count":       {k: bound(), books: &ledger.Cleaning{Count: 3, Token: "drei"}, refused: "not the same ones"},
		"copy, same token":       {k: bound(), books: &ledger.Cleaning{Count: 2, Token: "three"}, refused: "not the same ones"},
		"ledger never bound":     {k: bound(), books: &ledger.Cleaning{}, refused: "this ledger knows of 0"},
		"empty database":         {k: bound(func(b *owner.Binding) { b.Database = "" }), database: "-", refused: "not bound"},
		"empty host":             {k: bound(func(b *owner.Binding) { b.Host = "" }), host: "-", refused: "not bound"},
		"empty ledger":           {k: bound(func(b *owner.Binding) { b.Ledger = "" }), refused: "not bound"},
		"empty token":            {k: bound(func(b *owner.Binding) { b.Token = "" }), books: &ledger.Cleaning{Count: 3}, refused: "not bound"},
		"no machine id":          {k: bound(), host: "-", refused: "another host"},
		"database before host":   {k: bound(), database: "db2", host: "h2", refused: "not the database"},
		"host before the ledger": {k: bound(func(b *owner.Binding) { b.Ledger = "x" }), host: "h2", refused: "another host"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.books != nil {
				tt.k.books = *tt.books
			}
			before := *tt.k.memory
			err := owner.CheckBound(t.Context(), tt.k.mark(t), tt.k, or(tt.database, "db"), or(tt.host, "h"))
			refusedBy(t, err, tt.refused, tt.hint)
			// Raise says the same, and writes nothing where it refuses.
			if tt.refused == "" {
				return
			}
			tie := owner.Tie{Database: or(tt.database, "db"), Host: or(tt.host, "h")}
			if again := owner.Raise(t.Context(), tt.k, tt.k, options(), tie); again == nil || again.Error() != err.Error() {
				t.Errorf("Raise says %v, CheckBound %v", again, err)
			}
			if tt.k.puts != 0 || tt.k.effects != before.effects {
				t.Error("a refused raise left a trace")
			}
		})
	}
}

// or is s, its default, or with "-" empty.
func or(s, or string) string {
	switch s {
	case "":
		return or
	case "-":
		return ""
	}
	return s
}

func refusedBy(t *testing.T, err error, reason, hint string) {
	t.Helper()
	if reason == "" {
		if err != nil {
			t.Error(err)
		}
		return
	}
	r, ok := errors.AsType[*owner.RefusedError](err)
	if !ok || !strings.Contains(r.Reason, reason) || !strings.Contains(r.Hint, hint) || r.Hint == "" {
		t.Errorf("got %#v, want a refusal with %q and hint %q", err, reason, hint)
	}
}

func TestBind(t *testing.T) {
	t.Parallel()
	other := func(b *owner.Binding) { b.Host = "h2" }
	foreign := func(b *owner.Binding) { b.Ledger = "x" }
	ahead := func(b *owner.Binding) { b.Count, b.Token = 4, "four" }
	lame := func(b *owner.Binding) { b.Token = "" }
	for name, tt := range map[string]struct {
		k        *keeper
		database string
		takeOver bool
		count    int64 // afterwards
		refused  string
	}{
		"first":                    {k: unbound(), count: 1},
		"again":                    {k: bound(), count: 4},
		"another database":         {k: bound(), database: "db2", count: 4},
		"half a binding":           {k: bound(lame), count: 4},
		"another host":             {k: bound(other), refused: "another host"},
		"another host's, taken":    {k: bound(other), takeOver: true, count: 4},
		"another ledger":           {k: bound(foreign), refused: "another ledger"},
		"another ledger's, taken":  {k: bound(foreign), takeOver: true, count: 4},
		"a copy raised it":         {k: bound(ahead), refused: "a copy of this machine"},
		"a copy raised it, taken":  {k: bound(ahead), takeOver: true, count: 5},
		"other host, new database": {k: bound(other), database: "db2", refused: "another host"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				before := string(tt.k.doc)
				want := owner.BindRequest{Database: or(tt.database, "db"), Host: "h", TakeOver: tt.takeOver}
				got, err := owner.Bind(t.Context(), tt.k, tt.k, options(), want)
				refusedBy(t, err, tt.refused, "")
				if tt.refused != "" {
					if string(tt.k.doc) != before || tt.k.effects != 0 {
						t.Error("a refused bind left a trace")
					}
					return
				}
				m := tt.k.mark(t)
				b := *m.Binding
				if *got.Binding != b || b.Database != want.Database || b.Count != tt.count || len(b.Token) != 32 || b.Ledger != owner.LedgerHash("bid", "me") {
					t.Errorf("%+v, told %+v", b, *got.Binding)
				}
				if b.BoundAt.IsZero() || b.BoundAt.After(time.Now()) || !m.Names("me") {
					t.Errorf("%+v", m)
				}
				if tt.k.books != (ledger.Cleaning{Count: b.Count, Token: b.Token}) {
					t.Errorf("the ledger has %+v", tt.k.books)
				}
				if err := owner.CheckBound(t.Context(), m, tt.k, want.Database, "h"); err != nil {
					t.Error(err)
				}
				if err := owner.Raise(t.Context(), tt.k, tt.k, options(), owner.Tie{Database: want.Database, Host: "h"}); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Bind refuses where a look refuses, and what would bind to nothing.
func TestBindNeedsAStandingMark(t *testing.T) {
	t.Parallel()
	want := owner.BindRequest{Database: "db", Host: "h", TakeOver: true}
	for name, tt := range map[string]struct {
		edit    func(*keeper)
		refused string
	}{
		"no mark":        {func(k *keeper) { k.doc = nil }, "was emptied or replaced"},
		"another domain": {func(k *keeper) { k.doc = mark("b.example", "me") }, "belongs to b.example"},
		"not in it":      {func(k *keeper) { k.doc = mark("a.example", "you") }, "by another ledger"},
		"another bucket": {func(k *keeper) { k.id.BucketID = "old" }, "has id"},
	} {
		k := bound()
		tt.edit(k)
		_, err := owner.Bind(t.Context(), k, k, options(), want)
		refusedBy(t, err, tt.refused, "")
		refusedBy(t, owner.Raise(t.Context(), k, k, options(), owner.Tie{Database: "db", Host: "h"}), tt.refused, "")
		if k.effects != 0 || k.puts != 0 {
			t.Errorf("%s: something was written", name)
		}
	}
	for _, want := range []owner.BindRequest{{Host: "h"}, {Database: "db"}} {
		k := unbound()
		if _, err := owner.Bind(t.Context(), k, k, options(), want); err == nil || k.effects != 0 {
			t.Errorf("bound to %+v", want)
		}
	}
	o := options()
	o.Domain = ""
	if _, err := owner.Bind(t.Context(), bound(), bound(), o, want); !errors.Is(err, owner.ErrNoDomain) {
		t.Error(err)
	}
}

// A server that ignores If-Match would let two hosts count at once.
func TestBindNeedsIfMatch(t *testing.T) {
	t.Parallel()
	k := unbound()
	k.careless = true
	before := string(k.doc)
	_, err := owner.Bind(t.Context(), k, k, options(), owner.BindRequest{Database: "db", Host: "h"})
	refusedBy(t, err, "ignores If-Match", "Cloudflare R2")
	if string(k.doc) != before || k.books.Open {
		t.Error("the probe changed something")
	}
}

// A probe whose answer was lost tells nothing.
func TestBindProbesAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := unbound()
		k.careless = true
		_, err := owner.Bind(t.Context(), &forgetful{k.memory, 3}, k, options(), owner.BindRequest{Database: "db", Host: "h"})
		refusedBy(t, err, "ignores If-Match", "Cloudflare R2")
		_, err = owner.Bind(t.Context(), &forgetful{k.memory, 99}, k, options(), owner.BindRequest{Database: "db", Host: "h"})
		if err == nil || k.mark(t).Binding != nil {
			t.Error(err)
		}
	})
}

// What a later version noted of one binding is kept through its raises, and is not
// said of another.
func TestLaterFieldsOfABinding(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := bound()
		k.doc = []byte(strings.Replace(string(k.doc), `"hash"`, `"pool": "p", "hash"`, 1))
		if err := owner.Raise(t.Context(), k, k, options(), owner.Tie{Database: "db", Host: "h"}); err != nil || !strings.Contains(string(k.doc), `"pool": "p"`) {
			t.Errorf("%s, %v", k.doc, err)
		}
		if _, err := owner.Bind(t.Context(), k, k, options(), owner.BindRequest{Database: "db", Host: "h"}); err != nil || strings.Contains(string(k.doc), "pool") {
			t.Errorf("%s, %v", k.doc, err)
		}
	})
}

// Answers that get lost settle by reading; where a run is granted, only a plain
// success counts.
func TestBindAndRaiseWithLostAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := unbound()
		f := &forgetful{k.memory, 0}
		if _, err := owner.Bind(t.Context(), f, k, options(), owner.BindRequest{Database: "db", Host: "h"}); err != nil {
			t.Fatal(err)
		}
		bind := k.mark(t).Binding
		k.puts, f.lost = 0, 2
		if err := owner.Raise(t.Context(), f, k, options(), owner.Tie{Database: "db", Host: "h"}); err != nil {
			t.Fatal(err)
		}
		now := k.mark(t).Binding
		if k.puts != 3 || now.Count != bind.Count+3 || k.books != (ledger.Cleaning{Count: now.Count, Token: now.Token}) {
			t.Errorf("%d PUT, mark %+v, ledger %+v; a lost answer granted a run", k.puts, now, k.books)
		}
		if now.Database != "db" || now.Host != "h" || now.Ledger != bind.Ledger || !now.BoundAt.Equal(bind.BoundAt) {
			t.Errorf("a raise changed the binding: %+v", now)
		}
		f.lost = 99
		if err := owner.Raise(t.Context(), f, k, options(), owner.Tie{Database: "db", Host: "h"}); err == nil {
			t.Error("granted, although no answer ever came")
		}
		f.lost = 0
		if err := owner.Raise(t.Context(), f, k, options(), owner.Tie{Database: "db", Host: "h"}); err != nil {
			t.Error(err)
		}
	})
}

// A steady night's raise is one GET and one PUT.
func TestRaiseCostsOnePut(t *testing.T) {
	t.Parallel()
	k := bound()
	if err := owner.Raise(t.Context(), k, k, options(), owner.Tie{Database: "db", Host: "h"}); err != nil {
		t.Fatal(err)
	}
	if k.gets != 1 || k.puts != 1 || k.pages != 0 || k.mark(t).Binding.Count != 4 {
		t.Errorf("%d GET, %d PUT, %d LIST, %+v", k.gets, k.puts, k.pages, k.mark(t).Binding)
	}
}

// What keeps the ledger or the bucket from answering grants nothing, and is no refusal.
func TestRaiseNeedsBothSides(t *testing.T) {
	t.Parallel()
	tie := owner.Tie{Database: "db", Host: "h"}
	for step := 1; step <= 3; step++ { // the intent, the mark, the confirmation
		k := bound()
		k.dieAt = step
		if err := owner.Raise(t.Context(), k, k, options(), tie); !errors.Is(err, errKilled) {
			t.Errorf("step %d: %v", step, err)
		}
	}
	k := bound()
	if err := owner.Raise(t.Context(), deaf{k}, k, options(), tie); !errors.Is(err, errKilled) {
		t.Error(err)
	}
	if err := owner.Raise(t.Context(), k, mute{k}, options(), tie); !errors.Is(err, ledger.ErrBroken) {
		t.Error(err)
	}
	if err := owner.CheckBound(t.Context(), k.mark(t), mute{k}, "db", "h"); !errors.Is(err, ledger.ErrBroken) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errKilled)
	f := &forgetful{k.memory, 1}
	if err := owner.Raise(ctx, f, k, options(), tie); !errors.Is(err, errKilled) {
		t.Error(err)
	}
}

type deaf struct{ *keeper }

func (deaf) GetDoc(context.Context, string) ([]byte, string, error) { return nil, "", errKilled }

type mute struct{ *keeper }

func (mute) Cleaning(context.Context) (ledger.Cleaning, error) {
	return ledger.Cleaning{}, ledger.ErrBroken
}

// The mark can be read by everybody, so two buckets' marks must not tell that they are
// one host's, nor a host's hash be a ledger's.
func TestHashes(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, h := range []string{
		owner.HostHash("b", "m"), owner.HostHash("b2", "m"), owner.HostHash("b", "m2"), owner.LedgerHash("b", "m"),
		owner.HostHash("b 1:m", "x"), owner.HostHash("b", "1:m x"),
	} {
		if seen[h] || len(h) != 64 {
			t.Errorf("%q", h)
		}
		seen[h] = true
	}
	if owner.HostHash("b", "") != "" || owner.LedgerHash("b", "") != "" {
		t.Error("nothing has a hash")
	}
	// printf 'mediamove host 6:bucket 7:machine' | sha256sum; a changed encoding would unbind every bucket.
	if got := owner.HostHash("bucket", "machine"); got != "97eb1a11225588ce437b2356ee81e44c2dd3bff730f3476d3bd0ad8df9b4319d" {
		t.Error(got)
	}
}
