package main

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.org/mediamove/cleanup"
)

// Describe is what [prometheus.Collector] asks for: every family that there may be. Each
// file is gathered from one struct; nothing is registered for the life of the process.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, f := range m.families() {
		out <- f.desc()
	}
}

// Collect sends the samples.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	for _, f := range m.families() {
		for _, s := range f.samples {
			metric, err := prometheus.NewConstMetric(f.desc(), f.kind, s.value, s.labels...)
			if err != nil {
				metric = prometheus.NewInvalidMetric(f.desc(), err) // which fails the writing
			}
			out <- metric
		}
	}
}

// A metricFamily is one metric with its samples. One without samples is not written, its
// HELP and TYPE neither.
type metricFamily struct {
	name, help string
	kind       prometheus.ValueType
	labels     []string
	samples    []metricSample
}

// A metricSample is a value and its labels, in the order of the family's. It has no
// timestamp: node_exporter refuses files with timestamps.
type metricSample struct {
	value  float64
	labels []string
}

func (f *metricFamily) desc() *prometheus.Desc {
	return prometheus.NewDesc(metricPrefix+f.name, f.help, f.labels, nil)
}

// metricPrefix keeps our names apart from everybody else's.
const metricPrefix = "mediamove_"

// gauge is a metric that may fall, as nearly everything here does when objects go.
func gauge(name, help string, samples []metricSample, labels ...string) metricFamily {
	return metricFamily{name, help, prometheus.GaugeValue, labels, samples}
}

// counter is one that only grows until it begins anew, so that increase() works.
func counter(name, help string, samples []metricSample, labels ...string) metricFamily {
	return metricFamily{name, help, prometheus.CounterValue, labels, samples}
}

// one is the sample of a metric without labels, if it is known.
func one(known bool, value float64) []metricSample {
	if !known {
		return nil
	}
	return []metricSample{{value: value}}
}

// unixSeconds is a time as Prometheus has it; zero is never.
func unixSeconds(t time.Time) float64 {
	if t.IsZero() {
		return math.Inf(1)
	}
	return float64(t.UnixMilli()) / 1000
}

// families is every metric: what it means, and what is known of it. Names follow
// Prometheus' rules: base units in the name, _total for counters alone, moments as Unix
// time so that alerts compare them with time() however old the file is.
func (m *metrics) families() []metricFamily {
	growth, month := cmp.Or(m.growth, &growthMetrics{}), cmp.Or(m.month, &monthMetrics{})
	return []metricFamily{
		gauge("bucket_objects", "Objects that the last listing saw, by class and by who owns them.", m.bucketSamples(sumObjects), "class", "owner"),
		gauge("bucket_bytes", "Bytes that the last listing saw, by class and by who owns them.", m.bucketSamples(sumBytes), "class", "owner"),
		gauge("bucket_listed_timestamp_seconds", "When the bucket was last listed from end to end.", one(!m.listed.IsZero(), unixSeconds(m.listed))),
		gauge("removed_objects", "Objects that the last run removed after its listing.", one(m.bucket != nil, sumObjects(m.removed))),
		gauge("removed_bytes", "Bytes that the last run removed after its listing.", one(m.bucket != nil, sumBytes(m.removed))),
		gauge("bucket_growth_bytes", "Growth of the bucket in a day, without what cleanup removed.", one(m.growth != nil, growth.bytesPerDay)),
		gauge("orphans", "Objects that no row of the database owns, by what becomes of them.", m.orphanSamples(sumObjects), "state"),
		gauge("orphans_bytes", "Bytes of objects that no row of the database owns, by what becomes of them.", m.orphanSamples(sumBytes), "state"),
		gauge("missing", "Objects that rows of the database need and that are not in the bucket, by whose they are.", m.missingSamples(), "owner"),
		gauge("exposed_objects", "Objects in the bucket that Mastodon hides: of suspended accounts and of posts that were removed.", m.exposedSamples()),
		gauge("budget_bytes", "The size that the bucket must not pass.", one(m.budget > 0, float64(m.budget))),
		gauge("budget_crossing_timestamp_seconds", "When the bucket would pass its budget if it grew on like this; +Inf is never, also because nightly keeps it there.", one(m.growth != nil, unixSeconds(growth.crossing))),
		counter("operations_month_total", "Billed operations of this ledger in the billing month to date, by R2's class; begins anew each month.", m.monthSamples(), "class"),
		gauge("operations_month_forecast", "Billed operations of this ledger at the end of the billing month, if it goes on like this.", classA(month.forecastA > 0, month.forecastA), "class"),
		gauge("operations_month_free", "Operations of a month that cost nothing.", classA(m.month != nil, month.freeA), "class"),
		gauge("failures", "Steps of the last run that failed, by cause.", m.failureSamples(), "cause"),
		gauge("objects_left", "Objects that should have gone in the last run and are still there, by cause.", m.leftSamples(), "cause"),
		gauge("last_end_timestamp_seconds", "When a command ended in the last run, well or not.", m.endSamples(func(e commandEnd) float64 { return unixSeconds(e.at) }), "command"),
		gauge("last_exit_status", "How a command ended in the last run: its exit status.", m.endSamples(func(e commandEnd) float64 { return float64(e.exit) }), "command"),
		gauge(successName, "When a command last ended with exit status 0.", m.successSamples(), "command"),
	}
}

