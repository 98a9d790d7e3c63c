package owner

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// MarkName is the mark's place in the bucket, below S3_KEY_PREFIX. Its three
// segments can't be a Mastodon key, so Mastodon's own cleaner passes it by.
const MarkName = ".mediamove/owner.json"

const schema = "mediamove.owner/1"

// A Mark says in the bucket itself whose bucket it is. It may be readable by
// the whole world, so nothing in it is secret or personal.
type Mark struct {
	BucketID   string     // random; the bucket's identity
	Domain     string     // LOCAL_DOMAIN of the instance
	Ledgers    []string   // ids of the ledgers that may write here
	CreatedAt  time.Time  // by the clock of the host that wrote it
	SwitchedAt *time.Time // when a run first saw that Mastodon writes to the bucket
	Binding    *Binding   // who may clean, and by which database; nil: never bound, nobody may

	// rest and tied keep the fields of later versions, of the mark and of its
	// binding, so that a rewrite by this one loses nothing.
	rest, tied map[string]json.RawMessage
}

// A Binding ties the bucket to one database, and to the one host and ledger that may
// remove anything. All of it are hashes and random numbers.
type Binding struct {
	Database string    `json:"hash"`     // of the database's identity, hex
	Host     string    `json:"host"`     // [HostHash]
	Ledger   string    `json:"ledger"`   // [LedgerHash]
	Count    int64     `json:"count"`    // cleaning runs so far, and times it was bound
	Token    string    `json:"token"`    // random; tells two raises to the same count apart
	BoundAt  time.Time `json:"bound_at"` // by the clock of the host that did it
}

type markJSON struct {
	Schema     string     `json:"schema"`
	BucketID   string     `json:"bucket_id"`
	Domain     string     `json:"domain"`
	Ledgers    []string   `json:"ledgers"`
	CreatedAt  time.Time  `json:"created_at"`
	SwitchedAt *time.Time `json:"switched_at"`
	Binding    *Binding   `json:"database"`
}

var errNotAMark = errors.New("not a mediamove owner mark")

// ParseMark reads what [Mark.Encode] wrote. It refuses a mark of another
// schema rather than guess what a later version meant.
func ParseMark(data []byte) (Mark, error) {
	var rest, tied map[string]json.RawMessage
	var m markJSON
	err := errors.Join(json.Unmarshal(data, &rest), json.Unmarshal(data, &m))
	if err == nil && m.Binding != nil {
		err = json.Unmarshal(rest["database"], &tied)
	}
	if err != nil {
		return Mark{}, fmt.Errorf("%w: %w", errNotAMark, err)
	}
	if m.Schema != schema {
		return Mark{}, fmt.Errorf("%w: schema %.40q, want %q", errNotAMark, m.Schema, schema)
	}
	if m.BucketID == "" || m.Domain == "" {
		return Mark{}, fmt.Errorf("%w: bucket_id or domain is empty", errNotAMark)
	}
	forget(rest, "schema", "bucket_id", "domain", "ledgers", "created_at", "switched_at", "database")
	forget(tied, "hash", "host", "ledger", "count", "token", "bound_at")
	return Mark{m.BucketID, m.Domain, m.Ledgers, m.CreatedAt, m.SwitchedAt, m.Binding, rest, tied}, nil
}

func forget(fields map[string]json.RawMessage, known ...string) {
	maps.DeleteFunc(fields, func(k string, _ json.RawMessage) bool { return slices.Contains(known, k) })
}

// with puts the fields of a later version beside ours.
func with(rest map[string]json.RawMessage, ours map[string]any) map[string]any {
	for k, v := range rest {
		ours[k] = v
	}
	return ours
}

// Encode prints the mark as indented JSON, unknown fields included.
func (m Mark) Encode() ([]byte, error) {
	out := map[string]any{
		"schema": schema, "bucket_id": m.BucketID, "domain": m.Domain,
		"ledgers": m.Ledgers, "created_at": m.CreatedAt,
	}
	if m.SwitchedAt != nil {
		out["switched_at"] = m.SwitchedAt
	}
	if b := m.Binding; b != nil {
		out["database"] = with(m.tied, map[string]any{
			"hash": b.Database, "host": b.Host, "ledger": b.Ledger,
			"count": b.Count, "token": b.Token, "bound_at": b.BoundAt,
		})
	}
	out = with(m.rest, out)
	data, err := json.MarshalIndent(out, "", "  ")
	return append(data, '\n'), err
}

// Names reports whether the mark lets this ledger write.
func (m Mark) Names(ledgerID string) bool { return slices.Contains(m.Ledgers, ledgerID) }
