package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
)

// The ledger alone: what mediamove sent, without a request, and while a run holds the
// lock and writes.
func TestCostReport(t *testing.T) {
	t.Parallel()
	c := newTreasurer(t)
	l, err := ledger.Open(t.Context(), c.state, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	run, err := l.Begin(t.Context(), "sync", at(11))
	if err == nil {
		err = l.AddUsage(t.Context(), run, at(11), costs.Usage{costs.PutObject: 7})
	}
	if err != nil {
		t.Fatal(err)
	}
	c.env = nil
	var j costJSON
	decode(t, c.run("--json", "--cycle-day", "15", "--budget", "6.00"), exitOK, &j)
	if j.Scope != "mediamove" || j.Partial || j.Own.ClassA != 4082 || j.Own.Requests.Get(costs.PutObject) != 4077 || len(j.Own.Runs) != 4 {
		t.Errorf("%+v", j.Own)
	}
	if j.Cycle.First != nov(15) || j.Cycle.Last != costs.Date(2026, 12, 14) || j.Cycle.Over || !j.Budget.Holds || j.Bill.Total["usd"] != "0.18" {
		t.Errorf("%+v, budget %+v, bill %+v", j.Cycle, j.Budget, j.Bill)
	}
	if last := j.Own.Runs[3]; last.Ended || last.FirstSync || !j.Own.Runs[0].FirstSync || len(c.cloud.asked) != 0 {
		t.Errorf("runs %+v, asked %v", j.Own.Runs, c.cloud.asked)
	}
}

// The whole account: shares that add up, from a server that answers as documented.
func TestCostReportOfTheAccount(t *testing.T) {
	t.Parallel()
	c := newTreasurer(t)
	delete(c.cloud.operations, nov(16)) // not in the analytics: the first sync, and two LISTs of the verify
	var j costJSON
	decode(t, c.run("--json", "--cloudflare", "--cycle-day", "15", "--currency", "JPY", "--rate", "152"), exitOK, &j)
	o := j.Operations
	if o.Own != 4078 || o.NotYet != 4002+2 || o.Analytics != 7*25_007 || o.Total != o.Own+o.Others+o.Unknown || o.Total != o.Analytics+o.NotYet {
		t.Errorf("%+v", o.sharesJSON)
	}
	for _, typ := range o.Types {
		if typ.Listed != (typ.Type != "DeleteObjects" && typ.Type != "FoldObject") || typ.Listed && typ.Unknown != 0 {
			t.Errorf("%+v", typ)
		}
	}
	if j.Scope != "account" || !j.Partial || !slices.Equal(j.Reasons, []string{"operations of 2026-11-16: no figures"}) {
		t.Errorf("%s, %q", j.Scope, j.Reasons)
	}
	if j.Bill.Total["usd"] != "0.24" || j.Bill.Total["jpy"] != "36" || j.Storage[0].Source != "cloudflare" || j.Storage[0].Bytes != 95e9+10 {
		t.Errorf("bill %+v, storage %+v", j.Bill.Total, j.Storage[0])
	}
	if want := []string{costAccount + " operations", costAccount + " storage"}; !slices.Equal(slices.Compact(slices.Sorted(slices.Values(c.cloud.asked))), want) {
		t.Errorf("asked %v", c.cloud.asked)
	}
	screen := c.run("--cloudflare", "--cycle-day", "15")
	if screen.code != exitOK || !strings.Contains(screen.stdout, "\nPARTIAL   operations of 2026-11-16: no figures\n") || !harmless(strings.ReplaceAll(screen.stdout, "\n", "")) {
		t.Error(screen)
	}
}

// The token comes from where secrets may stand, and from nowhere else.
func TestCostToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "env")
	for name, text := range map[string]string{file: "S3_ENDPOINT=https://x.example\nCLOUDFLARE_API_TOKEN=" + costToken + "\n", filepath.Join(dir, "cloudflare_api_token"): costToken + "\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		env  []string
		args []string
	}{
		"environment":        {[]string{"CLOUDFLARE_API_TOKEN=" + costToken}, nil},
		"env file":           {nil, []string{"--env-file", file}},
		"systemd credential": {[]string{"CREDENTIALS_DIRECTORY=" + dir}, nil},
		"its account beside": {[]string{"CLOUDFLARE_API_TOKEN=" + costToken, "CLOUDFLARE_ACCOUNT_ID=" + strings.ToUpper(costAccount)}, []string{"--verbose"}},
	} {
		c := newTreasurer(t)
		c.env = tt.env
		if r := c.run(append(tt.args, "--cloudflare")...); r.code != exitOK {
			t.Errorf("%s: %v", name, r)
		}
	}
}

