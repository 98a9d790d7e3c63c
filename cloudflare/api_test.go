package cloudflare

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	testToken   = "cfut_Zk7Qm2Xw9Rt4Yp6Lv8Bn3Hs5Jd1Fg0CaEuIoKiNeTy"
	testAccount = "0123456789abcdef0123456789abcdef"
)

// noon is when the tests take place, unless they say otherwise.
func noon() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) }

// nov returns the beginning of a day in November 2026.
func nov(d int) time.Time { return time.Date(2026, 11, d, 0, 0, 0, 0, time.UTC) }

// A form is one of the queries that may be sent.
type form struct {
	storage, bucket, sampling bool
}

// forms has the text of every query that may be sent. It is written down here once
// more, so that none changes unseen.
func forms() map[string]form {
	const (
		head  = "query R2($accountTag: string!, $start: Time, $end: Time) { viewer { accounts(filter: { accountTag: $accountTag }) { rows: "
		headB = "query R2($accountTag: string!, $start: Time, $end: Time, $bucketName: string) { viewer { accounts(filter: { accountTag: $accountTag }) { rows: "
		args  = "(limit: 10000, orderBy: [date_ASC], filter: { datetime_geq: $start, datetime_leq: $end }) { dimensions { "
		argsB = "(limit: 10000, orderBy: [date_ASC], filter: { datetime_geq: $start, datetime_leq: $end, bucketName: $bucketName }) { dimensions { "
		ops   = "r2OperationsAdaptiveGroups"
		opsF  = "date actionType actionStatus storageClass } sum { requests responseBytes }"
		conf  = " confidence(level: 0.95) { sum { requests { sampleSize } } }"
		store = "r2StorageAdaptiveGroups"
		stF   = "date bucketName storageClass } max { payloadSize metadataSize objectCount uploadCount }"
		tail  = " } } } }"
	)
	return map[string]form{
		head + ops + args + opsF + conf + tail:   {sampling: true},
		head + ops + args + opsF + tail:          {},
		headB + ops + argsB + opsF + conf + tail: {bucket: true, sampling: true},
		headB + ops + argsB + opsF + tail:        {bucket: true},
		head + store + args + stF + tail:         {storage: true},
		headB + store + argsB + stF + tail:       {storage: true, bucket: true},
	}
}

// A sent is one query that the API got.
type sent struct {
	form
	bucketName string
	span       span
}

// An event is n operations at once.
type event struct {
	at                            time.Time
	bucket, action, status, class string
	n, bytes                      int64
}

// A gauge is what a bucket held at a time.
type gauge struct {
	at                                  time.Time
	bucket, class                       string
	payload, metadata, objects, uploads int64
}

// An api stands for Cloudflare's analytics: it groups what happened as the datasets
// do, and refuses what they refuse.
type api struct {
	t      testing.TB
	now    time.Time
	events []event
	gauges []gauge

	keeps       time.Duration // 0: 31 days
	widest      time.Duration // of one query; 0: any
	sampledOver time.Duration // queries about more time are sampled; 0: none is
	knowsNot    string        // a field that the schema doesn't have

	// first, if set, may answer instead.
	first func(w http.ResponseWriter, n int, s sent) bool

	mu   sync.Mutex
	sent []sent
}

func (a *api) queries() []sent {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.sent)
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s, text := a.check(r)
	a.mu.Lock()
	a.sent = append(a.sent, s)
	n := len(a.sent)
	a.mu.Unlock()
	keeps := cmp.Or(a.keeps, 31*day)
	w.Header().Set("Content-Type", "application/json")
	switch {
	case a.first != nil && a.first(w, n, s):
	case a.knowsNot != "" && strings.Contains(text, a.knowsNot):
		refuse(w, `unknown field "`+a.knowsNot+`"`, "syntax")
	case s.span.from.Before(a.now.Add(-keeps)):
		refuse(w, fmt.Sprintf("cannot request data older than %ds", int(keeps.Seconds())), "query")
	case a.widest != 0 && s.span.to.Sub(s.span.from) > a.widest:
		refuse(w, "query time range is too large: it can't be wider than this", "query")
	case s.storage:
		answer(w, a.stored(s))
	default:
		answer(w, a.operations(s))
	}
}

