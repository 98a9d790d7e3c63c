package mastodon

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.org/mediamove/media"
)

// converse plays a server that lets everybody in, says that it is a primary and
// answers every batch with the same messages.
// A batch has to begin as ours do, and no statement in it may have a name.
func converse(t *testing.T, conn net.Conn, answer []pgproto3.BackendMessage) {
	defer conn.Close()
	b := pgproto3.NewBackend(conn, conn)
	send := func(messages ...pgproto3.BackendMessage) error {
		for _, m := range messages {
			b.Send(m)
		}
		return b.Flush()
	}
	ready := &pgproto3.ReadyForQuery{TxStatus: 'I'}
	if _, err := b.ReceiveStartupMessage(); err != nil || send(&pgproto3.AuthenticationOk{}, ready) != nil {
		return
	}
	for first := true; ; {
		m, err := b.Receive()
		if err != nil {
			return
		}
		switch m := m.(type) {
		case *pgproto3.Parse:
			if m.Name != "" || first != (m.Query == "BEGIN READ ONLY") {
				t.Errorf("%q is called %q", m.Query, m.Name)
			}
			first = false
		case *pgproto3.Query: // is it in recovery?
			err = send(&pgproto3.RowDescription{Fields: make([]pgproto3.FieldDescription, 1)}, row([]byte("f")), done("SELECT 1"), ready)
		case *pgproto3.Sync:
			first = true
			err = send(append(answer, ready)...)
		}
		if err != nil {
			return
		}
	}
}

func row(values ...[]byte) *pgproto3.DataRow { return &pgproto3.DataRow{Values: values} }

func done(tag string) *pgproto3.CommandComplete {
	return &pgproto3.CommandComplete{CommandTag: []byte(tag)}
}

func rowsOf(columns int, tag string, rows ...*pgproto3.DataRow) []pgproto3.BackendMessage {
	messages := []pgproto3.BackendMessage{&pgproto3.ParseComplete{}, &pgproto3.BindComplete{}, &pgproto3.RowDescription{Fields: make([]pgproto3.FieldDescription, columns)}}
	for _, r := range rows {
		messages = append(messages, r)
	}
	return append(messages, done(tag))
}

// An answer that does not add up is an error, whatever the server thinks of it.
func TestNonsensicalAnswers(t *testing.T) {
	t.Parallel()
	here := serverIdentity{"7", "m", 5}
	int8s := func(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }
	proven := row([]byte{0}, int8s(7), int8s(5), []byte("m"), []byte("1"), []byte("off"))
	card := func(id int64) *pgproto3.DataRow {
		return row(int8s(id), []byte{1}, []byte{0}, nil, nil, []byte("a.png"), nil, nil, nil, nil)
	}
	const columns = leadColumns + fileColumns
	begin, commit := []pgproto3.BackendMessage{done("BEGIN")}, []pgproto3.BackendMessage{done("COMMIT")}
	proof := rowsOf(6, "SELECT 1", proven)
	for _, tt := range []struct {
		name   string
		answer [][]pgproto3.BackendMessage
		want   string // "" if it is right
	}{
		{"two rows", [][]pgproto3.BackendMessage{begin, proof, rowsOf(columns, "SELECT 2", card(1), card(2)), commit}, ""},
		{"fewer rows than it says", [][]pgproto3.BackendMessage{begin, proof, rowsOf(columns, "SELECT 2", card(1)), commit}, "1 rows came"},
		{"more rows than it says", [][]pgproto3.BackendMessage{begin, proof, rowsOf(columns, "SELECT 1", card(1), card(2)), commit}, "2 rows came"},
		{"no rows of a SELECT", [][]pgproto3.BackendMessage{begin, proof, rowsOf(columns, "UPDATE 0"), commit}, "0 rows came"},
		{"one row twice", [][]pgproto3.BackendMessage{begin, proof, rowsOf(columns, "SELECT 2", card(1), card(1)), commit}, "twice"},
		{"a column too many", [][]pgproto3.BackendMessage{begin, proof, rowsOf(1, "SELECT 1", row(int8s(1))), commit}, "1 columns"},
		{"an id of three bytes", [][]pgproto3.BackendMessage{begin, proof, rowsOf(columns, "SELECT 1", row([]byte("abc"), nil, nil, nil, nil, nil, nil, nil, nil, nil)), commit}, "length"},
		{"a time of four bytes", [][]pgproto3.BackendMessage{begin, proof, rowsOf(columns, "SELECT 1", row(int8s(1), nil, nil, nil, nil, nil, nil, nil, []byte("abcd"), nil)), commit}, "length"},
		{"no proof", [][]pgproto3.BackendMessage{begin, rowsOf(6, "SELECT 0"), rowsOf(columns, "SELECT 0"), commit}, "0 rows came"},
		{"a query without an answer", [][]pgproto3.BackendMessage{begin, proof, commit}, "COMMIT"},
		{"an end without COMMIT", [][]pgproto3.BackendMessage{begin, proof, rowsOf(columns, "SELECT 0")}, "no answer to COMMIT"},
		{"nothing at all", nil, "no answer to BEGIN"},
		{"no transaction", [][]pgproto3.BackendMessage{proof, rowsOf(columns, "SELECT 0"), commit}, "BEGIN was answered"},
		{"a transaction that failed", [][]pgproto3.BackendMessage{begin, proof, rowsOf(columns, "SELECT 0"), {done("ROLLBACK")}}, "COMMIT was answered"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var answer []pgproto3.BackendMessage
			for _, messages := range tt.answer {
				answer = append(answer, messages...)
			}
			config, err := DatabaseOptions{Settings: resolve(t, "DB_SSLMODE=disable"), Dial: func(context.Context, string, string) (net.Conn, error) {
				client, server := net.Pipe()
				go converse(t, server, answer)
				return client, nil
			}}.poolConfig()
			if err != nil {
				t.Fatal(err)
			}
			pool, err := pgxpool.NewWithConfig(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			d := &Database{
				pool: pool, opened: here, timeout: time.Second, log: slog.New(slog.DiscardHandler),
				shape: shape{tables: []table{{class: media.PreviewCards, name: "preview_cards", attachments: []attached{{"images", "image", true}}}}},
			}
			rows, err := d.Rows(t.Context(), map[media.Class][]int64{media.PreviewCards: {1, 2}})
			switch {
			case tt.want == "" && (err != nil || len(rows[media.PreviewCards]) != 2):
				t.Errorf("%v, %v", rows, err)
			case tt.want != "" && (err == nil || rows != nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%v, %v", rows, err)
			}
			if _, ok := errors.AsType[*DatabaseError](err); tt.want != "" && !ok {
				t.Errorf("%T", err)
			}
		})
	}
}