// The account may be named in four places, which must agree.
func TestCostAccount(t *testing.T) {
	t.Parallel()
	const other = "fedcba9876543210fedcba9876543210"
	endpoint := func(account string) string {
		return "S3_ENDPOINT=https://" + account + ".eu.r2.cloudflarestorage.com"
	}
	for name, tt := range map[string]struct {
		home string // the ledger's endpoint
		env  []string
		args []string
		want string // the account, or the complaint
	}{
		"the flag":               {"", nil, []string{"--account", other}, other},
		"a setting":              {"", []string{"CLOUDFLARE_ACCOUNT_ID=" + other}, nil, other},
		"the flag over it":       {"", []string{"CLOUDFLARE_ACCOUNT_ID=" + costAccount}, []string{"--account", other}, other},
		"the endpoint":           {"", []string{endpoint(other)}, nil, other},
		"the ledger":             {"https://" + other + ".r2.cloudflarestorage.com", nil, nil, other},
		"all of them":            {"https://" + other + ".r2.cloudflarestorage.com", []string{endpoint(other)}, []string{"--account", other}, other},
		"a gateway's endpoint":   {"https://s3.example", []string{"S3_ENDPOINT=https://s3.example"}, nil, "no account"},
		"none":                   {"", nil, nil, "no account"},
		"no id":                  {"", nil, []string{"--account", "media"}, "CLOUDFLARE_ACCOUNT_ID is no account id"},
		"the flag disagrees":     {"https://" + costAccount + ".r2.cloudflarestorage.com", nil, []string{"--account", other}, "--account and this ledger are of different accounts"},
		"the endpoint disagrees": {"https://" + costAccount + ".r2.cloudflarestorage.com", []string{endpoint(other)}, nil, "S3_ENDPOINT and this ledger are of different accounts"},
	} {
		c := newTreasurer(t)
		c.write(func(l *ledger.Ledger) error { return l.SetIdentity(t.Context(), ledger.Identity{Endpoint: tt.home}) })
		c.env = append(c.env, tt.env...)
		r := c.run(append(tt.args, "--cloudflare")...)
		switch {
		case tt.want == other && (r.code != exitOK || len(c.cloud.asked) == 0 || !strings.HasPrefix(c.cloud.asked[0], other)):
			t.Errorf("%s: asked %v, %v", name, c.cloud.asked, r)
		case tt.want != other && (r.code != exitUsage || !strings.Contains(r.stderr, tt.want) || len(c.cloud.asked) != 0):
			t.Errorf("%s: asked %v, %v", name, c.cloud.asked, r)
		}
	}
}

// told expects one clear line and one hint, and nothing on stdout.
func (r result) told(t *testing.T, name string, code int, words string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(r.stderr, "\n"), "\n")
	if r.code != code || r.stdout != "" || len(lines) != 2 || !strings.HasPrefix(lines[0], "mediamove: ") || !strings.HasPrefix(lines[1], "  hint: ") {
		t.Errorf("%s: want exit %d, one line and a hint: %v", name, code, r)
		return
	}
	if !regexp.MustCompile(words).MatchString(r.stderr) {
		t.Errorf("%s: want %q: %v", name, words, r)
	}
}

