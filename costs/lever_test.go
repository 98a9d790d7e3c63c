package costs_test

import (
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"example.org/mediamove/costs"
)

func lever(effects []costs.Effect, id string) (costs.Effect, bool) {
	for _, e := range effects {
		if e.ID == id {
			return e, true
		}
	}
	return costs.Effect{}, false
}

func TestLevers(t *testing.T) {
	t.Parallel()
	o, p := instance() // 6.075 in the end: 4.50 and 1.575; 405,000 Class A are sent
	effects := o.Levers(p, dec("6.00"))
	if len(effects) != 2 {
		t.Errorf("levers %+v", effects)
	}
	if e, ok := lever(effects, costs.LeverClassAStep); !ok || e.Room != 595_000 || costs.FormatUSD(e.Saves) != "4.50" || !e.Keeps || e.Label == "" {
		t.Errorf("end at the free million: %+v", e)
	}
	// 1.50 buy 100 GB-months beside the 10 free ones: 135 GB-days fewer, in 19 days
	if e, ok := lever(effects, costs.LeverStoreLess); !ok || e.Work.Bytes != -7_105_263_158 || costs.FormatUSD(e.Bill.Total) != "6.00" || !e.Keeps {
		t.Errorf("store less: %+v", e)
	}
	if effects := o.Levers(p, dec("6.075")); len(effects) != 1 || effects[0].ID != costs.LeverClassAStep {
		t.Errorf("with a budget that holds: %+v", effects)
	}
	if effects := o.Levers(p, dec("1.00")); len(effects) != 1 || effects[0].Keeps {
		t.Errorf("nothing alone keeps 1.00: %+v", effects)
	}
}

// TestLeverOfTheBudget: of three millions begun, one that is paid for fits.
func TestLeverOfTheBudget(t *testing.T) {
	t.Parallel()
	o, p := instance()
	o.Planned = []costs.Work{{Day: o.Today, Requests: costs.Usage{costs.PutObject: 1_500_000, costs.GetObject: 8_000_000}}} // 2.7 and 11 million
	effects := o.Levers(p, dec("6.40"))
	for id, want := range map[string]struct {
		room  int64
		saves string
		keeps bool
	}{
		costs.LeverClassAStep:   {595_000, "9.00", true},
		costs.LeverClassABudget: {0, "0.00", false},
		costs.LeverClassBStep:   {9_000_000, "0.36", false},
		costs.LeverStoreLess:    {0, "0.00", false},
	} {
		e, ok := lever(effects, id)
		if ok != (want.saves != "0.00") || e.Room != want.room || costs.FormatUSD(e.Saves) != want.saves || e.Keeps != want.keeps {
			t.Errorf("%s: %v, %+v; want %+v", id, ok, e, want)
		}
	}
	if e, ok := lever(o.Levers(p, dec("7.00")), costs.LeverClassABudget); !ok || e.Room != 1_595_000 || costs.FormatUSD(e.Bill.Total) != "6.435" || costs.FormatUSD(e.Saves) != "4.50" {
		t.Errorf("the budget's lever: %+v", e)
	}
}

// TestLeversOfTheNextPeriod: all of it can still be changed.
func TestLeversOfTheNextPeriod(t *testing.T) {
	t.Parallel()
	o, p := instance()
	next := costs.Cycle{}.Next(p) // 31 days at 40,000, from 130 to 160 GB: 4.50 and 2.025
	effects := o.Levers(next, dec("6.00"))
	if e, ok := lever(effects, costs.LeverClassAStep); !ok || e.Room != 1_000_000 || costs.FormatUSD(e.Bill.Total) != "2.025" {
		t.Errorf("end at the free million: %+v", e)
	}
	if e, ok := lever(effects, costs.LeverStoreLess); !ok || e.Work.Bytes != -35*gb || costs.FormatUSD(e.Bill.Total) != "6.00" {
		t.Errorf("store less: %+v", e)
	}
	o.Today = p.To - 1 // no day is left to store less on
	if effects := o.Levers(p, dec("1.00")); len(effects) != 0 {
		t.Errorf("on the last day: %+v", effects)
	}
}

