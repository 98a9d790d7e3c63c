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
)

func TestLook(t *testing.T) {
	t.Parallel()
	ours := ledger.Identity{BucketID: "bid", Probed: true}
	tests := []struct {
		name    string
		m       memory
		refused string // part of the reason; "" is granted
		hint    string
	}{
		{name: "own mark", m: memory{doc: mark("a.example", "me", "second"), rows: true, id: ours}},
		{name: "own mark, nothing moved yet", m: memory{doc: mark("a.example", "me"), id: ours}},
		{name: "still joining", m: memory{doc: mark("a.example", "me"), id: ledger.Identity{BucketID: "bid", Joining: true}}},
		{name: "nothing synced yet", refused: "nothing was synced into bucket bkt yet", hint: "mediamove sync"},
		{name: "emptied", m: memory{rows: true, id: ours}, refused: "was emptied or replaced", hint: "--new-bucket"},
		{name: "another ledger's", m: memory{doc: mark("a.example", "other")}, refused: "by another ledger", hint: "--join bid"},
		{name: "taken out of the mark", m: memory{doc: mark("a.example", "other"), rows: true, id: ours}, refused: "by another ledger", hint: "--join bid"},
		{name: "another bucket", m: memory{doc: mark("a.example", "me"), rows: true, id: ledger.Identity{BucketID: "old"}}, refused: "has id", hint: "--new-bucket"},
		{name: "another domain", m: memory{doc: mark("b.example", "me"), rows: true, id: ours}, refused: "belongs to b.example", hint: "LOCAL_DOMAIN"},
		{name: "not a mark", m: memory{doc: []byte("<html>"), rows: true, id: ours}, refused: "not a mediamove owner mark"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := tt.m
			m.id.LedgerID = "me"
			before := m
			sight, err := owner.Look(t.Context(), &m, &m, options())
			if m.gets != 1 || m.puts != 0 || m.pages != 0 || string(m.doc) != string(before.doc) || m.id != before.id {
				t.Errorf("%d GET, %d PUT, %d LIST, identity %+v; want one GET and nothing changed", m.gets, m.puts, m.pages, m.id)
			}
			if tt.refused == "" {
				if err != nil {
					t.Fatal(err)
				}
				if sight.Claim.BucketID != "bid" || sight.Claim.Joined != m.id.Joining || !sight.Mark.Names("me") {
					t.Errorf("%+v", sight)
				}
				return
			}
			r, ok := errors.AsType[*owner.RefusedError](err)
			if !ok || !strings.Contains(r.Reason, tt.refused) || !strings.Contains(r.Hint, tt.hint) || r.Hint == "" {
				t.Fatalf("got %#v, want a refusal with %q and hint %q", err, tt.refused, tt.hint)
			}
		})
	}
}

func TestLookNeedsADomain(t *testing.T) {
	t.Parallel()
	o := options()
	o.Domain = ""
	if _, err := owner.Look(t.Context(), new(memory), new(memory), o); !errors.Is(err, owner.ErrNoDomain) {
		t.Error(err)
	}
}

// What is told of the switch is kept in the ledger, beside what no look may change.
func TestLookAtTheSwitch(t *testing.T) {
	t.Parallel()
	then := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // where a bubble's clock begins
	for name, tt := range map[string]struct {
		say          owner.Switch
		mark, ledger time.Time
		want         bool
		kept         time.Time
	}{
		"never":                     {owner.Unset, time.Time{}, time.Time{}, false, time.Time{}},
		"said now":                  {owner.After, time.Time{}, time.Time{}, true, now},
		"said again":                {owner.After, then, then, true, then},
		"said now, the mark has it": {owner.After, then, time.Time{}, true, then},
		"the mark alone":            {owner.Unset, then, time.Time{}, true, then},
		"the ledger alone":          {owner.Unset, time.Time{}, then, true, then},
		"before, for this run":      {owner.Before, then, then, false, then},
		"before, the mark alone":    {owner.Before, then, time.Time{}, false, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				id := ledger.Identity{LedgerID: "me", BucketID: "bid", Endpoint: "https://old", Bucket: "old", Probed: true, SwitchedAt: tt.ledger}
				m := memory{doc: switched(tt.mark), rows: true, id: id}
				doc := string(m.doc)
				o := options()
				o.Switch = tt.say
				sight, err := owner.Look(t.Context(), &m, &m, o)
				if err != nil || sight.Claim.Switched != tt.want {
					t.Fatalf("%+v, %v", sight, err)
				}
				id.SwitchedAt = tt.kept
				if m.id != id || string(m.doc) != doc {
					t.Errorf("kept %+v, want %+v; mark %s", m.id, id, m.doc)
				}
				// The next sync makes both sides say the same.
				if tt.say == owner.Before {
					return
				}
				o.Switch = owner.Unset
				claim, err := owner.Check(t.Context(), &m, &m, o)
				got, _ := owner.ParseMark(m.doc)
				if err != nil || claim.Switched != tt.want || (got.SwitchedAt != nil) != tt.want {
					t.Errorf("%+v, mark %v, %v", claim, got.SwitchedAt, err)
				}
			})
		})
	}
}

func switched(at time.Time) []byte {
	m := owner.Mark{BucketID: "bid", Domain: "a.example", Ledgers: []string{"me"}}
	if !at.IsZero() {
		m.SwitchedAt = &at
	}
	data, _ := m.Encode()
	return data
}

// A ledger that can't be written ends the look: this run would remember nothing.
func TestLookNeedsTheLedger(t *testing.T) {
	t.Parallel()
	m := memory{doc: switched(time.Unix(1, 0)), id: ledger.Identity{LedgerID: "me", BucketID: "bid"}, dieAt: 1}
	if _, err := owner.Look(t.Context(), &m, &m, options()); !errors.Is(err, errKilled) {
		t.Error(err)
	}
	m.dieAt = 0
	if _, err := owner.Look(t.Context(), silent{}, &m, options()); !errors.Is(err, errKilled) {
		t.Error(err)
	}
}

type silent struct{}

func (silent) GetDoc(context.Context, string) ([]byte, string, error) { return nil, "", errKilled }

// Look and Check agree about every mark, for the same reason.
func TestLookAgreesWithCheck(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		ledgers := rapid.SliceOfN(rapid.SampledFrom([]string{"me", "other"}), 0, 2).Draw(rt, "ledgers")
		m := memory{rows: rapid.Bool().Draw(rt, "rows"), id: ledger.Identity{
			LedgerID: "me", Endpoint: options().Endpoint, Probed: true,
			BucketID: rapid.SampledFrom([]string{"", "bid", "old"}).Draw(rt, "bucket id"),
		}}
		if rapid.Bool().Draw(rt, "marked") {
			m.doc = mark(rapid.SampledFrom([]string{"a.example", "b.example"}).Draw(rt, "domain"), ledgers...)
		}
		if m.doc == nil && !m.rows {
			return // Check makes a mark where Look refuses
		}
		looked, checked := m, m
		sight, lookErr := owner.Look(t.Context(), &looked, &looked, options())
		claim, checkErr := owner.Check(t.Context(), &checked, &checked, options())
		if lookErr != nil || checkErr != nil {
			a, ok1 := errors.AsType[*owner.RefusedError](lookErr)
			b, ok2 := errors.AsType[*owner.RefusedError](checkErr)
			if !ok1 || !ok2 || *a != *b {
				rt.Fatalf("Look says %v, Check says %v", lookErr, checkErr)
			}
			return
		}
		if sight.Claim != claim {
			rt.Fatalf("Look says %+v, Check says %+v", sight.Claim, claim)
		}
	})
}
