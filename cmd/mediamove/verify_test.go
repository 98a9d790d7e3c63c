package main

import (
	"encoding/json"
	"testing"

	"example.org/mediamove/fixtures"
)

// verified decodes what verify --json printed.
func verified(t *testing.T, code int, r result) verifyJSON {
	t.Helper()
	if r.code != code {
		t.Fatalf("want exit %d, got %v", code, r)
	}
	var out verifyJSON
	if err := json.Unmarshal([]byte(r.stdout), &out); err != nil {
		t.Fatalf("%v in %v", err, r)
	}
	return out
}

// A tree that was moved is the same, by one LIST per 1,000 and the mark.
func TestVerifySame(t *testing.T) {
	t.Parallel()
	b := fixtures.NewBucket(fixtures.Options{})
	s := newSite(t, listen(t, b), fixtures.Demo())
	s.must(exitOK, s.sync())
	for _, args := range [][]string{{}, {s.root}, {"--read"}, {"--sample", "50", s.root}, {"--rotate", "30"}} {
		r := s.run(append([]string{"verify"}, args...)...)
		if r.code != 0 {
			t.Errorf("%v: %v", args, r)
		}
		t.Log(r)
	}
	t.Log(s.run("verify", "--json", s.root))
}
