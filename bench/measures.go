package main

import "context"

// A measure is one section of the report.
type measure struct {
	name, title string
	trees       []string // ids in the forest
	extra       bool     // only when asked for by name
	run         func(context.Context, *harness, measure) error
}

// measures lists all of them, in an order that lets trees go early.
func measures() []measure {
	return []measure{
		{"upload100k", "small files, plain HTTP", []string{"t100k"}, false, upload100k},
		{"noop", "second run, nothing changed", []string{"t100k"}, false, noop},
		{"verify100k", "a tree compared with the bucket", []string{"t100k"}, false, verify100k},
		{"upload10k", "realistic files over TLS", []string{"t10k"}, false, upload10k},
		{"latency", "20 and 150 ms added to every request", []string{"t10k"}, false, latency},
		{"kill", "SIGKILL at half, then again", []string{"t10k"}, false, kill},
		{"versity", "a real server: versitygw", []string{"t10k"}, false, versity},
		{"memory", "peak memory", []string{"t10k", "s300k"}, false, memory},
		{"walk", "empty files, nothing changed, against find", []string{"e300k"}, false, walk},
		{"big", "large files", []string{"t1g", "t4g"}, false, big},
		{"verify1m", "a ledger compared with a listing", []string{"t1", "o100k", "o1m"}, false, verify1m},
		{"orphans1m", "a million objects held against a database", []string{"t1", "i1m"}, false, orphans1m},
		{"prune1m", "a budget for a million objects", []string{"t1", "i1m"}, false, prune1m},
		{"cold", "second run after the page cache was dropped", []string{"t100k-disk"}, true, cold},
	}
}

// measureNames lists what -only takes.
func measureNames() (names []string) {
	for _, m := range measures() {
		names = append(names, m.name)
	}
	return names
}
