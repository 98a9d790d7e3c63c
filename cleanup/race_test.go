//go:build race

package cleanup_test

const raceDetector = true
