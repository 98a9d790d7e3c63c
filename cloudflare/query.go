package cloudflare

import (
	"encoding/json"
	"strings"
	"time"
)

// maxRows is how many rows one query may ask for, as the documented examples do.
const maxRows = 10_000

// A dataset is one of the two that R2 has.
type dataset struct {
	name       string // for errors
	node       string // Cloudflare's
	dimensions string
	figures    string
	sampling   string // what tells whether a row comes from a sample; "" if nothing does
	gauge      bool   // what is, not what happened: a bucket has some every day
	required   func(row) bool
	merge      func(a, b values) values
}

// operations are counted, so parts of a day add up. Each sum of a sampled dataset
// has a confidence interval, and that the number of events it was made from.
func operations() *dataset {
	return &dataset{
		name:       "operations",
		node:       "r2OperationsAdaptiveGroups",
		dimensions: "date actionType actionStatus storageClass",
		figures:    "sum { requests responseBytes }",
		sampling:   " confidence(level: 0.95) { sum { requests { sampleSize } } }",
		required:   func(r row) bool { return r.Dimensions.ActionType != nil && r.Sum != nil && r.Sum.complete() },
		merge:      added,
	}
}

// storage is a gauge: only its highest value in a day is asked for, and the API
// tells nothing about sampling of such.
func storage() *dataset {
	return &dataset{
		name:       "storage",
		node:       "r2StorageAdaptiveGroups",
		dimensions: "date bucketName storageClass",
		figures:    "max { payloadSize metadataSize objectCount uploadCount }",
		gauge:      true,
		required:   func(r row) bool { return r.Dimensions.BucketName != nil && r.Max != nil && r.Max.complete() },
		merge:      highest,
	}
}

// A question is one query: what of which bucket ("": all) between two times.
type question struct {
	data     *dataset
	bucket   string
	span     span
	sampling bool
}

// text returns the query. It is made of constants only; what is asked about
// travels as variables. The alias gives both datasets' answers one shape.
func (q question) text() string {
	var b strings.Builder
	b.WriteString("query R2($accountTag: string!, $start: Time, $end: Time")
	if q.bucket != "" {
		b.WriteString(", $bucketName: string")
	}
	b.WriteString(") { viewer { accounts(filter: { accountTag: $accountTag }) { rows: " + q.data.node)
	b.WriteString("(limit: 10000, orderBy: [date_ASC], filter: { datetime_geq: $start, datetime_leq: $end")
	if q.bucket != "" {
		b.WriteString(", bucketName: $bucketName")
	}
	b.WriteString(" }) { dimensions { " + q.data.dimensions + " } " + q.data.figures)
	if q.sampling {
		b.WriteString(q.data.sampling)
	}
	b.WriteString(" } } } }")
	return b.String()
}

// body returns the request's JSON. Analytics times have seconds, and the upper
// bound that is documented includes its second.
func (q question) body(account string) ([]byte, error) {
	vars := map[string]string{
		"accountTag": account,
		"start":      q.span.from.UTC().Format(time.RFC3339),
		"end":        q.span.to.Add(-time.Second).UTC().Format(time.RFC3339),
	}
	if q.bucket != "" {
		vars["bucketName"] = q.bucket
	}
	return json.Marshal(map[string]any{"query": q.text(), "variables": vars})
}
