package ledger

import (
	"context"
	"errors"
	"fmt"

	sqlite3 "github.com/mattn/go-sqlite3"
)

const metaCleaning = "cleaning"

// A Cleaning is what this ledger last wrote into the owner mark before it
// removed anything, and what it is about to write. A mark that says neither was
// written by another: a cloned machine, or a ledger that was put back.
type Cleaning struct {
	Count int64  `json:"count"` // 0: never bound
	Token string `json:"token"` // random, made anew with every count; no secret
	// Open: the next two were to be written, and whether they were is unknown.
	Open      bool   `json:"open,omitempty"`
	NextCount int64  `json:"next_count,omitempty"`
	NextToken string `json:"next_token,omitempty"`
}

// Cleaning returns the counter, or a zero one.
func (l *Ledger) Cleaning(ctx context.Context) (Cleaning, error) {
	var c Cleaning
	if err := readMeta(ctx, l.read, metaCleaning, &c); !errors.Is(err, ErrUnknown) {
		return c, err
	}
	return Cleaning{}, nil
}

// SetCleaning records c and returns when that is durable.
func (l *Ledger) SetCleaning(ctx context.Context, c Cleaning) error {
	return l.wait(ctx, func(s *session) error { return s.setJSON(metaCleaning, c) })
}

// UsePlan records that run applies the saved plan of that id, and returns when
// that is durable. A plan is used once, also if its run was killed: [ErrUsed].
func (l *Ledger) UsePlan(ctx context.Context, id string, run int64) error {
	return l.wait(ctx, func(s *session) error {
		err := s.exec("INSERT INTO plan (id, run) VALUES (?, ?)", id, run)
		if !constrained(err) {
			return err
		}
		var by int64
		if err := s.conn.QueryRowContext(context.Background(), "SELECT run FROM plan WHERE id = ?", id).Scan(&by); err != nil {
			return err
		}
		return fmt.Errorf("use plan %s: %w by run %d", id, ErrUsed, by)
	})
}

// constrained reports whether a rule of the schema said no.
func constrained(err error) bool {
	e, ok := errors.AsType[sqlite3.Error](err)
	return ok && e.Code == sqlite3.ErrConstraint
}
