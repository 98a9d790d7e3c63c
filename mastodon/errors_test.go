package mastodon

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
)

// Root reads everything, so the refusal of a file is made by hand.
func TestFileErrorHints(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		hint string
	}{
		{&fs.PathError{Op: "open", Path: "/x", Err: fs.ErrPermission}, "run as the user that Mastodon runs as"},
		{&fs.PathError{Op: "open", Path: "/x", Err: fs.ErrNotExist}, "name Mastodon's settings file"},
		{&SyntaxError{1, "bad"}, "put right that line"},
		{errors.New("disk on fire"), "name the settings file itself"},
	} {
		err := fileError("/x", tt.err)
		fe, ok := errors.AsType[*FileError](err)
		if !ok || !strings.HasPrefix(fe.Hint, tt.hint) || strings.Count(err.Error(), "/x") != 1 {
			t.Errorf("%v: %+v", tt.err, err)
		}
	}
}
