package cloudflare

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// failsWith makes a answer each query with status and body.
func failsWith(status int, body string, header ...string) *api {
	return &api{first: func(w http.ResponseWriter, _ int, _ sent) bool {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
		return true
	}}
}

func graphQL(message, code string) string {
	return fmt.Sprintf(`{"data":null,"errors":[{"message":%q,"path":["viewer","accounts","0","rows"],"extensions":{"timestamp":"2026-11-20T12:00:00Z","code":%q}}]}`, message, code)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	const rest = `{"success":false,"errors":[{"code":%d,"message":%q}],"messages":[],"result":null}`
	documented, err := os.ReadFile("testdata/older.json")
	if err != nil {
		t.Fatal(err)
	}
	page := "<!DOCTYPE html><title>Just a moment...</title>"
	tests := []struct {
		name    string
		status  int
		body    string
		header  []string
		want    error
		text    string // in the error
		queries int
	}{
		{"token expired", 200, graphQL("Unauthorized", "authn"), nil, ErrToken, "Unauthorized", 1},
		{"token, by status", 401, graphQL("Unauthorized", ""), nil, ErrToken, "401 token refused: Unauthorized", 1},
		{"token without words", 401, "", nil, ErrToken, "401 token refused", 1},
		{"account not allowed", 200, graphQL("not authorized for that account", "authz"), nil, ErrToken, "for that account", 1},
		{"account not allowed, by status", 403, graphQL("not authorized for that account", "authz"), nil, ErrToken, "403", 1},
		{"dataset not allowed", 403, graphQL("account '1' does not have access to the path. Refer to …", "authz"), nil, ErrToken, "path", 1},
		{"not allowed, in other words", 403, graphQL("nope", "x"), nil, ErrToken, "nope", 1},
		{"field not allowed", 200, graphQL("account '1' does not have access to the field 'confidence' from the path", "authz"), nil, ErrToken, "field", 2},
		{"REST: no such token", 403, fmt.Sprintf(rest, 9109, "Invalid access token"), nil, ErrToken, "Invalid access token", 1},
		{"REST: no permission", 403, fmt.Sprintf(rest, 10000, "Authentication error"), nil, ErrToken, "Authentication error", 1},
		{"REST: no token at all", 400, fmt.Sprintf(rest, 6003, "Invalid request headers"), nil, ErrToken, "400", 1},
		{"account not shown", 200, `{"data":{"viewer":{"accounts":[]}},"errors":null}`, nil, ErrToken, "no account of that id", 1},

		{"limit", 200, graphQL("Rate limiter budget depleted. Please try again after 5 minutes.", "budget"), nil, ErrLimit, "again in 5m0s", 1},
		{"limit, by code", 200, graphQL("slow down", "budget"), nil, ErrLimit, "slow down", 1},
		{"limit, by status", 429, "", nil, ErrLimit, "429 too many queries (again in 5m0s)", 1},
		{"limit, says how long", 429, graphQL("rate limiter budget depleted", ""), []string{"Retry-After", "90"}, ErrLimit, "again in 1m30s", 1},
		{"limit, nonsense header", 429, "", []string{"Retry-After", "soon"}, ErrLimit, "again in 5m0s", 1},
		{"limit, header of a year", 429, "", []string{"Retry-After", "31536000"}, ErrLimit, "again in 5m0s", 1},
		{"too dear, even for an hour", 200, graphQL("query consumed excessive resources, please try running smaller queries", ""), nil, ErrLimit, "excessive", 2},
		{"too much at once", 429, graphQL("in combination, your request queries too many nodes, zones and accounts", ""), nil, ErrLimit, "nodes", 1},

		{"overloaded", 200, graphQL("too many queries in progress, please try again later", ""), nil, ErrUnavailable, "in progress", maxTries},
		{"overloaded, by status", 503, page, nil, ErrUnavailable, "503", maxTries},
		{"failing", 500, graphQL("Internal server error", ""), nil, ErrUnavailable, "500", maxTries},
		{"failing, in other words", 502, graphQL("bad gateway", ""), nil, ErrUnavailable, "bad gateway", maxTries},

		{"documented example", 200, string(documented), nil, nil, "", 1},
		{"too wide, even for an hour", 400, graphQL("query time range is too large", ""), nil, ErrShape, "too large", 2},
		{"no such field", 200, graphQL(`unknown field "requests"`, "syntax"), nil, ErrShape, "unknown field", 2},
		{"no such argument", 400, graphQL("error parsing args: bucketName", ""), nil, ErrShape, "parsing args", 1},
		{"refused for no known reason", 200, graphQL("mercury is in retrograde", ""), nil, ErrShape, "mercury", 1},
		{"many reasons", 200, `{"errors":[{"message":"odd"},{"message":"Unauthorized"}]}`, nil, ErrToken, "Unauthorized", 1},
		{"errors without words", 200, `{"errors":[{}]}`, nil, ErrShape, "", 1},

		{"a web page", 200, page, nil, ErrShape, "web page", 1},
		{"a web page that forbids", 403, page, nil, ErrShape, "403", 1},
		{"moved", 308, page, []string{"Location", "https://elsewhere.example/graphql"}, ErrShape, "redirect", 1},
		{"not found", 404, `{"success":false,"errors":[]}`, nil, ErrShape, "404", 1},
		{"nothing", 200, "", nil, ErrShape, "nothing", maxTries},
		{"cut short", 200, `{"data":{"viewer":{"accounts":[{"rows":[{"dimen`, nil, ErrShape, "cut short", maxTries},
		{"more after the end", 200, `{"data":null,"errors":null}{}`, nil, ErrShape, "", 1},
		{"neither data nor errors", 200, `{}`, nil, ErrShape, "neither", 1},
		{"null", 200, `null`, nil, ErrShape, "neither", 1},
		{"a list", 200, `[]`, nil, ErrShape, "array where", 1},
		{"no viewer", 200, `{"data":{"viewer":null},"errors":[]}`, nil, ErrShape, "neither", 1},
		{"two accounts", 200, `{"data":{"viewer":{"accounts":[{"rows":[]},{"rows":[]}]}}}`, nil, ErrShape, "exactly one", 1},
		{"an account without rows", 200, `{"data":{"viewer":{"accounts":[{"rows":null}]}}}`, nil, ErrShape, "exactly one", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := failsWith(tt.status, tt.body, tt.header...)
				o, err := a.client(t).Operations(t.Context(), "media", nov(2), nov(3))
				if !errors.Is(err, tt.want) || errors.Is(err, ErrPartial) {
					t.Fatalf("got %v, want %v", err, tt.want)
				}
				if err != nil && !strings.Contains(err.Error(), tt.text) {
					t.Errorf("%q doesn't say %q", err, tt.text)
				}
				if e, ok := errors.AsType[*Error](err); err != nil && (!ok || e.Dataset != "operations" || e.Status != tt.status) {
					t.Errorf("%#v", e)
				}
				day := "a"
				if tt.want == nil {
					day = "o"
				}
				if brief(o.Coverage) != day || len(o.Rows) != 0 {
					t.Errorf("%s %v", brief(o.Coverage), o.Rows)
				}
				if got := len(a.queries()); got != tt.queries {
					t.Errorf("%d queries, want %d", got, tt.queries)
				}
			})
		})
	}
}