func sumObjects(s cleanup.Sum) float64 { return float64(s.Objects) }
func sumBytes(s cleanup.Sum) float64   { return float64(s.Bytes) }

func (m *metrics) missingSamples() []metricSample {
	if m.missing == nil {
		return nil
	}
	return []metricSample{
		{float64(m.missing.Local), []string{string(ownerLocal)}}, {float64(m.missing.Remote), []string{string(ownerRemote)}},
	}
}

func (m *metrics) exposedSamples() []metricSample {
	if m.missing == nil {
		return nil
	}
	return one(true, float64(m.missing.Exposed.Objects))
}

// bucketSamples come in no order: the registry sorts.
func (m *metrics) bucketSamples(of func(cleanup.Sum) float64) (samples []metricSample) {
	for part, sum := range m.bucket {
		class := cmp.Or(string(part.class), "outside")
		samples = append(samples, metricSample{of(sum), []string{class, string(part.owner)}})
	}
	return samples
}

// classA is a figure that only Class A has: its million is the one that matters.
func classA(known bool, operations int64) []metricSample {
	if !known {
		return nil
	}
	return []metricSample{{float64(operations), []string{"A"}}}
}

func (m *metrics) monthSamples() []metricSample {
	if m.month == nil {
		return nil
	}
	return []metricSample{{float64(m.month.classA), []string{"A"}}, {float64(m.month.classB), []string{"B"}}}
}

// orphanSamples has every state: an alert on one that was never seen could not speak, and
// one that is over must fall to 0.
func (m *metrics) orphanSamples(of func(cleanup.Sum) float64) (samples []metricSample) {
	if m.orphans == nil {
		return nil
	}
	for _, state := range orphanStates() {
		samples = append(samples, metricSample{of(m.orphans[state]), []string{string(state)}})
	}
	return samples
}

// failureSamples has every cause, for the same reason.
func (m *metrics) failureSamples() (samples []metricSample) {
	for _, c := range failureCauses() {
		samples = append(samples, metricSample{float64(m.failures[c]), []string{string(c)}})
	}
	return samples
}

// leftSamples are the reasons that want a person. What was kept because somebody owns it,
// or because it changed, was kept well.
func (m *metrics) leftSamples() (samples []metricSample) {
	if m.left == nil {
		return nil
	}
	for _, why := range []string{cleanup.KeptNoRoom, cleanup.KeptUnproven, cleanup.KeptRefused} {
		samples = append(samples, metricSample{float64(m.left[why]), []string{why}})
	}
	return samples
}

func (m *metrics) endSamples(of func(commandEnd) float64) (samples []metricSample) {
	for _, command := range slices.Sorted(maps.Keys(m.ended)) {
		samples = append(samples, metricSample{of(m.ended[command]), []string{command}})
	}
	return samples
}

func (m *metrics) successSamples() (samples []metricSample) {
	for _, command := range watchedCommands() {
		if at := m.success[command]; !at.IsZero() {
			samples = append(samples, metricSample{unixSeconds(at), []string{string(command)}})
		}
	}
	return samples
}