// TestLeversSpareOnlyOwn: others' requests go on whatever limit is set. The room of
// 595,000 is left after 405,000, and 795,000 more are expected.
func TestLeversSpareOnlyOwn(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		own, planned int64 // a day, and today
		left         int64
		saves        string
		keeps        bool
	}{
		"all are own":                    {40_000, 0, 595_000, "4.50", true},
		"half are own":                   {20_000, 0, 595_000 - 395_000, "4.50", true}, // today's 5,000 are others'
		"what is planned is own":         {20_000, 1_000_000, 595_000 - 395_000, "9.00", true},
		"others need more than there is": {9_000, 900_000, 595_000 - 31_000*19 - 26_000, "4.50", false},
		"none are own":                   {0, 0, 595_000 - 795_000, "0.00", false},
	} {
		o, p := instance()
		o.Planned = []costs.Work{{Requests: costs.Usage{costs.PutObject: tt.planned}}}
		o.Own = perDay(costs.Period{From: p.From, To: o.Today}, costs.Usage{costs.PutObject: tt.own})
		e, ok := lever(o.Levers(p, dec("6.00")), costs.LeverClassAStep)
		if ok != (tt.saves != "0.00") || ok && (e.Own != tt.left || e.Room != 595_000) || costs.FormatUSD(e.Saves) != tt.saves || e.Keeps != tt.keeps {
			t.Errorf("%s: %+v, %v; want %+v", name, e, ok, tt)
		}
		if !ok {
			continue
		}
		if fewer := -e.Work.Requests.A(); fewer > tt.own*20+tt.planned {
			t.Errorf("%s: %d are spared, which is more than its own", name, fewer)
		}
	}
}

// TestTry prices what the caller offers, and leaves the outlook alone.
func TestTry(t *testing.T) {
	t.Parallel()
	o, p := instance()
	o.Planned = make([]costs.Work, 0, 8)
	effects := o.Try(p, dec("1.20"),
		costs.Lever{ID: "media-remove", Work: costs.Work{Day: o.Today, Bytes: -90 * gb}},
		costs.Lever{ID: "no-nightly-rclone", Work: costs.Work{Requests: costs.Usage{costs.ListObjects: -250_000}}},
		costs.Lever{ID: "nothing"},
	)
	for i, want := range []struct {
		saves string
		keeps bool
	}{{"0.855", false}, {"4.50", false}, {"0.00", false}} {
		if e := effects[i]; costs.FormatUSD(e.Saves) != want.saves || e.Keeps != want.keeps {
			t.Errorf("%s saves %v, keeps %v; want %+v", e.ID, e.Saves, e.Keeps, want)
		}
	}
	if len(o.Planned) != 0 || o.Planned[:1][0] != (costs.Work{}) {
		t.Errorf("the outlook's plans are now %+v", o.Planned[:1])
	}
	if got := o.Try(p, dec("1.575"), costs.Lever{Work: costs.Work{Requests: costs.Usage{costs.ListObjects: -250_000}}}); !got[0].Keeps {
		t.Errorf("a bill of just the budget: %+v", got)
	}
}

// TestLeversAreJustEnough: each computed lever keeps the budget with its
// number, and not with a little less of it.
func TestLeversAreJustEnough(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := thirty()
		o := anyOutlook(t, p)
		total := o.Forecast(p).Bill.Total
		budget := total.Mul(decimal.New(rapid.Int64Range(0, 110).Draw(t, "percent"), -2))
		for _, e := range o.Levers(p, budget) {
			none := e.Own <= 0 && (e.ID == costs.LeverClassAStep || e.ID == costs.LeverClassABudget)
			if !e.Saves.Equal(total.Sub(e.Bill.Total)) || !e.Saves.IsPositive() || e.Keeps != (!none && !e.Bill.Total.GreaterThan(budget)) {
				t.Fatalf("%+v of %v", e, total)
			}
			less := e.Lever
			switch e.ID {
			case costs.LeverStoreLess:
				less.Work.Bytes++
			case costs.LeverClassABudget, costs.LeverClassAStep:
				less.Work.Requests[costs.PutObject]++
			default:
				less.Work.Requests[costs.GetObject]++
			}
			with := o.Try(p, budget, less)[0]
			if !with.Bill.Total.GreaterThan(e.Bill.Total) || e.ID == costs.LeverStoreLess && with.Keeps {
				t.Fatalf("%s: %v with a little less, %v as told, budget %v", e.ID, with.Bill.Total, e.Bill.Total, budget)
			}
		}
	})
}
