package costs_test

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"example.org/mediamove/costs"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	u := costs.Usage{
		costs.PutObject: 12, costs.ListObjects: 3, costs.DeleteObjects: 1, costs.Unknown: 1,
		costs.HeadObject: 5, costs.GetObject: 2, costs.DeleteObject: 100, costs.AbortMultipartUpload: 7,
	}
	if u.A() != 17 || u.B() != 7 {
		t.Errorf("A %d, B %d; want 17, 7", u.A(), u.B())
	}
	if u.Get(costs.PutObject) != 12 || u.Get(costs.UploadPart) != 0 || u.Get(200) != 1 {
		t.Errorf("put %d, part %d, op 200 %d; want 12, 0, 1", u.Get(costs.PutObject), u.Get(costs.UploadPart), u.Get(200))
	}
	if u.IsZero() || !(costs.Usage{}).IsZero() {
		t.Error("IsZero is wrong")
	}
	for op := range u.All() {
		if op != costs.Unknown {
			t.Errorf("first of All is %v", op)
		}
		break
	}
}

func TestUsageJSON(t *testing.T) {
	t.Parallel()
	for want, u := range map[string]costs.Usage{
		`{}`:               {},
		`{"PutObject":12}`: {costs.PutObject: 12},
		`{"GetObject":1,"ListObjects":2,"Unknown":3}`: {costs.ListObjects: 2, costs.GetObject: 1, costs.Unknown: 3},
	} {
		got, err := json.Marshal(u)
		if err != nil || string(got) != want {
			t.Errorf("%v: %s, %v; want %s", u, got, err, want)
		}
	}
	var u costs.Usage
	if err := json.Unmarshal([]byte(`{"ListObjectsV2":2,"ListObjects":1,"NewOp":4,"GetBucketFoo":1}`), &u); err != nil {
		t.Fatal(err)
	}
	if want := (costs.Usage{costs.ListObjects: 3, costs.Unknown: 5}); u != want {
		t.Errorf("read %v, want %v", u, want)
	}
	for _, bad := range []string{`[]`, `{"PutObject":"1"}`, `{"PutObject":1.5}`, `{`} {
		if err := json.Unmarshal([]byte(bad), &u); err == nil {
			t.Errorf("%s is read without an error", bad)
		}
	}
}

func anyUsage(t *rapid.T, label string) (u costs.Usage) {
	for op := range u {
		u[op] = rapid.Int64Range(0, 1e12).Draw(t, label)
	}
	return u
}

func TestUsageLaws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		u, v := anyUsage(t, "u"), anyUsage(t, "v")
		sum := u.Add(v)
		if sum.Sub(v) != u || sum != v.Add(u) {
			t.Fatalf("%v and %v make %v", u, v, sum)
		}
		if sum.A() != u.A()+v.A() || sum.B() != u.B()+v.B() {
			t.Fatalf("classes don't add up: %v", sum)
		}
		var rebuilt costs.Usage
		for op, n := range u.All() {
			rebuilt[op] = n
		}
		data, err := json.Marshal(u)
		var read costs.Usage
		if err == nil {
			err = json.Unmarshal(data, &read)
		}
		if err != nil || rebuilt != u || read != u {
			t.Fatalf("%v: All gives %v, JSON %v, %v", u, rebuilt, read, err)
		}
	})
}
