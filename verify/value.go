package verify

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A value is printed on a certificate's page and read from it. parse may accept more
// than print writes: the whole page is printed again and compared.
type value interface {
	print() string
	parse(s string) error
}

// printText returns s as it is if it is plain: ASCII without spaces. Anything else is quoted
// with Go's escapes in ASCII, so that neither a line break nor what only looks like
// something else can be in it, and a later Unicode changes nothing.
func printText(s string) string {
	odd := func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }
	if s == "" || strings.ContainsFunc(s, odd) {
		return strconv.QuoteToASCII(s)
	}
	return s
}

// textValue is a text after a fixed word. An empty one prints as none, which has a
// space and so is no text's; if there is no none, it may not be empty.
type textValue struct {
	to         *string
	lead, none string
}

func (v textValue) print() string {
	if *v.to == "" {
		return v.none
	}
	return v.lead + printText(*v.to)
}

func (v textValue) parse(s string) (err error) {
	if s == v.none && s != "" {
		*v.to = ""
		return nil
	}
	if *v.to = strings.TrimPrefix(s, v.lead); strings.HasPrefix(*v.to, `"`) {
		*v.to, err = strconv.Unquote(*v.to)
	}
	if err == nil && *v.to == "" {
		err = errors.New("must not be empty")
	}
	return err
}

// timeValue is a time; the zero one prints as none, as in [textValue].
type timeValue struct {
	to   *time.Time
	none string
}

func (v timeValue) print() string {
	if v.to.IsZero() {
		return v.none
	}
	return v.to.UTC().Format(time.RFC3339)
}

func (v timeValue) parse(s string) (err error) {
	if s == v.none && s != "" {
		*v.to = time.Time{}
		return nil
	}
	if *v.to, err = time.Parse(time.RFC3339, s); err != nil {
		return errors.New("not a time in UTC by RFC 3339")
	}
	return nil
}

type numberValue struct{ to *int64 }

func (v numberValue) print() string { return strconv.FormatInt(*v.to, 10) }

func (v numberValue) parse(s string) (err error) {
	if *v.to, err = strconv.ParseInt(s, 10, 64); err != nil {
		return errors.New("not a number")
	}
	return nil
}

// removedValue is a number that says what it counts, since the page's end is as old as
// the format; and none prints as nothing, so that certificates from before there were
// cleanup runs stay what they are.
type removedValue struct{ to *int64 }

const byCleanup = " by cleanup runs: neither in the bucket nor in the list"

func (v removedValue) print() string {
	if *v.to == 0 {
		return ""
	}
	return numberValue(v).print() + byCleanup
}

func (v removedValue) parse(s string) error {
	if *v.to = 0; s == "" {
		return nil
	}
	return numberValue(v).parse(strings.TrimSuffix(s, byCleanup))
}

type sumValue struct{ to *[32]byte }

func (v sumValue) print() string { return hex.EncodeToString(v.to[:]) }

func (v sumValue) parse(s string) error {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(v.to) {
		return errors.New("not a SHA-256")
	}
	*v.to = [32]byte(b)
	return nil
}

// runValue is a run and when it began what is meant.
type runValue struct {
	run *int64
	at  *time.Time
}

func (v runValue) print() string {
	return fmt.Sprintf("in run %d, begun %s", *v.run, timeValue{v.at, ""}.print())
}

func (v runValue) parse(s string) error {
	run, at, _ := strings.Cut(strings.TrimPrefix(s, "in run "), ", begun ")
	return errors.Join(numberValue{v.run}.parse(run), timeValue{v.at, ""}.parse(at))
}

// readValue is how many objects were read back, and how these were chosen.
type readValue struct {
	read, all *int64
	seed      **uint64
}

const bySample = ", a sample with the seed "

func (v readValue) print() string {
	n := numberValue{v.read}.print()
	switch {
	case *v.seed != nil:
		return n + bySample + strconv.FormatUint(**v.seed, 10)
	case *v.read == *v.all:
		return n + ", all of them"
	}
	return n
}

func (v readValue) parse(s string) error {
	if n, seed, ok := strings.Cut(s, bySample); ok {
		u, err := strconv.ParseUint(seed, 10, 64)
		if err != nil {
			return errors.New("no seed")
		}
		*v.seed, s = &u, n
	}
	n, _, _ := strings.Cut(s, ",")
	return numberValue{v.read}.parse(n)
}
