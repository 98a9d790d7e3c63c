package ledger

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// The rows of meta.
const (
	metaIdentity = "identity"
	metaWalk     = "walk"
	metaChecked  = "checked" // when it was last looked at for damage
	metaClean    = "clean"   // the same, while nobody has it open for writing
)

// An Identity says which bucket and which instance a ledger belongs to.
type Identity struct {
	LedgerID   string    `json:"ledger_id"` // 128 random bits in hex, made with the ledger
	BucketID   string    `json:"bucket_id"` // of the owner mark; empty until it is known
	Domain     string    `json:"domain"`
	Endpoint   string    `json:"endpoint"`
	Bucket     string    `json:"bucket"`
	Prefix     string    `json:"prefix"`
	Probed     bool      `json:"probed"`      // the bucket was seen to honour If-None-Match
	SwitchedAt time.Time `json:"switched_at"` // zero: Mastodon still writes to the disk
	// Joining: others filled the bucket, and what is there was not adopted yet.
	Joining bool `json:"joining,omitempty"`
}

// A Walk is the last one that read every folder and decided every file.
type Walk struct {
	Began   time.Time        `json:"began"`
	Run     int64            `json:"run"`
	Classes map[string]int64 `json:"classes"` // files per top folder
}

// Identity returns whose ledger this is.
func (l *Ledger) Identity(ctx context.Context) (Identity, error) {
	var id Identity
	return id, readMeta(ctx, l.read, metaIdentity, &id)
}

// SetIdentity records id and returns when that is durable. The ledger's own
// id stays: id.LedgerID is that or empty.
func (l *Ledger) SetIdentity(ctx context.Context, id Identity) error {
	return l.wait(ctx, func(s *session) error {
		var old Identity
		if err := readMeta(ctx, s.conn, metaIdentity, &old); err != nil {
			return err
		}
		if id.LedgerID != "" && id.LedgerID != old.LedgerID {
			return fmt.Errorf("set identity: ledger %s can't become %s", old.LedgerID, id.LedgerID)
		}
		id.LedgerID = old.LedgerID
		return s.setJSON(metaIdentity, id)
	})
}

// LastWalk returns the last whole walk, or a zero Walk if there was none.
func (l *Ledger) LastWalk(ctx context.Context) (Walk, error) {
	var w Walk
	if err := readMeta(ctx, l.read, metaWalk, &w); !errors.Is(err, ErrUnknown) {
		return w, err
	}
	return Walk{}, nil
}

// SetWalk records a whole walk and returns when that is durable.
func (l *Ledger) SetWalk(ctx context.Context, w Walk) error {
	return l.wait(ctx, func(s *session) error { return s.setJSON(metaWalk, w) })
}

// insertIdentity gives a new ledger its id.
func insertIdentity(ctx context.Context, tx *sql.Tx) error {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	data, err := json.Marshal(Identity{LedgerID: hex.EncodeToString(id[:])})
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO meta (name, value) VALUES (?, ?)", metaIdentity, string(data))
	return err
}

func readMeta(ctx context.Context, q queryer, name string, dst any) error {
	value, err := metaValue(ctx, q, name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(value), dst); err != nil {
		return fmt.Errorf("read ledger: %w: %s: %w", ErrCorrupt, name, err)
	}
	return nil
}

func metaValue(ctx context.Context, q queryer, name string) (string, error) {
	var value string
	err := q.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = ?", name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("%s: %w", name, ErrUnknown)
	}
	return value, failed("read ledger", err)
}

func (s *session) setJSON(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.setMeta(name, string(data))
}

func (s *session) setMeta(name, value string) error {
	return s.exec("REPLACE INTO meta (name, value) VALUES (?, ?)", name, value)
}

// markClean notes that the ledger was closed in order, and when it was last
// checked.
func (s *session) markClean() error {
	return failed("close ledger", s.exec(
		"REPLACE INTO meta (name, value) SELECT ?, value FROM meta WHERE name = ?", metaClean, metaChecked))
}
