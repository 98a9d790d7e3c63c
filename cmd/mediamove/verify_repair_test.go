package main

import (
	"bytes"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/media"
)

// repair runs verify --repair and tells what was written meanwhile.
func (m *moved) repair(code int, args ...string) (out verifyJSON, sent costs.Usage) {
	m.t.Helper()
	before := m.b.Usage()
	out = verified(m.t, code, m.run(append([]string{"verify", "--json", "--repair"}, args...)...))
	sent = m.b.Usage().Sub(before)
	if out.Requests != sent {
		m.t.Errorf("verify says that it sent %v, the bucket saw %v", out.Requests, sent)
	}
	return out, sent
}

// same expects the object as it was, but for its time.
func (m *moved) same(want fixtures.Object, body []byte) {
	m.t.Helper()
	got, ok := m.b.Object(want.Key)
	got.LastModified, want.LastModified = time.Time{}, time.Time{}
	if diff := cmp.Diff(want, got); !ok || diff != "" || !bytes.Equal(m.body(want.Key), body) {
		m.t.Errorf("%s is not as it was:\n%s", want.Key, diff)
	}
}

// What is missing comes back as it was; what is not as it was moved does not.
func TestVerifyRepair(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(200))
	keys, local := m.plain(9), m.sums()
	lost, lostToo, edited, hidden, nowhere, differing, rotten, truncated := keys[0], keys[1], keys[2], keys[3], keys[4], keys[5], keys[6], keys[7]
	was, bodies := make(map[string]fixtures.Object), make(map[string][]byte)
	for _, key := range keys {
		was[key], _ = m.b.Object(key)
		bodies[key] = m.body(key)
	}
	m.b.Delete(lost, lostToo, edited, hidden, nowhere)
	m.edit(edited)
	m.chmod(hidden, 0o600)
	m.remove(nowhere)
	m.plant(differing, []byte("somebody else's"), "")
	m.plant(truncated, bodies[truncated][:10], "")
	m.b.Corrupt(rotten)
	m.b.Put(unknown, []byte("?"))

	out, sent := m.repair(exitLeft, m.root)
	if out.Missing != 4 || out.Differs != 2 || out.Extra != 1 || out.Repaired != 2 || out.Differences != 5 || sent.Get(costs.PutObject) != 2 {
		t.Errorf("%+v, sent %v", out, sent)
	}
	for _, key := range []string{lost, lostToo} {
		m.same(was[key], bodies[key])
	}
	for _, key := range []string{edited, hidden, nowhere} {
		if _, ok := m.b.Object(key); ok {
			t.Errorf("%s was sent", key)
		}
	}
	if string(m.body(differing)) != "somebody else's" || m.b.Writes(truncated) != 2 || m.b.Writes(unknown) != 1 {
		t.Error("an object was overwritten without being asked for")
	}
	// Asked for, what differs is replaced too; rot only if it is looked for.
	out, sent = m.repair(exitLeft, "--replace-differing", m.root)
	if out.Repaired != 2 || out.Differs != 2 || out.Differences != 3 || sent.Get(costs.PutObject) != 2 {
		t.Errorf("%+v, sent %v", out, sent)
	}
	m.same(was[differing], bodies[differing])
	m.same(was[truncated], bodies[truncated])
	out, _ = m.repair(exitLeft, "--replace-differing", "--read", m.root)
	if out.Repaired != 1 || out.Differs != 1 || out.Differences != 3 {
		t.Errorf("%+v", out)
	}
	m.same(was[rotten], bodies[rotten])
	m.differs(map[string]string{edited: "missing", nowhere: "missing", unknown: "extra"}, "--read", m.root)
	if r := m.run("verify", "--repair", m.root); !strings.Contains(r.stdout, "repaired: 0; left as they are: 2") {
		t.Error(r)
	}
	if left := m.b.Uploads(); len(left) != 0 {
		t.Errorf("left behind: %+v", left)
	}
	now := m.sums()
	for _, key := range []string{edited, hidden, nowhere} {
		delete(local, key)
		delete(now, key)
	}
	if diff := cmp.Diff(local, now); diff != "" {
		t.Errorf("the tree was changed:\n%s", diff)
	}
}

