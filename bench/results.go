package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
)

// A spread is the least, the median and the most of some figures.
type spread struct{ min, med, max float64 }

// spreadOf returns the spread of values, all NaN without any.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return spread{v[0], (v[(n-1)/2] + v[n/2]) / 2, v[n-1]}
}

// A series is every run of one client in one measure.
type series struct {
	name    string
	samples []sample
}

// of returns the spread of one figure over the series.
func (s series) of(figure func(sample) float64) spread {
	values := make([]float64, len(s.samples))
	for i, one := range s.samples {
		values[i] = figure(one)
	}
	return spreadOf(values)
}

func wall(s sample) float64 { return s.Wall }
func cpu(s sample) float64  { return s.CPU }
func rss(s sample) float64  { return float64(s.RSS) }

// results is a measure's series in the order of its table.
type results []series

// get returns the series of a client, empty if it was not measured.
func (r results) get(name string) series {
	for _, s := range r {
		if s.name == name {
			return s
		}
	}
	return series{name: name}
}

// best returns the least median among the named clients.
func (r results) best(figure func(sample) float64, names ...string) (name string, value float64) {
	value = math.Inf(1)
	for _, n := range names {
		if s := r.get(n); len(s.samples) > 0 && s.of(figure).med < value {
			name, value = n, s.of(figure).med
		}
	}
	return name, value
}

// hopeless is how many times the best wall time a client may take in the
// first round before the others are spared waiting for it again.
const hopeless = 3

// rounds runs every client once, then every client again: what the machine does
// besides falls on all of them alike. With spare, a hopeless client runs once.
func (h *harness) rounds(ctx context.Context, m measure, clients []client, spare bool,
	once func(context.Context, client) (sample, error),
) (results, error) {
	all := make(results, len(clients))
	for round := range h.n {
		for i, c := range clients {
			if round > 0 && spare && lost(all, i) {
				continue
			}
			s, err := once(ctx, c)
			if err != nil {
				return nil, err
			}
			s.Measure, s.Client = m.name, c.name
			all[i].name = c.name
			all[i].samples = append(all[i].samples, s)
			fmt.Fprintf(os.Stderr, "bench: %s %d/%d %s: %.2f s, %.2f s CPU, %.0f MB\n",
				m.name, round+1, h.n, c.name, s.Wall, s.CPU, float64(s.RSS)/1e6)
			if err := h.report.sample(s); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// lost reports whether the client's first run took hopelessly long.
func lost(all results, i int) bool {
	least := math.Inf(1)
	for _, s := range all {
		least = min(least, s.samples[0].Wall)
	}
	return all[i].samples[0].Wall > hopeless*least
}