func TestRowsThatCantBe(t *testing.T) {
	t.Parallel()
	const good = `{"dimensions":{"date":"2026-11-02","actionType":"PutObject","actionStatus":"success","storageClass":"Standard"},"sum":{"requests":5,"responseBytes":0},"confidence":{"sum":{"requests":{"sampleSize":5}}}}`
	replaced := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(good) }
	long := strings.Repeat("x", 129)
	for name, rows := range map[string]string{
		"another day":        replaced("11-02", "11-03"),
		"the day before":     replaced("11-02", "11-01"),
		"no day":             replaced(`"date":"2026-11-02",`, ""),
		"a time":             replaced("2026-11-02", "2026-11-02T00:00:00Z"),
		"a day that isn't":   replaced("11-02", "13-32"),
		"below zero":         replaced(`"requests":5,`, `"requests":-5,`),
		"a fraction":         replaced(`"requests":5,`, `"requests":5.5,`),
		"an exponent":        replaced(`"requests":5,`, `"requests":5e3,`),
		"too much":           replaced(`"requests":5,`, `"requests":9223372036854775808,`),
		"in quotes":          replaced(`"requests":5,`, `"requests":"5",`),
		"null":               replaced(`"requests":5,`, `"requests":null,`),
		"no sum":             replaced(`"sum":{"requests":5,"responseBytes":0},`, ""),
		"no bytes":           replaced(`,"responseBytes":0`, ""),
		"no type":            replaced(`"actionType":"PutObject",`, ""),
		"a type in Japanese": replaced("PutObject", "置く"),
		"a type of control":  replaced("PutObject", `\u001b[2J`),
		"a long type":        replaced("PutObject", long),
		"a long class":       replaced("Standard", long),
		"a status of spaces": replaced("success", "a b"),
		"the same twice":     good + "," + good,
		"a sample of words":  replaced(`"sampleSize":5`, `"sampleSize":"all"`),
		"no object":          `5`,
	} {
		a := failsWith(200, `{"data":{"viewer":{"accounts":[{"rows":[`+rows+`]}]}},"errors":null}`)
		o, err := a.client(t).Operations(t.Context(), "", nov(2), nov(3))
		if !errors.Is(err, ErrShape) || len(o.Rows) != 0 || brief(o.Coverage) != "a" {
			t.Errorf("%s: %v, %v", name, o.Rows, err)
		}
	}
	for name, rows := range map[string]string{
		"good":             good,
		"not told":         replaced(`,"confidence":{"sum":{"requests":{"sampleSize":5}}}`, ""),
		"no class, status": replaced(`"Standard"`, "null", `"success"`, `null`),
		"fields unheard":   replaced(`"sum":`, `"avg":{"x":1},"sum":`),
		"a class unheard":  replaced("Standard", "Glacier.2+"),
	} {
		a := failsWith(200, `{"data":{"viewer":{"accounts":[{"rows":[`+rows+`]}]}},"errors":[]}`)
		o, err := a.client(t).Operations(t.Context(), "", nov(2), nov(3))
		if err != nil || len(o.Rows) != 1 || o.Rows[0].Requests != 5 || brief(o.Coverage) != "." {
			t.Errorf("%s: %v, %v", name, o.Rows, err)
		}
	}
}