// Once all is repaired nothing differs, and the settings may name the media root.
func TestVerifyRepairAll(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(60))
	key := m.plain(1)[0]
	m.b.Delete(key)
	m.env["PAPERCLIP_ROOT_PATH"] = m.root
	out, _ := m.repair(exitOK)
	if out.Repaired != 1 || out.Missing != 1 || out.Differences != 0 || !out.Complete {
		t.Errorf("%+v", out)
	}
	out, sent := m.repair(exitOK) // nothing to do: nobody's right to write is asked for
	if out.Repaired != 0 || sent != (costs.Usage{costs.ListObjects: 1, costs.GetObject: 1}) {
		t.Errorf("%+v, sent %v", out, sent)
	}
	var story story
	decode(t, m.run("explain", "--json", key), exitOK, &story)
	if story.Verified == nil || story.Verified.Fallen != "" || story.Verified.Listings != 1 {
		t.Errorf("%+v", story.Verified)
	}
}

// What a run has repaired is not what it leaves to look at.
func TestVerifyRepairedIsNotListed(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(40))
	m.b.Delete(m.plain(1)[0])
	m.repair(exitOK, m.root)
	if r := m.run("status", "--list", "missing"); r.code != exitOK || r.stdout != "" {
		t.Errorf("still listed as missing: %v", r)
	}
}

// The bucket may change between the look and the PUT: then the condition refuses it.
func TestVerifyRepairRaces(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(60))
	keys := m.plain(2)
	missing, differing := keys[0], keys[1]
	m.b.Delete(missing)
	m.plant(differing, []byte("seen by the listing"), "")
	var put atomic.Int64
	m.b.SetFault(func(r fixtures.Request) fixtures.Fault {
		if r.Op == costs.PutObject && !media.Key(r.Key).Reserved() && r.Attempt == 1 {
			put.Add(1)
			m.b.Put(r.Key, []byte("came in between"))
		}
		return fixtures.Fault{}
	})
	out, _ := m.repair(exitLeft, "--replace-differing", m.root)
	if out.Repaired != 0 || out.Differences != 2 || put.Load() != 2 {
		t.Errorf("%+v, %d tried", out, put.Load())
	}
	for _, key := range keys {
		if got := m.body(key); string(got) != "came in between" {
			t.Errorf("%s: %q", key, got)
		}
	}
}

// After the switch nothing is sent: who deleted it may have meant to.
func TestVerifyRepairAfterTheSwitch(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(60))
	keys := m.plain(2)
	m.b.Delete(keys[0])
	m.plant(keys[1], []byte("old and different"), "")
	m.env["S3_ENABLED"] = "true"
	for range 2 {
		sent := m.looked(func() {
			r := m.run("verify", "--repair", "--replace-differing", m.root)
			if r.code != exitLeft || !strings.Contains(r.stdout, "repaired: 0; left as they are: 2") {
				t.Error(r)
			}
		})
		if sent.Get(costs.ListObjects) != 1 {
			t.Errorf("sent %v", sent)
		}
		delete(m.env, "S3_ENABLED") // remembered
	}
	if _, ok := m.b.Object(keys[0]); ok {
		t.Error("something was written")
	}
}

// A token that may only read is enough to verify, and repairing with it is told as
// what it is.
func TestVerifyWithAReadOnlyToken(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(60))
	m.b.SetFault(func(r fixtures.Request) fixtures.Fault {
		if r.Op != costs.GetObject && r.Op != costs.HeadObject && r.Op != costs.ListObjects {
			return fixtures.Fault{Status: 403, Code: "AccessDenied"}
		}
		return fixtures.Fault{}
	})
	m.env["S3_ENABLED"] = "true" // which a sync would write into the mark
	for _, args := range [][]string{{}, {m.root}, {"--read"}, {"--headers", "10"}} {
		m.verify(exitOK, args...)
	}
	m.env["S3_ENABLED"] = "false"
	key := m.plain(1)[0]
	m.b.Delete(key)
	m.complaint(m.run("verify", "--repair", "--before-switch", m.root), exitUsage, "AccessDenied")
}

// A limit on Class A ends repairing in order; the rest is for the next run.
func TestVerifyRepairWithALimit(t *testing.T) {
	t.Parallel()
	m := newMoved(t, fixtures.Mixed(60))
	m.b.Delete(m.plain(4)...)
	out, sent := m.repair(exitLeft, "--max-class-a", "3", "--max-concurrency", "1", m.root)
	if out.Missing != 4 || out.Repaired != 2 || out.Differences != 2 || sent.A() != 3 {
		t.Errorf("%+v, sent %v", out, sent)
	}
	if out, _ := m.repair(exitOK, m.root); out.Repaired != 2 {
		t.Errorf("%+v", out)
	}
}
