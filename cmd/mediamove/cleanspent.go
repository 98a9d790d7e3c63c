package main

import (
	"context"
	"fmt"
	"strings"

	"example.org/mediamove/costs"
)

// A spentJSON is what a cleanup run took: requests, what they add to the bill, and time.
type spentJSON struct {
	Requests costs.Usage `json:"requests"`
	ClassA   int64       `json:"class_a"`
	ClassB   int64       `json:"class_b"`
	CostUSD  string      `json:"cost_usd"`
	Seconds  float64     `json:"seconds"`
}

// usedBy is what this run took so far.
func (c *cleaning) usedBy(seconds float64) spentJSON {
	used := c.meter.Usage()
	return spentJSON{used, used.A(), used.B(), costs.FormatUSD(c.adds(used)), seconds}
}

// printSpent is the same for people. Call it when the run is in the books.
func (c *cleaning) printSpent(ctx context.Context, b *strings.Builder) error {
	used, usd, err := c.spent(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	run := c.meter.Usage()
	fmt.Fprintf(b, "\nrequests   Class A %s   Class B %s   cost $%s   (%s Class A of this ledger %s)\n",
		count(run.A()), count(run.B()), costs.FormatUSD(usd), count(used.A()), c.tariff.month(c.tariff.Of(c.began)))
	return nil
}
