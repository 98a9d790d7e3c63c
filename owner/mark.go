package owner

import (
	"encoding/json"
	"errors"
	"fmt"
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

	// rest keeps the fields of later versions, so that a rewrite by this one
	// loses nothing.
	rest map[string]json.RawMessage
}

type markJSON struct {
	Schema     string     `json:"schema"`
	BucketID   string     `json:"bucket_id"`
	Domain     string     `json:"domain"`
	Ledgers    []string   `json:"ledgers"`
	CreatedAt  time.Time  `json:"created_at"`
	SwitchedAt *time.Time `json:"switched_at"`
}

var errNotAMark = errors.New("not a mediamove owner mark")

// ParseMark reads what [Mark.Encode] wrote. It refuses a mark of another
// schema rather than guess what a later version meant.
func ParseMark(data []byte) (Mark, error) {
	var rest map[string]json.RawMessage
	var m markJSON
	if err := json.Unmarshal(data, &rest); err != nil {
		return Mark{}, fmt.Errorf("%w: %w", errNotAMark, err)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return Mark{}, fmt.Errorf("%w: %w", errNotAMark, err)
	}
	if m.Schema != schema {
		return Mark{}, fmt.Errorf("%w: schema %.40q, want %q", errNotAMark, m.Schema, schema)
	}
	if m.BucketID == "" || m.Domain == "" {
		return Mark{}, fmt.Errorf("%w: bucket_id or domain is empty", errNotAMark)
	}
	for _, known := range []string{"schema", "bucket_id", "domain", "ledgers", "created_at", "switched_at"} {
		delete(rest, known)
	}
	return Mark{m.BucketID, m.Domain, m.Ledgers, m.CreatedAt, m.SwitchedAt, rest}, nil
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
	for k, v := range m.rest {
		out[k] = v
	}
	data, err := json.MarshalIndent(out, "", "  ")
	return append(data, '\n'), err
}

// Names reports whether the mark lets this ledger write.
func (m Mark) Names(ledgerID string) bool { return slices.Contains(m.Ledgers, ledgerID) }
