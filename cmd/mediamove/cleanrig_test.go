package main

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/fixtures/pgtest"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// A living is an instance after the switch: a bucket with what its rows own, orphans
// beside it, a real database, and a clock that goes forward by whole nights.
type living struct {
	*insider
	db           pgtest.Instance
	in           *instance.Instance
	objects      map[media.Key]instance.Object
	orphans      map[media.Key]instance.Orphan
	ahead        atomic.Int64 // nanoseconds that the bucket's clock is ahead
	machine      string
	machineFiles []string // where it is read if machine is ""
	typed        string   // on stdin
}

// living makes an instance whose youngest row is an hour old by the bucket's clock.
func newLiving(t *testing.T, spec instance.Spec, orphans int) *living {
	t.Helper()
	return newLivingOn(t, databases.Cluster(t), fixtures.Options{}, spec, orphans)
}

// newLivingOn makes it on a database server and in a bucket of the test's own choice.
func newLivingOn(t *testing.T, server *pgtest.Cluster, o fixtures.Options, spec instance.Spec, orphans int) *living {
	t.Helper()
	l := &living{objects: map[media.Key]instance.Object{}, orphans: map[media.Key]instance.Orphan{}, machine: strings.Repeat("ab", 16)}
	spec.Now = time.Now()
	l.in = instance.New(spec)
	l.db = server.Create(t, l.in.Spec().Version)
	if err := l.in.Load(t.Context(), l.db.DSN); err != nil {
		t.Fatal(err)
	}
	o.AnySkew, o.Now = true, l.now
	l.insider = &insider{
		t: t, state: t.TempDir() + "/state",
		bucket: fixtures.NewBucket(o),
		env: []string{
			"S3_BUCKET=" + fixtures.Name, "S3_ENDPOINT=" + fixtures.Endpoint, "S3_PERMISSION=",
			"AWS_ACCESS_KEY_ID=" + fixtures.AccessKey, "AWS_SECRET_ACCESS_KEY=" + fixtures.Secret,
		},
	}
	l.use(l.db)
	l.start(t)
	instance.Fill(l.bucket, "", l.in.Objects())
	for o := range l.in.Objects() {
		l.objects[o.Key] = o
	}
	for o := range l.in.Orphans(orphans) {
		l.orphans[o.Key] = o
		instance.Fill(l.bucket, "", slices.Values([]instance.Object{o.Object}))
	}
	return l
}

// start makes the owner mark as a first sync does, and lets the switch happen.
func (l *living) start(t *testing.T) {
	t.Helper()
	l.root = t.TempDir() + "/system"
	if _, err := fixtures.Tree(l.root, fixtures.Spec{Seed: 1, Files: 3, Empty: true}); err != nil {
		t.Fatal(err)
	}
	if r := l.run("sync", l.root); r.code != 0 {
		t.Fatal(r)
	}
	for _, o := range l.bucket.Objects() {
		if !strings.HasPrefix(o.Key, ".mediamove/") {
			l.bucket.Delete(o.Key)
		}
	}
	l.set("S3_ENABLED", "true")
}

func (l *living) now() time.Time { return time.Now().Add(time.Duration(l.ahead.Load())) }

// sleep puts the bucket's clock forward instead of waiting.
func (l *living) sleep(_ context.Context, d time.Duration) error {
	l.later(d)
	return nil
}

// later puts the bucket's clock forward.
func (l *living) later(d time.Duration) { l.ahead.Add(int64(d)) }

// use points the settings at a database.
func (l *living) use(db pgtest.Instance) {
	for _, name := range slices.Sorted(maps.Keys(db.Settings)) {
		l.set(name, db.Settings[name])
	}
}

func (l *living) set(name, value string) {
	l.env = slices.DeleteFunc(l.env, func(line string) bool { return strings.HasPrefix(line, name+"=") })
	l.env = append(l.env, name+"="+value)
}

// clean runs a command as this machine.
func (l *living) clean(args ...string) result {
	l.t.Helper()
	return l.cleanCtx(l.t.Context(), args...)
}

func (l *living) cleanCtx(ctx context.Context, args ...string) result {
	l.t.Helper()
	var stdout, stderr syncBuffer
	w := &world{
		args: append(args, "--state", l.state), stdin: strings.NewReader(l.typed), stdout: &stdout, stderr: &stderr, environ: l.env,
		width: 80, transport: l.bucket.Transport(), machineID: l.machine, machineFiles: l.machineFiles, sleep: l.sleep,
	}
	return result{run(ctx, w), stdout.String(), stderr.String()}
}

func (l *living) bind(args ...string) bindJSON {
	l.t.Helper()
	l.typed = "example.com\n"
	var out bindJSON
	decode(l.t, l.clean(append([]string{"bind", "--json"}, args...)...), 0, &out)
	return out
}

func (l *living) orphan(code int, args ...string) orphansJSON {
	l.t.Helper()
	var out orphansJSON
	decode(l.t, l.clean(append([]string{"orphans", "--json"}, args...)...), code, &out)
	return out
}

// alive posts a status, as a live instance does all the time: the fresh guard looks at it.
func (l *living) alive() {
	l.t.Helper()
	id := l.now().UnixMilli() << 16
	l.db.Exec(l.t, fmt.Sprintf("INSERT INTO statuses (id, account_id, created_at, updated_at) SELECT %d, min(id), now(), now() FROM accounts", id))
}

// night goes on to the next night.
func (l *living) night() {
	l.t.Helper()
	l.later(24 * time.Hour)
	l.alive()
}

// stands is every key of the bucket but our own.
func (l *living) stands() map[string]fixtures.Object {
	m := map[string]fixtures.Object{}
	for _, o := range l.bucket.Objects() {
		if !strings.HasPrefix(o.Key, ".mediamove/") {
			m[o.Key] = o
		}
	}
	return m
}

// owned expects every object that a row owns, byte for byte.
func (l *living) owned() {
	l.t.Helper()
	for k, o := range l.objects {
		body, ok := l.bucket.Body(string(k))
		if !ok {
			l.t.Fatalf("%s is owned, and gone", k)
		}
		if !bytes.Equal(body, instance.Body(o)) {
			l.t.Fatalf("%s has other bytes", k)
		}
	}
}

// lastRun is the number of the command's last run, as it is typed.
func (l *living) lastRun(command string) string {
	l.t.Helper()
	led := l.reader()
	defer led.Close()
	r, err := led.Latest(l.t.Context(), command)
	if err != nil {
		l.t.Fatal(err)
	}
	return strconv.FormatInt(r.ID, 10)
}

// removedBy is what the journal says that a run removed.
func (l *living) removedBy(run string) (keys []string) {
	l.t.Helper()
	r := l.clean("journal", "--run", run, "--only", "removed")
	for line := range strings.Lines(r.stdout) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		keys = append(keys, fields[len(fields)-1])
	}
	if r.code != 0 || len(keys) == 0 {
		l.t.Fatal(r)
	}
	return keys
}

// suspects is every key that the last scan marked.
func (l *living) suspects() iter.Seq[string] {
	return func(yield func(string) bool) {
		led := l.reader()
		defer led.Close()
		for s, err := range led.Suspects(l.t.Context(), ledger.SuspectQuery{}) {
			if err != nil {
				l.t.Fatal(err)
			}
			if !yield(string(s.Key)) {
				return
			}
		}
	}
}
