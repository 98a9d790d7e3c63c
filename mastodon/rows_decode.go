package mastodon

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"example.org/mediamove/media"
)

const (
	leadColumns = 5 // id, remote, busy, var, blurhash
	fileColumns = 5 // of each attachment: name, content type, size, updated, schema version
)

// epoch2000 is PostgreSQL's year zero, in microseconds of Unix time.
const epoch2000 = 946_684_800_000_000

var errBinary = errors.New("a value of another length than its type has")

// decoder returns a function that reads rows of t, about n of them. It makes
// little garbage, for it sees every row of an instance: content types are few
// and kept, and the attachments of many rows share one piece of memory.
func (t *table) decoder(n int) func(v [][]byte) (media.Row, error) {
	types := map[string]string{}
	k := len(t.attachments)
	var files []media.Filed
	return func(v [][]byte) (media.Row, error) {
		if len(v) != leadColumns+k*fileColumns {
			return media.Row{}, fmt.Errorf("%s answered with %d columns", t.name, len(v))
		}
		if cap(files)-len(files) < k {
			files = make([]media.Filed, 0, k*min(n, 64))
		}
		first := len(files)
		for i, a := range t.attachments {
			f, err := filed(v[leadColumns+i*fileColumns:], types)
			if err != nil {
				return media.Row{}, fmt.Errorf("read %s of %s: %w", a.column, t.name, err)
			}
			f.Attachment = a.name
			f.Blurhash = isTrue(v[4])
			files = append(files, f)
		}
		id, err := integer(v[0])
		return media.Row{
			Class: t.class, ID: id, Remote: isTrue(v[1]), Busy: isTrue(v[2]), Var: string(v[3]),
			Files: files[first:len(files):len(files)],
		}, err
	}
}

// filed reads one attachment's columns.
func filed(v [][]byte, types map[string]string) (media.Filed, error) {
	contentType, known := types[string(v[1])]
	if !known {
		contentType = string(v[1])
		types[contentType] = contentType
	}
	size, err1 := integer(v[2])
	updated, err2 := timestamp(v[3])
	schema, err3 := integer(v[4])
	if err1 != nil || err2 != nil || err3 != nil {
		return media.Filed{}, errBinary
	}
	return media.Filed{Name: string(v[0]), ContentType: contentType, Schema: int(schema), Size: size, Updated: updated}, nil
}

// integer reads an int4 or int8; NULL is 0.
func integer(b []byte) (int64, error) {
	switch len(b) {
	case 0:
		return 0, nil
	case 4:
		return int64(int32(binary.BigEndian.Uint32(b))), nil
	case 8:
		return int64(binary.BigEndian.Uint64(b)), nil
	}
	return 0, errBinary
}

func boolean(b []byte) (bool, error) {
	if len(b) != 1 {
		return false, errBinary
	}
	return b[0] != 0, nil
}

// isTrue reads a bool; NULL is false.
func isTrue(b []byte) bool { return len(b) == 1 && b[0] != 0 }

// timestamp reads microseconds since 2000 in UTC, as Rails stores times. NULL
// and the infinities are the zero time.
func timestamp(b []byte) (time.Time, error) {
	if len(b) == 0 {
		return time.Time{}, nil
	}
	if len(b) != 8 {
		return time.Time{}, errBinary
	}
	micros := int64(binary.BigEndian.Uint64(b))
	if micros == math.MaxInt64 || micros == math.MinInt64 {
		return time.Time{}, nil
	}
	return time.UnixMicro(micros + epoch2000).UTC(), nil
}
