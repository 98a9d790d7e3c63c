package mastodon

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

var (
	// ErrReplica says that the server is a replica, or has become one. It lags, so
	// it can't say that a row does not exist.
	ErrReplica = errors.New("the database server is a replica, not the primary")
	// ErrOtherDatabase says that a connection led to another server or database
	// than the one that was opened.
	ErrOtherDatabase = errors.New("this is another database than the one that was opened")
)

// A ShapeError says that the tables are not those of Mastodon 3.5 to 4.6, and how.
type ShapeError struct {
	Table  string
	Column string // "" if it is about the table
	Reason string
}

func (e *ShapeError) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("table %s: %s", e.Table, e.Reason)
	}
	return fmt.Sprintf("column %s of table %s: %s", e.Column, e.Table, e.Reason)
}

// A DatabaseError says that the server could not be reached, or refused. It holds
// neither a password nor DATABASE_URL.
type DatabaseError struct {
	Op   string // such as "open the database"
	Hint string // what to do, for an admin; may be empty
	Err  error
}

func (e *DatabaseError) Error() string { return e.Op + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *DatabaseError) Unwrap() error { return e.Err }

// databaseError wraps whatever a transaction ended with; nil stays nil.
func databaseError(op string, err error) error {
	if err == nil {
		return nil
	}
	if connect, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		err = connect.Unwrap() // the outer one holds the configuration, password included
	}
	if errors.Is(err, pgconn.ErrStandbyConnection) {
		err = ErrReplica
	}
	if errors.Is(err, ErrReplica) || errors.Is(err, ErrOtherDatabase) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", op, err)
	}
	return &DatabaseError{Op: op, Hint: databaseHint(err), Err: err}
}

// databaseHint is by SQLSTATE (PostgreSQL's appendix A) where the server has answered.
func databaseHint(err error) string {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch refused.Code {
		case "28000", "28P01":
			return "check DB_USER and DB_PASS (or DATABASE_URL), and pg_hba.conf"
		case "3D000":
			return "check DB_NAME (or DATABASE_URL)"
		case "42501":
			return "give this role the rights of docs/grants.sql (mediamove_prune, to prune); run it again after an upgrade of Mastodon"
		case "57014":
			return "the server was too slow: try again when it has less to do"
		}
		return ""
	}
	if untrusted(err) {
		return "check sslmode and sslrootcert in DATABASE_URL, or DB_SSLMODE"
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return "check DB_HOST and DB_PORT (or DATABASE_URL): is PostgreSQL running there?"
	}
	return ""
}

// untrusted reports whether the server's certificate was refused.
func untrusted(err error) bool {
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, name := errors.AsType[x509.HostnameError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	return unknown || name || invalid
}

// broken reports whether the connection failed, or the server was about to go,
// and not what was asked: another try may succeed.
func broken(err error) bool {
	if _, open := errors.AsType[*outcomeError](err); open {
		return false
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		// Class 08: connection exceptions; 53300: too many connections; 57P01 to
		// 57P03: shutting down or starting up.
		return strings.HasPrefix(refused.Code, "08") ||
			slices.Contains([]string{"53300", "57P01", "57P02", "57P03"}, refused.Code)
	}
	_, network := errors.AsType[net.Error](err)
	return network && !untrusted(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || pgconn.SafeToRetry(err)
}
