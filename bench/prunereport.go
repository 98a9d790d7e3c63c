package main

import (
	"fmt"

	"example.org/mediamove/bench/gentree"
	"example.org/mediamove/cleanup"
	"example.org/mediamove/costs"
)

// reportPlan prints the plans.
func (h *harness) reportPlan(all results, w *pruning, said *pruned) {
	spec := w.mastodon.Spec
	h.report.printf("%d keys, %.1f GB, 8 %% over a budget of %.1f GB. %d attachments in as many posts, %d accounts, %d emoji, %d cards; "+
		"%d objects belong to nobody. The plan: %d rows with %d objects, %.1f GB, %.1f %% of the cache.\n\n",
		w.keys, float64(w.bytes)/1e9, float64(w.budget())/1e9, spec.Attachments, spec.Accounts, spec.Emoji, spec.Cards,
		w.mastodon.unowned(), said.Rows, said.Freed.Objects, float64(said.Freed.Bytes)/1e9, said.Share)
	h.report.table(all, tree{Summary: gentree.Summary{Files: w.keys}})
	h.report.printf("| client | database CPU s | LIST | other requests |\n|---|---|---|---|\n")
	for _, s := range all {
		last := s.samples[len(s.samples)-1].Requests
		h.report.printf("| %s | %s | %d | %d |\n", s.name, seconds(s.of(func(s sample) float64 { return s.DatabaseCPU })),
			last.Ops.Get(costs.ListObjects), last.ClassA+last.ClassB-last.Ops.Get(costs.ListObjects))
	}
	h.report.printf("\n")
	plan := all.get(prunePlan)
	for _, name := range []string{bareColumns, bareScan} {
		h.report.goal(goal{
			text:  fmt.Sprintf("%s: wall time against that of %q", plan.name, name),
			value: plan.of(wall).med / all.get(name).of(wall).med, limit: pruneWallMost,
		})
	}
	h.report.goal(goal{text: plan.name + ": peak memory, MB", value: plan.of(rss).max / mb, limit: pruneMemoryMost})
	h.frugal(plan, w.keys)
	if h.quick {
		h.report.printf("\n-quick does not sit out the ten minutes of --apply.\n")
	}
}

// reportApply prints what letting go took, and what tootctl would ask for.
func (h *harness) reportApply(a *application) {
	h.report.printf("\n#### Applied\n\n%d rows with %d objects, %.1f GB. One run: exactly the rows and objects that a plan had named were cleared "+
		"and are gone. It waits %v for Mastodon's caches; the second time is without that.\n\n", len(a.rows), len(a.objects), float64(a.bytes)/1e9, cleanup.CacheLife)
	h.report.printf("| client | wall s | without the wait | CPU s | database CPU s | peak MB |\n|---|---|---|---|---|---|\n")
	h.report.printf("| %s | %.2f | %.2f | %.2f | %.2f | %.0f |\n\n", pruneApply, a.Wall, a.rest, a.CPU, a.DatabaseCPU, float64(a.RSS)/mb)
	ops := a.Requests.Ops
	one, many := ops.Get(costs.DeleteObject), ops.Get(costs.DeleteObjects)
	t := tootctlRemove(len(a.objects))
	h.report.printf("| requests | LIST | HEAD | GET | PUT | DELETE | DeleteObjects |\n|---|---|---|---|---|---|---|\n")
	h.report.printf("| %s | %d | %d | %d | %d | %d | %d |\n", pruneApply, ops.Get(costs.ListObjects), ops.Get(costs.HeadObject),
		ops.Get(costs.GetObject), ops.Get(costs.PutObject), one, many)
	h.report.printf("| `tootctl media remove`, worked out | 0 | %d | 0 | 0 | %d | 0 |\n\n", t.heads, t.deletes)
	h.report.goal(goal{text: pruneApply + ": requests that delete", value: float64(one + many), limit: deletionsMost})
	h.report.goal(goal{text: pruneApply + ": rows of the plan that were not cleared", value: float64(len(a.rows) - a.Cleared), limit: 0})
	h.report.goal(goal{text: pruneApply + ": objects of the plan that are not gone", value: float64(int64(len(a.objects)) - a.Removed.Objects), limit: 0})
	h.report.goal(goal{text: pruneApply + ": peak memory, MB", value: float64(a.RSS) / mb, limit: pruneMemoryMost})
}

// A tootctl is what `tootctl media remove` asks of the bucket.
type tootctl struct{ heads, deletes int }

// tootctlRemove works it out from Mastodon's code. For each row it destroys file and
// thumbnail (lib/mastodon/cli/media.rb), for which kt-paperclip asks of every style that
// the file has whether it exists (HEAD), and deletes those that do, one by one
// (lib/paperclip/attachment.rb, lib/paperclip/storage/s3.rb). Here every style is there. Its
// queries, and one UPDATE for each row, are not counted.
func tootctlRemove(objects int) tootctl { return tootctl{heads: objects, deletes: objects} }
