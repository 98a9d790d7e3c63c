package costs

import "slices"

// An AssumptionID names something that Cloudflare doesn't document and that a
// bill here rests on. The words are stable: they are written into reports.
type AssumptionID string

// What is assumed; the texts are in [Assumptions].
const (
	DecimalGB       AssumptionID = "decimal-gb"
	DayBoundary     AssumptionID = "day-boundary"
	PeriodDays      AssumptionID = "period-days"
	ShortMonths     AssumptionID = "short-months"
	PeakOfSum       AssumptionID = "peak-of-sum"
	MetadataBytes   AssumptionID = "metadata-bytes"
	UnfinishedParts AssumptionID = "unfinished-parts"
	MissingDays     AssumptionID = "missing-days"
	UnlistedOps     AssumptionID = "unlisted-ops"
	FailedRequests  AssumptionID = "failed-requests"
	CacheHits       AssumptionID = "cache-hits"
	TierTransitions AssumptionID = "tier-transitions"
	MinimumDuration AssumptionID = "minimum-duration"
	BucketFee       AssumptionID = "bucket-fee"
	OwnUse          AssumptionID = "own-use"
	SampledCounts   AssumptionID = "sampled-counts"
	StraightLine    AssumptionID = "straight-line"
)

// An Assumption is a footnote: one line for people.
type Assumption struct {
	ID   AssumptionID `json:"id"`
	Text string       `json:"text"`
}

// Assumptions returns all of them, always in the same order.
func Assumptions() []Assumption {
	return []Assumption{
		{DecimalGB, "A GB is 10⁹ bytes, as R2's limits page defines it."},
		{DayBoundary, "A day is a day in UTC; which one R2 bills by is not documented."},
		{PeriodDays, "GB-months are the daily peaks averaged over the days of the billing cycle; the documentation knows 30-day periods only. Divided by 30, a cycle of 31 days would cost a thirtieth more."},
		{ShortMonths, "In a month without the cycle's day, the cycle begins on the month's last day."},
		{PeakOfSum, "The account's daily peak is taken as the sum of its buckets' peaks, which is never too low."},
		{MetadataBytes, "The bytes of objects' metadata count as stored; whether R2 bills them is not documented."},
		{UnfinishedParts, "Parts of unfinished uploads count as stored; whether R2 bills them is not documented. R2 drops them after 7 days unless a rule says otherwise."},
		{MissingDays, "A day without a storage figure counts as the last day before it that has one."},
		{UnlistedOps, "Operations that the price list doesn't name count as Class A, DeleteObjects among them."},
		{FailedRequests, "Failed requests count as billed. The price list says so of some (400, 412) and frees 401 and 403; of 404, 429 and 5xx it says nothing."},
		{CacheHits, "What Cloudflare's cache answers for a custom domain costs no operation; the documentation only implies it."},
		{TierTransitions, "What a lifecycle rule moves to Infrequent Access is billed at that class's higher Class A price; the price list doesn't say at which."},
		{MinimumDuration, "Infrequent Access bills an object for 30 days even if it is gone earlier, each day in the cycle that it falls in."},
		{BucketFee, "The fee for more than 100,000 buckets is left out."},
		{OwnUse, "Only mediamove's own requests are known here. Mastodon's and everybody else's come on top."},
		{SampledCounts, "Cloudflare's analytics are sampled: their counts are estimates, and the invoice may differ."},
		{StraightLine, "The forecast goes on as the last days went, without the first move and without what mediamove did on one of them only."},
	}
}

// Footnotes returns the assumptions with these ids, in the order of [Assumptions].
func Footnotes(ids ...AssumptionID) []Assumption {
	return slices.DeleteFunc(Assumptions(), func(a Assumption) bool { return !slices.Contains(ids, a.ID) })
}
