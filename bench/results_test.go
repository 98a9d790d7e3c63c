package main

import (
	"bytes"
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"example.org/mediamove/bench/sink"
	"example.org/mediamove/costs"
)

func TestSpread(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		values []float64
		want   spread
	}{
		{[]float64{3, 1, 2}, spread{1, 2, 3}},
		{[]float64{4, 1, 2, 3}, spread{1, 2.5, 4}},
		{[]float64{7}, spread{7, 7, 7}},
	} {
		if got := spreadOf(tt.values); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.values, got, tt.want)
		}
	}
	if got := spreadOf(nil); !math.IsNaN(got.med) {
		t.Errorf("nothing: %v", got)
	}
}

func quietHarness(n int) (*harness, *bytes.Buffer) {
	var b bytes.Buffer
	h := &harness{report: &report{w: &b}}
	h.n = n
	return h, &b
}

func TestRoundsTakeTurns(t *testing.T) {
	t.Parallel()
	h, _ := quietHarness(3)
	var order []string
	clients := []client{{name: "a"}, {name: "slow"}, {name: "b"}}
	all, err := h.rounds(t.Context(), measure{name: "m"}, clients, true, func(_ context.Context, c client) (sample, error) {
		order = append(order, c.name)
		return sample{Wall: map[string]float64{"a": 1, "b": 2, "slow": 3.5}[c.name]}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Fields("a slow b a b a b"); !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	if len(all.get("slow").samples) != 1 || len(all.get("b").samples) != 3 || all.get("a").samples[0].Measure != "m" {
		t.Errorf("%+v", all)
	}
	if name, value := all.best(wall, "slow", "b", "none"); name != "b" || value != 2 {
		t.Errorf("best %s %v", name, value)
	}
}

func TestGoals(t *testing.T) {
	t.Parallel()
	slow := series{name: "peer", samples: []sample{{Wall: 2, SinkCPU: 1.9}}}
	for _, tt := range []struct {
		goal goal
		want string
	}{
		{goal{text: "x", value: 0.5, limit: 0.5}, "- x: 0.5 (limit 0.5): met\n"},
		{goal{text: "x", value: 0.6, limit: 0.5}, "- x: 0.6 (limit 0.5): **missed**\n"},
		{goal{text: "x", value: 1002, limit: 1001}, "- x: 1002 (limit 1001): **missed**\n"},
		{goal{text: "x", value: 0.12345, limit: 101}, "- x: 0.123 (limit 101): met\n"},
		{goal{text: "x", value: math.NaN(), limit: 0.5}, "- x: NaN (limit 0.5): **missed**\n"},
		{goal{text: "x", value: 0.4, limit: 0.5, void: bounded(slow)}, "- x: 0.4 (limit 0.5): **void**, the server's core was 95 % busy under peer\n"},
	} {
		h, b := quietHarness(1)
		h.report.goal(tt.goal)
		if b.String() != tt.want {
			t.Errorf("got %q, want %q", b.String(), tt.want)
		}
	}
	if why := bounded(series{samples: []sample{{Wall: 2, SinkCPU: 1}}}); why != "" {
		t.Error(why)
	}
}

func TestIdle(t *testing.T) {
	t.Parallel()
	run := func(ops ...costs.Op) sample {
		var m costs.Meter
		for _, op := range ops {
			m.Count(op)
		}
		return sample{Requests: sink.Stats{Ops: m.Usage()}}
	}
	for want, ops := range map[float64][]costs.Op{
		0: {costs.GetObject},
		1: {costs.GetObject, costs.GetObject},
		2: {costs.HeadObject, costs.ListObjects},
	} {
		if got := idle(series{samples: []sample{run(costs.GetObject), run(ops...)}}); got != want {
			t.Errorf("%v: %v, want %v", ops, got, want)
		}
	}
	lists := series{samples: []sample{run(costs.GetObject, costs.ListObjects, costs.ListObjects), run(costs.HeadObject)}}
	if got := idle(lists, costs.ListObjects); got != 1 {
		t.Errorf("%v requests that are not LISTs, want 1", got)
	}
}

func TestResumeGoals(t *testing.T) {
	t.Parallel()
	second := func(twice int64, heads int) resume {
		var m costs.Meter
		for range heads {
			m.Count(costs.HeadObject)
		}
		return resume{second: sample{Requests: sink.Stats{Existing: twice, Ops: m.Usage()}}, inFlight: 10}
	}
	for _, tt := range []struct {
		name   string
		runs   []resume
		missed int
	}{
		{"within the bound", []resume{second(110, 110), second(0, 0)}, 0},
		{"one too many", []resume{second(111, 0), second(0, 0)}, 1},
		{"asks", []resume{second(0, 0), second(3, 4)}, 1},
	} {
		h, b := quietHarness(1)
		h.group = 100
		h.resumeGoals(tt.runs)
		if got := strings.Count(b.String(), "missed"); got != tt.missed {
			t.Errorf("%s: %d missed, want %d:\n%s", tt.name, got, tt.missed, b)
		}
	}
}