// Rows of storage need all their numbers, too.
func TestStorageRowsThatCantBe(t *testing.T) {
	t.Parallel()
	const good = `{"dimensions":{"date":"2026-11-02","bucketName":"media","storageClass":"Standard"},"max":{"payloadSize":5,"metadataSize":1,"objectCount":2,"uploadCount":0}}`
	for _, part := range []string{"", `"bucketName":"media",`, `"payloadSize":5,`, `"metadataSize":1,`, `"objectCount":2,`, `,"uploadCount":0`, `,"max":{"payloadSize":5,"metadataSize":1,"objectCount":2,"uploadCount":0}`} {
		a := failsWith(200, `{"data":{"viewer":{"accounts":[{"rows":[`+strings.Replace(good, part, "", 1)+`]}]}},"errors":[]}`)
		s, err := a.client(t).Storage(t.Context(), "", nov(2), nov(3))
		if errors.Is(err, ErrShape) == (part == "") || (len(s.Rows) == 1) != (part == "") {
			t.Errorf("without %q: %v, %v", part, s.Rows, err)
		}
	}
}

// Figures that come with an error count, but not as the whole day.
func TestFiguresBesideAnError(t *testing.T) {
	t.Parallel()
	const beside = `{"data":{"viewer":{"accounts":[{"rows":[{"dimensions":{"date":"2026-11-02","actionType":"PutObject"},"sum":{"requests":5,"responseBytes":0}}]}]}},
		"errors":[{"message":%q}]}`
	for message, want := range map[string]error{"one shard is missing": ErrShape, "internal server error": ErrUnavailable, "Unauthorized": ErrToken} {
		synctest.Test(t, func(t *testing.T) {
			a := &api{events: daily("media", nov(2), 10)}
			a.first = func(w http.ResponseWriter, _ int, s sent) bool {
				if !s.span.from.Equal(nov(2)) {
					return false
				}
				fmt.Fprintf(w, beside, message)
				return true
			}
			o, err := a.client(t).Operations(t.Context(), "", nov(2), nov(11))
			if !errors.Is(err, ErrPartial) || !errors.Is(err, want) {
				t.Errorf("%s: %v", message, err)
			}
			if got := brief(o.Coverage); got != "Aaaaaaa.." || o.Rows[0].Requests != 5 || len(o.Rows) != 3 {
				t.Errorf("%s: %s %v", message, got, o.Rows)
			}
		})
	}
}