// check fails the test for a request that Cloudflare's documentation doesn't allow.
func (a *api) check(r *http.Request) (s sent, text string) {
	a.t.Helper()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		a.t.Error(err)
	}
	if strings.Contains(string(data)+r.URL.String(), testToken) {
		a.t.Error("the token is in the body or the URL")
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer " + testToken, "Content-Type": "application/json", "User-Agent": "mediamove",
	} {
		if got := r.Header.Get(name); got != want {
			a.t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	var body struct {
		Query     string            `json:"query"`
		Variables map[string]string `json:"variables"`
	}
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil || r.Method != http.MethodPost {
		a.t.Errorf("%s %q: %v", r.Method, data, err)
	}
	form, ok := forms()[body.Query]
	if !ok {
		a.t.Errorf("unknown query %s", body.Query)
	}
	name, has := body.Variables["bucketName"]
	if has != form.bucket || body.Variables["accountTag"] != testAccount {
		a.t.Errorf("variables are %v", body.Variables)
	}
	from, err1 := time.Parse("2006-01-02T15:04:05Z", body.Variables["start"])
	to, err2 := time.Parse("2006-01-02T15:04:05Z", body.Variables["end"])
	if err1 != nil || err2 != nil || to.Before(from) {
		a.t.Errorf("asked for %v", body.Variables)
	}
	return sent{form, name, span{from, to.Add(time.Second)}}, body.Query
}

func (s sent) about(at time.Time, bucket string) bool {
	return !at.Before(s.span.from) && at.Before(s.span.to) && (!s.bucket || bucket == s.bucketName)
}

type object = map[string]any

func (a *api) operations(s sent) []object {
	type group struct{ date, action, status, class string }
	requests, bytes := map[group]int64{}, map[group]int64{}
	for _, e := range a.events {
		if s.about(e.at, e.bucket) {
			g := group{e.at.Format(time.DateOnly), e.action, e.status, e.class}
			requests[g] += e.n
			bytes[g] += e.bytes
		}
	}
	var rows []object
	for g, n := range requests {
		row := object{
			"dimensions": object{"date": g.date, "actionType": g.action, "actionStatus": g.status, "storageClass": g.class},
			"sum":        object{"requests": n, "responseBytes": bytes[g]},
		}
		size := n
		if a.sampledOver != 0 && s.span.to.Sub(s.span.from) > a.sampledOver {
			size = (n + 9) / 10
			row["sum"] = object{"requests": size * 10, "responseBytes": bytes[g] / 10 * 10}
		}
		if s.sampling {
			row["confidence"] = object{"sum": object{"requests": object{"sampleSize": size}}}
		}
		rows = append(rows, row)
	}
	return limited(rows)
}

func (a *api) stored(s sent) []object {
	type group struct{ date, bucket, class string }
	peaks := map[group]gauge{}
	for _, g := range a.gauges {
		if s.about(g.at, g.bucket) {
			k := group{g.at.Format(time.DateOnly), g.bucket, g.class}
			p := peaks[k]
			peaks[k] = gauge{
				payload: max(p.payload, g.payload), metadata: max(p.metadata, g.metadata),
				objects: max(p.objects, g.objects), uploads: max(p.uploads, g.uploads),
			}
		}
	}
	var rows []object
	for k, p := range peaks {
		rows = append(rows, object{
			"dimensions": object{"date": k.date, "bucketName": k.bucket, "storageClass": k.class},
			"max":        object{"payloadSize": p.payload, "metadataSize": p.metadata, "objectCount": p.objects, "uploadCount": p.uploads},
		})
	}
	return limited(rows)
}

// limited sorts rows by date and cuts them where the query does.
func limited(rows []object) []object {
	slices.SortFunc(rows, func(a, b object) int {
		return cmp.Compare(a["dimensions"].(object)["date"].(string), b["dimensions"].(object)["date"].(string))
	})
	if len(rows) > 10_000 {
		rows = rows[:10_000]
	}
	return rows
}

func answer(w io.Writer, rows []object) {
	if rows == nil {
		rows = []object{}
	}
	_ = json.NewEncoder(w).Encode(object{
		"data":   object{"viewer": object{"accounts": []object{{"rows": rows}}}},
		"errors": nil,
	})
}

// refuse answers as GraphQL does: with status 200.
func refuse(w io.Writer, message, code string) {
	_ = json.NewEncoder(w).Encode(object{"data": nil, "errors": []object{{
		"message": message, "path": []any{"viewer", "accounts", 0, "rows"},
		"extensions": object{"timestamp": "2026-11-20T12:00:00.000000001Z", "code": code},
	}}})
}

// A wire carries requests to a handler without a network.
type wire struct{ http.Handler }

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec.Result(), r.Context().Err()
}

// client returns a client of a.
func (a *api) client(t testing.TB, change ...func(*Options)) *Client {
	t.Helper()
	if a.now.IsZero() {
		a.now = noon()
	}
	a.t = t
	o := Options{Token: testToken, Account: testAccount, Transport: wire{a}, Now: func() time.Time { return a.now }}
	for _, f := range change {
		f(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}