func TestCostBadInput(t *testing.T) {
	t.Parallel()
	c := newTreasurer(t)
	dir := t.TempDir()
	prices := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for words, args := range map[string][]string{
		`month "2026-13": no month.*\n.*such as 2026-11`:              {"--month", "2026-13"},
		`month "Nov": no month`:                                       {"--month", "Nov"},
		`month "2027-01": .*lies ahead\n.*leave --month out`:          {"--month", "2027-01"},
		`month "2026-09": .*before the first run\n.*--month 2026-11 `: {"--month", "2026-09"},
		`--budget "lots"`:                                       {"--budget", "lots"},
		`--budget "-1"`:                                         {"--budget=-1"},
		`--currency JPY: at which rate`:                         {"--currency", "JPY"},
		`--rate 152: of which currency`:                         {"--rate", "152"},
		`rate "0": want`:                                        {"--currency", "JPY", "--rate", "0"},
		`rate "1,5": want`:                                      {"--currency", "JPY", "--rate", "1,5"},
		`currency "yen": want`:                                  {"--currency", "yen", "--rate", "152"},
		`--currency YEN: no such currency\n.*ISO 4217`:          {"--currency", "YEN", "--rate", "152"},
		`--currency USD`:                                        {"--currency", "USD", "--rate", "1"},
		`--cycle-day: .*no month has a day 32`:                  {"--cycle-day", "32"},
		`--prices: .*no such file`:                              {"--prices", filepath.Join(dir, "none.json")},
		`--prices: read prices: line 3 is not JSON`:             {"--prices", prices("broken", "{\n \"schema\": 1,\n ]")},
		`--prices: read prices: .*"stand"`:                      {"--prices", prices("odd", `{"schema": "mediamove.prices/1", "stand": "1"}`)},
		`--account: only --cloudflare .*\n.*add --cloudflare`:   {"--account", costAccount},
		`--month: it is empty\n`:                                {"--month", ""},
		`--budget: it is empty\n`:                               {"--budget", ""},
		`--currency: it is empty\n`:                             {"--currency", "", "--rate", ""},
		`--rate: it is empty\n`:                                 {"--rate="},
		`--json and --markdown`:                                 {"--json", "--markdown"},
		`usage: mediamove cost report`:                          {"2026-11"},
		`unknown flag: --token\n.*mediamove cost report --help`: {"--token", "x"},
	} {
		c.run(args...).told(t, strings.Join(args, " "), exitUsage, words)
	}
	c.env = nil
	c.run("--cloudflare").told(t, "no token", exitUsage, `CLOUDFLARE_API_TOKEN is not set\n.*Account Analytics: Read`)
	c.env = []string{"CLOUDFLARE_API_TOKEN=two words"}
	c.run("--cloudflare").told(t, "no token's form", exitUsage, `CLOUDFLARE_API_TOKEN has spaces`)
	c.env = nil
	c.run("--cloudflare", "--env-file", filepath.Join(dir, "none")).told(t, "no env file", exitUsage, `no such file`)
	c.state = filepath.Join(dir, "nowhere")
	c.run().told(t, "no ledger", exitUsage, `no ledger`)
	c.state = filepath.Join(dir, "new")
	c.write(func(*ledger.Ledger) error { return nil })
	c.run().told(t, "no runs", exitUsage, `no run is recorded in this ledger yet\n.*mediamove plan`)
}

// GraphQL says no with status 200. Who must act decides the exit status; half an
// answer is a report.
func TestCostRefusals(t *testing.T) {
	t.Parallel()
	both := func(body string) func(string) string { return func(string) string { return body } }
	for name, tt := range map[string]struct {
		refuse func(dataset string) string
		code   int
		words  string
	}{
		"no permission":     {both(refusal("not authorized for that account", "authz")), exitUsage, `token refused.*\n.*Account Analytics: Read`},
		"no such token":     {both(`{"success":false,"errors":[{"code":9109,"message":"Invalid access token"}]}`), exitUsage, `token refused`},
		"quotes the token":  {both(refusal("authentication error of "+costToken, "authz")), exitUsage, `error of \[secret\]`},
		"limit":             {both(refusal("rate limiter budget depleted, please try again", "budget")), exitStopped, `too many queries.*\n.*300 queries`},
		"another shape":     {both(refusal("the moon is full", "moon")), exitStopped, `answer not as documented`},
		"a web page":        {both("<html>log in</html>"), exitStopped, `a web page.*\n.*in between`},
		"no account":        {both(`{"data":{"viewer":{"accounts":[]}},"errors":null}`), exitUsage, `it shows no account of that id`},
		"number below zero": {both(`{"data":{"viewer":{"accounts":[{"rows":[{"dimensions":{"date":"2026-11-16","actionType":"PutObject"},"sum":{"requests":-1,"responseBytes":0}}]}]}}}`), exitStopped, `not as documented`},
	} {
		c := newTreasurer(t)
		c.cloud.refuse = tt.refuse
		c.run("--cloudflare").told(t, name, tt.code, tt.words)
	}
	c := newTreasurer(t)
	c.cloud.refuse = func(dataset string) string {
		if dataset == "storage" {
			return refusal("does not have access to the path", "authz")
		}
		return ""
	}
	c.cloud.sampled = true
	r := c.run("--cloudflare", "--json")
	var j costJSON
	decode(t, r, exitOK, &j)
	if !j.Partial || len(j.Reasons) != 3 || !strings.Contains(strings.Join(j.Reasons, "\n"), "token refused") || !strings.Contains(strings.Join(j.Reasons, "\n"), "estimates from a sample") || j.Operations == nil {
		t.Errorf("%q", j.Reasons)
	}
	if md := c.run("--cloudflare", "--markdown"); md.code != exitOK || !strings.Contains(md.stdout, "missing or are estimates") || strings.Contains(md.stdout, "token") {
		t.Error(md)
	}
}