// When it fails half-way, what came before is returned, and nothing more asked.
func TestHalfAnAnswer(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fails  int // from this query on
		over   time.Duration
		want   string
		only   bool // nothing else came
		within error
	}{
		"at once":                     {1, 0, "aaaaaaaaaa", true, ErrLimit},
		"in the second week":          {2, 0, ".......aaa", false, ErrLimit},
		"among the days of a sampled": {4, 2 * day, ".......aaa", false, ErrLimit},
	} {
		a := &api{events: daily("media", nov(2), 10), sampledOver: tt.over}
		a.first = func(w http.ResponseWriter, n int, _ sent) bool {
			if n >= tt.fails {
				w.Header().Set("Retry-After", "200")
				w.WriteHeader(429)
			}
			return n >= tt.fails
		}
		o, err := a.client(t).Operations(t.Context(), "media", nov(2), nov(12))
		if !errors.Is(err, tt.within) || errors.Is(err, ErrPartial) == tt.only {
			t.Errorf("%s: %v", name, err)
		}
		if e, ok := errors.AsType[*Error](err); !ok || e.RetryAfter != 200*time.Second {
			t.Errorf("%s: %#v", name, e)
		}
		if got := brief(o.Coverage); got != tt.want {
			t.Errorf("%s: %s", name, got)
		}
		if got := len(a.queries()); got != tt.fails {
			t.Errorf("%s: %d queries", name, got)
		}
		if tt.over != 0 { // two days exactly, the others as they came first
			if o.Rows[1].Sampling != Unsampled || o.Rows[2].Sampling != Sampled || o.Rows[2].Requests != 10 || o.Coverage[2].Sampling != Sampled {
				t.Errorf("%s: %v", name, o.Rows)
			}
		}
	}
}

// One question never takes more than its share of the 300 queries.
func TestQueriesAreBounded(t *testing.T) {
	t.Parallel()
	a := &api{events: daily("media", nov(2), 20), widest: time.Hour}
	o, err := a.client(t).Operations(t.Context(), "media", nov(2), nov(20))
	if !errors.Is(err, ErrLimit) || !errors.Is(err, ErrPartial) || !strings.Contains(err.Error(), "120 queries") {
		t.Error(err)
	}
	if got := len(a.queries()); got != maxQueries {
		t.Errorf("%d queries", got)
	}
	if got := brief(o.Coverage); got != "....Aaaaaaaaaaaaaa" {
		t.Error(got)
	}
}
