package costs_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"example.org/mediamove/costs"
)

func TestMeter(t *testing.T) {
	t.Parallel()
	var m costs.Meter
	for range 3 {
		if err := m.Reserve(costs.PutObject); err != nil {
			t.Fatal(err)
		}
	}
	m.Count(costs.HeadObject)
	m.Count(200)
	want := costs.Usage{costs.PutObject: 3, costs.HeadObject: 1, costs.Unknown: 1}
	if got := m.Usage(); got != want {
		t.Errorf("usage %v, want %v", got, want)
	}
}

func TestMeterLimit(t *testing.T) {
	t.Parallel()
	var m costs.Meter
	m.Count(costs.ListObjects) // before the limit, and part of it
	m.LimitA(3)
	for i, tt := range []struct {
		op costs.Op
		ok bool
	}{
		{costs.PutObject, true},
		{costs.GetObject, true},
		{200, true}, // unknown: Class A
		{costs.PutObject, false},
		{costs.UploadPart, false},
		{costs.DeleteObjects, false},
		{201, false},
		{costs.HeadObject, true},
		{costs.AbortMultipartUpload, true},
		{costs.PutObject, false},
	} {
		err := m.Reserve(tt.op)
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, costs.ErrLimit) {
			t.Errorf("%d: reserve %v: %v, want ok %v", i, tt.op, err, tt.ok)
		}
	}
	want := costs.Usage{
		costs.ListObjects: 1, costs.PutObject: 1, costs.Unknown: 1,
		costs.GetObject: 1, costs.HeadObject: 1, costs.AbortMultipartUpload: 1,
	}
	if got := m.Usage(); got != want {
		t.Errorf("refused requests are counted: %v, want %v", got, want)
	}
	m.LimitA(4)
	if err := m.Reserve(costs.PutObject); err != nil {
		t.Errorf("after the limit was raised: %v", err)
	}
	for _, n := range []int64{0, -1} {
		m.LimitA(n)
		if err := m.Reserve(costs.PutObject); !errors.Is(err, costs.ErrLimit) {
			t.Errorf("limit %d: %v", n, err)
		}
	}
}

// TestMeterLimitIsExact lets goroutines fight for the last requests below the
// limit, many times, as two must meet at the very last one to pass it.
func TestMeterLimitIsExact(t *testing.T) {
	t.Parallel()
	const rounds, goroutines, limit = 1_000, 4, 2_000
	for range rounds {
		var m costs.Meter
		m.LimitA(limit)
		var won atomic.Int64
		var wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() {
				for m.Reserve(costs.PutObject) == nil {
					won.Add(1)
				}
				if err := m.Reserve(costs.HeadObject); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		want := costs.Usage{costs.PutObject: limit, costs.HeadObject: goroutines}
		if got := m.Usage(); got != want || won.Load() != limit {
			t.Fatalf("%d reserved, counted %v; want exactly %v", won.Load(), got, want)
		}
	}
}

func ExampleMeter_Reserve() {
	var m costs.Meter
	m.LimitA(2)
	for range 3 {
		fmt.Println(m.Reserve(costs.PutObject))
	}
	fmt.Println(m.Reserve(costs.HeadObject), m.Usage().A(), m.Usage().B())
	// Output:
	// <nil>
	// <nil>
	// limit of Class A operations reached
	// <nil> 2 1
}

func BenchmarkReserve(b *testing.B) {
	var m costs.Meter
	m.LimitA(1 << 60)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_ = m.Reserve(costs.PutObject)
		}
	})
}

// What is counted is in the books before, whoever counts at the same time; what can't be
// booked is not counted.
func TestBookAhead(t *testing.T) {
	t.Parallel()
	var m costs.Meter
	var booked, calls atomic.Int64
	var full atomic.Bool
	m.BookAhead(100, func(n int64) error {
		if full.Load() {
			return errors.New("disk full")
		}
		calls.Add(1)
		booked.Store(n)
		return nil
	})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 250 {
				if err := m.Reserve(costs.PutObject); err != nil {
					t.Error(err)
				}
				if used := m.Usage().A(); used > booked.Load() {
					t.Errorf("%d were counted, %d are booked", used, booked.Load())
				}
				_ = m.Reserve(costs.GetObject)
			}
		})
	}
	wg.Wait()
	if used := m.Usage(); used.A() != 2000 || used.B() != 2000 || calls.Load() < 20 || calls.Load() > 28 {
		t.Errorf("%v in %d bookings", used, calls.Load())
	}
	full.Store(true)
	var err error
	for err == nil {
		err = m.Reserve(costs.PutObject)
	}
	if !errors.Is(err, costs.ErrLimit) || m.Usage().A() != booked.Load() {
		t.Errorf("%v with %d counted and %d booked", err, m.Usage().A(), booked.Load())
	}
}