// The announcement tells nothing that isn't for everybody.
func TestAnnouncementHoldsNoSecret(t *testing.T) {
	t.Parallel()
	c := newTreasurer(t)
	r := c.run("--cloudflare", "--markdown", "--budget", "0.10", "--currency", "EUR", "--rate", "0.86")
	if r.code != exitOK || !strings.HasPrefix(r.stdout, "## What storing our media costs: 1 November 2026 to 30 November 2026\n") || !strings.Contains(r.stdout, " EUR)") {
		t.Error(r)
	}
	for _, secret := range []string{costAccount, costBucket, "feedface", "social.example", c.state, "accounts/", "run ", "token"} {
		if strings.Contains(r.stdout, secret) {
			t.Errorf("the announcement holds %q: %v", secret, r)
		}
	}
}

// A month that is over: no forecast, and the bill is what it was.
func TestCostOfAnOlderMonth(t *testing.T) {
	t.Parallel()
	c := newTreasurer(t)
	c.now = time.Date(2027, 2, 3, 0, 0, 0, 0, time.UTC)
	var j costJSON
	decode(t, c.run("--json", "--month", "2026-11", "--budget", "1"), exitOK, &j)
	if j.Forecast != nil || !j.Cycle.Over || len(j.Days) != 30 || j.Days[29].Expected || j.Own.ClassA != 4075 || len(j.Levers) != 0 || !j.Budget.Holds {
		t.Errorf("%+v", j)
	}
	r := c.run("--month", "2026-11", "--cloudflare") // all of it older than 31 days
	if r.code != exitOK || !strings.Contains(r.stdout, "PARTIAL   operations of 2026-11-01 to 2026-11-30 (30 days): no longer kept") {
		t.Error(r)
	}
}

// The screen of a month before the ledger, of which only Cloudflare knows.
func TestCostBeforeTheLedger(t *testing.T) {
	t.Parallel()
	c := newTreasurer(t)
	for d := nov(1) - 31; d < nov(1); d++ {
		c.cloud.operations[d] = map[string]int64{"PutObject": 40_000}
	}
	r := c.run("--month", "2026-10", "--cloudflare")
	if r.code != exitOK || !strings.Contains(r.stdout, "2026-10-01 to 2026-10-31   over") || !strings.Contains(r.stdout, "PutObject") {
		t.Error(r)
	}
}

func TestCostInterrupted(t *testing.T) {
	t.Parallel()
	c := newTreasurer(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	c.cloud.refuse = func(string) string { cancel(&stopped{syscall.SIGINT}); return "" }
	var stdout, stderr syncBuffer
	w := &world{
		args: []string{"cost", "report", "--cloudflare", "--state", c.state}, stdout: &stdout, stderr: &stderr, environ: c.env,
		analytics: c.cloud.URL, now: func() time.Time { return c.now },
	}
	if code := run(ctx, w); code != 130 || stdout.String() != "" || stderr.String() != "mediamove: interrupted\n  hint: run the same command again: it goes on where it stopped\n" {
		t.Errorf("exit %d, %s%s", code, stdout.String(), stderr.String())
	}
}

// costPaths holds all forms of the report against docs/json.md.
func costPaths(t *testing.T, fields []field) map[string]bool {
	t.Helper()
	c := newTreasurer(t)
	c.write(func(l *ledger.Ledger) error {
		return book(t, l, "sync", nov(21).Start(), costs.Usage{costs.PutObject: 3_000_000, costs.GetObject: 1}, 90e9)
	})
	seen := map[string]bool{}
	show := func(args ...string) (j costJSON) {
		r := c.run(append(args, "--json")...)
		decode(t, r, exitOK, &j)
		for path := range check(t, "cost", r.stdout, fields) {
			seen[path] = true
		}
		return j
	}
	j := show()
	total, err := decimal.NewFromString(j.Forecast.Total["usd"])
	if err != nil {
		t.Fatal(err)
	}
	// a little less than it will be: to store less keeps it
	j = show("--budget", total.Sub(decimal.New(3, -1)).String())
	if !slices.ContainsFunc(j.Levers, func(l costLeverJSON) bool { return l.ID == costs.LeverStoreLess && l.Bytes > 0 && *l.Keeps }) {
		t.Errorf("levers %+v", j.Levers)
	}
	show("--cloudflare", "--currency", "JPY", "--rate", "152", "--budget", "1")
	return seen
}
