package r2

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(sinkEnv) != "" {
		serveSink()
	}
	goleak.VerifyTestMain(m)
}
