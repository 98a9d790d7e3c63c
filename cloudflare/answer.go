package cloudflare

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// maxName bounds the names of operations, classes and buckets in an answer.
const maxName = 128

// A reply is what the API sends, refusals of its REST layer included.
type reply struct {
	Data *struct {
		Viewer *struct {
			Accounts []struct {
				Rows *[]row `json:"rows"`
			} `json:"accounts"`
		} `json:"viewer"`
	} `json:"data"`
	Errors []said `json:"errors"`
}

// A said is one error of a reply. The code is a word below extensions (GraphQL) or
// a number (REST).
type said struct {
	Message    string          `json:"message"`
	Code       json.RawMessage `json:"code"`
	Extensions struct {
		Code json.RawMessage `json:"code"`
	} `json:"extensions"`
}

type row struct {
	Dimensions struct {
		Date         *string `json:"date"`
		ActionType   *string `json:"actionType"`
		ActionStatus *string `json:"actionStatus"`
		StorageClass *string `json:"storageClass"`
		BucketName   *string `json:"bucketName"`
	} `json:"dimensions"`
	Sum        *sums  `json:"sum"`
	Max        *peaks `json:"max"`
	Confidence *struct {
		Sum struct {
			Requests struct {
				SampleSize *float64 `json:"sampleSize"`
			} `json:"requests"`
		} `json:"sum"`
	} `json:"confidence"`
}

type sums struct {
	Requests      *count `json:"requests"`
	ResponseBytes *count `json:"responseBytes"`
}

func (s *sums) complete() bool { return s.Requests != nil && s.ResponseBytes != nil }

type peaks struct {
	PayloadSize  *count `json:"payloadSize"`
	MetadataSize *count `json:"metadataSize"`
	ObjectCount  *count `json:"objectCount"`
	UploadCount  *count `json:"uploadCount"`
}

func (p *peaks) complete() bool {
	return p.PayloadSize != nil && p.MetadataSize != nil && p.ObjectCount != nil && p.UploadCount != nil
}

// A count is a whole number from 0 up to what an int64 holds. A fraction, or a
// number that a float would round, is none.
type count int64

func (c *count) UnmarshalJSON(data []byte) error {
	n, err := strconv.ParseInt(string(data), 10, 64)
	if err != nil || n < 0 {
		return errors.New("a number that can't be a count") // unseen: it may be anything
	}
	*c = count(n)
	return nil
}

// A key is what a figure is about.
type key struct {
	day                           time.Time
	action, status, class, bucket string
}

// values are a figure's numbers: the first two of operations, the others of storage.
type values struct {
	requests, responseBytes             int64
	payload, metadata, objects, uploads int64

	sampling Sampling
}

func added(a, b values) values {
	a.requests = plus(a.requests, b.requests)
	a.responseBytes = plus(a.responseBytes, b.responseBytes)
	a.sampling = a.sampling.with(b.sampling)
	return a
}

func highest(a, b values) values {
	return values{
		payload: max(a.payload, b.payload), metadata: max(a.metadata, b.metadata),
		objects: max(a.objects, b.objects), uploads: max(a.uploads, b.uploads),
		sampling: a.sampling.with(b.sampling),
	}
}

// plus adds two counts. The sum stays at the largest, as numbers near it are
// nonsense that must not turn into small ones.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// figures checks the rows of an answer to q and returns them by what they are
// about. Anything that isn't as documented is an error, as a number put down
// wrongly is worse than none.
func (q question) figures(rows []row) (map[key]values, error) {
	if len(rows) > maxRows {
		return nil, fmt.Errorf("%d rows, more than were asked for", len(rows))
	}
	all := make(map[key]values, len(rows))
	for _, r := range rows {
		k, v, err := q.figure(r)
		if err != nil {
			return nil, err
		}
		if _, twice := all[k]; twice {
			return nil, errors.New("two rows about the same")
		}
		all[k] = v
	}
	return all, nil
}

func (q question) figure(r row) (k key, v values, err error) {
	if r.Dimensions.Date == nil || !q.data.required(r) {
		return k, v, errors.New("a row lacks what was asked for")
	}
	k.day, err = time.Parse(time.DateOnly, *r.Dimensions.Date)
	if err != nil || k.day.Before(dayOf(q.span.from)) || !k.day.Before(q.span.to) {
		return k, v, errors.New("a row is of another day than was asked for")
	}
	for _, name := range []struct {
		to   *string
		from *string
	}{
		{&k.action, r.Dimensions.ActionType},
		{&k.status, r.Dimensions.ActionStatus},
		{&k.class, r.Dimensions.StorageClass},
		{&k.bucket, r.Dimensions.BucketName},
	} {
		if name.from == nil {
			continue // of the other dataset, or null: an operation on no class
		}
		if !isName(*name.from) {
			return k, v, errors.New("a row has a name that can't be one")
		}
		*name.to = *name.from
	}
	return k, r.values(), nil
}

func (r row) values() (v values) {
	if r.Sum != nil && r.Sum.complete() {
		v.requests, v.responseBytes = int64(*r.Sum.Requests), int64(*r.Sum.ResponseBytes)
	}
	if r.Max != nil && r.Max.complete() {
		v.payload, v.metadata = int64(*r.Max.PayloadSize), int64(*r.Max.MetadataSize)
		v.objects, v.uploads = int64(*r.Max.ObjectCount), int64(*r.Max.UploadCount)
	}
	// Unsampled, each request is an event of its own; where fewer events than
	// requests were seen, the rest is extrapolated.
	if r.Confidence != nil && r.Confidence.Sum.Requests.SampleSize != nil {
		v.sampling = Unsampled
		if *r.Confidence.Sum.Requests.SampleSize < float64(v.requests) {
			v.sampling = Sampled
		}
	}
	return v
}

// isName reports whether s can be shown as a name: plain ASCII, of any sensible
// length, also none.
func isName(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return len(s) <= maxName
}
