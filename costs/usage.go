package costs

import (
	"encoding/json"
	"fmt"
	"iter"
)

// A Usage counts requests by operation, failed ones included. It is a plain
// value: compare it with ==, write it as Usage{PutObject: 12}.
type Usage [numOps]int64

// Get returns the count of op.
func (u Usage) Get(op Op) int64 { return u[op.known()] }

// Add returns u and v together.
func (u Usage) Add(v Usage) Usage {
	for op, n := range v {
		u[op] += n
	}
	return u
}

// Sub returns what u counts beyond v, an earlier state of the same meter.
func (u Usage) Sub(v Usage) Usage {
	for op, n := range v {
		u[op] -= n
	}
	return u
}

// A returns the count of Class A operations, unknown ones included.
func (u Usage) A() int64 { return u.of(ClassA) }

// B returns the count of Class B operations.
func (u Usage) B() int64 { return u.of(ClassB) }

func (u Usage) of(c OpClass) (n int64) {
	for op, m := range u.All() {
		if op.Class() == c {
			n += m
		}
	}
	return n
}

// All yields every operation with a count other than 0, in the order of the
// constants.
func (u Usage) All() iter.Seq2[Op, int64] {
	return func(yield func(Op, int64) bool) {
		for op, n := range u {
			if n != 0 && !yield(Op(op), n) {
				return
			}
		}
	}
}

// IsZero reports whether nothing is counted.
func (u Usage) IsZero() bool { return u == Usage{} }

// MarshalJSON writes {"PutObject":12}: names and counts, without zeros.
func (u Usage) MarshalJSON() ([]byte, error) {
	m := make(map[string]int64)
	for op, n := range u.All() {
		m[op.String()] = n
	}
	return json.Marshal(m)
}

// UnmarshalJSON reads what MarshalJSON wrote. Names from another version or
// from Cloudflare's analytics that it doesn't know are counted as [Unknown].
func (u *Usage) UnmarshalJSON(data []byte) error {
	var m map[string]int64
	if err := json.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("read usage: %w", err)
	}
	*u = Usage{}
	for name, n := range m {
		op, _ := ParseOp(name)
		u[op] += n
	}
	return nil
}
