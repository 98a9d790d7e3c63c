package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

const (
	costToken   = "cfut_Zk7Qm2Xw9Rt4Yp6Lv8Bn3Hs5Jd1Fg0CaEuIoKiNeTy"
	costAccount = "0123456789abcdef0123456789abcdef"
	costBucket  = "hidden-bucket-name"
)

// An analytics server answers as Cloudflare's does: HTTP 200 whatever it says, the
// rows of the days that were asked about.
type analytics struct {
	*httptest.Server

	operations map[costs.Day]map[string]int64 // by day and type
	stored     map[costs.Day]int64            // payload by day
	sampled    bool
	refuse     func(dataset string) string // a body to answer instead; "" for none

	mu    sync.Mutex
	asked []string // account and dataset
}

func newAnalytics(t *testing.T) *analytics {
	t.Helper()
	a := &analytics{operations: map[costs.Day]map[string]int64{}, stored: map[costs.Day]int64{}}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

type object = map[string]any

func (a *analytics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Query     string
		Variables struct{ AccountTag, Start, End string }
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil || r.Header.Get("Authorization") != "Bearer "+costToken {
		http.Error(w, "not as documented", http.StatusBadRequest)
		return
	}
	dataset := "operations"
	if strings.Contains(q.Query, "r2StorageAdaptiveGroups") {
		dataset = "storage"
	}
	a.mu.Lock()
	a.asked = append(a.asked, q.Variables.AccountTag+" "+dataset)
	a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if a.refuse != nil {
		if body := a.refuse(dataset); body != "" {
			_, _ = w.Write([]byte(body))
			return
		}
	}
	from, to := dayOfQuery(q.Variables.Start), dayOfQuery(q.Variables.End)
	rows := []object{}
	for d := from; d <= to; d++ {
		if dataset == "storage" {
			rows = append(rows, a.gauge(d)...)
		} else {
			rows = append(rows, a.counts(d)...)
		}
	}
	_ = json.NewEncoder(w).Encode(object{"data": object{"viewer": object{"accounts": []object{{"rows": rows}}}}, "errors": nil})
}

func dayOfQuery(s string) costs.Day {
	t, _ := time.Parse(time.RFC3339, s)
	return costs.DayOf(t)
}

func (a *analytics) counts(d costs.Day) (rows []object) {
	for name, n := range a.operations[d] {
		size := n
		if a.sampled {
			size = n / 10
		}
		rows = append(rows, object{
			"dimensions": object{"date": d.String(), "actionType": name, "actionStatus": "success", "storageClass": "Standard"},
			"sum":        object{"requests": n, "responseBytes": 1000},
			"confidence": object{"sum": object{"requests": object{"sampleSize": size}}},
		})
	}
	return rows
}

func (a *analytics) gauge(d costs.Day) []object {
	n, ok := a.stored[d]
	if !ok {
		return nil
	}
	return []object{{
		"dimensions": object{"date": d.String(), "bucketName": costBucket, "storageClass": "Standard"},
		"max":        object{"payloadSize": n, "metadataSize": 10, "objectCount": 1, "uploadCount": 1},
	}}
}

// refusal is how GraphQL says no.
func refusal(message, code string) string {
	text, _ := json.Marshal(object{"data": nil, "errors": []object{{
		"message": message, "path": []any{"viewer", "accounts", 0, "rows"},
		"extensions": object{"timestamp": "2026-11-22T12:00:00Z", "code": code},
	}}})
	return string(text)
}

// A treasurer is who asks for reports: on November 22, with a ledger in which the first
// sync was on the 16th, a verify on the 17th, and a sync on the 20th.
type treasurer struct {
	t     *testing.T
	state string
	env   []string
	cloud *analytics
	now   time.Time
}

func newTreasurer(t *testing.T) *treasurer {
	t.Helper()
	c := &treasurer{t: t, state: t.TempDir(), cloud: newAnalytics(t), now: at(12)}
	c.env = []string{"CLOUDFLARE_API_TOKEN=" + costToken}
	c.write(func(l *ledger.Ledger) error {
		if err := l.SetIdentity(t.Context(), ledger.Identity{
			BucketID: "feedfacefeedfacefeedfacefeedface", Domain: "social.example", Bucket: costBucket,
			Endpoint: "https://" + costAccount + ".r2.cloudflarestorage.com",
		}); err != nil {
			return err
		}
		for _, r := range []struct {
			command string
			day     int
			usage   costs.Usage
			bytes   int64
		}{
			{"sync", 16, costs.Usage{costs.PutObject: 4000, costs.GetObject: 1, costs.ListObjects: 1}, 90e9},
			{"verify", 17, costs.Usage{costs.ListObjects: 4, costs.GetObject: 1}, 0},
			{"sync", 20, costs.Usage{costs.PutObject: 70, costs.GetObject: 1}, 1e9},
		} {
			if err := book(t, l, r.command, nov(r.day).Start().Add(time.Hour), r.usage, r.bytes); err != nil {
				return err
			}
		}
		return nil
	})
	for d := nov(15); d <= nov(22); d++ {
		c.cloud.operations[d] = map[string]int64{"PutObject": 5000, "GetObject": 20_000, "ListObjects": 2, "DeleteObjects": 3, "FoldObject": 2}
		c.cloud.stored[d] = 95e9
	}
	return c
}

// book writes a run, and the object that it sent.
func book(t *testing.T, l *ledger.Ledger, command string, at time.Time, u costs.Usage, bytes int64) error {
	t.Helper()
	run, err := l.Begin(t.Context(), command, at)
	if err == nil && bytes > 0 {
		err = l.Store(t.Context(), ledger.Entry{File: media.File{Key: media.Key("accounts/" + at.Format(time.DateOnly)), Size: bytes}, Run: run, At: at})
	}
	if err != nil {
		return err
	}
	return l.Finish(t.Context(), run, ledger.RunEnd{At: at.Add(time.Minute), Complete: true, Usage: u})
}

func (c *treasurer) write(do func(l *ledger.Ledger) error) {
	c.t.Helper()
	l, err := ledger.Open(c.t.Context(), c.state, ledger.Options{})
	if err == nil {
		err = do(l)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		c.t.Fatal(err)
	}
}

func (c *treasurer) run(args ...string) result {
	c.t.Helper()
	var stdout, stderr syncBuffer
	w := &world{
		args: append([]string{"cost", "report", "--state", c.state}, args...), stdout: &stdout, stderr: &stderr, environ: c.env,
		width: 80, analytics: c.cloud.URL + "/client/v4/graphql", now: func() time.Time { return c.now },
	}
	code := run(c.t.Context(), w)
	r := result{code, stdout.String(), stderr.String()}
	if strings.Contains(r.stdout+r.stderr, costToken) {
		c.t.Errorf("%v shows the token: %v", args, r)
	}
	return r
}
