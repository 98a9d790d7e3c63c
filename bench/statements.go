package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
)

// logPrefix begins every line of the server's log with the process that serves the
// connection.
const logPrefix = "%p "

// statements is what a client asked of Mastodon's tables, by the server's own log.
type statements struct {
	Pages int `json:"pages"` // transactions that asked for rows by id
	Rows  int `json:"rows"`  // SELECTs in them
	Most  int `json:"most"`  // of these in one transaction
	Other int `json:"other"` // SELECTs besides: counts, newest ids
}

// readStatements reads the log from offset on, and returns where it ends.
func readStatements(file string, offset int64) (s statements, end int64, err error) {
	f, err := os.Open(file)
	if err != nil {
		return s, 0, err
	}
	defer f.Close()
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return s, 0, err
	}
	if s, err = countStatements(f); err != nil {
		return s, 0, fmt.Errorf("%s: %w", file, err)
	}
	end, err = f.Seek(0, io.SeekCurrent)
	return s, end, err
}

// countStatements looks at the first line of each statement: those that go on below have
// nothing to do with Mastodon's tables.
func countStatements(log io.Reader) (s statements, err error) {
	open := map[string]int{} // SELECTs by id of each process's transaction
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		process, text, ok := strings.Cut(lines.Text(), " LOG:  ")
		if !ok {
			continue
		}
		_, sql, ok := strings.Cut(text, ": ") // after "statement" or "execute <unnamed>"
		switch {
		case !ok:
		case strings.HasPrefix(sql, "BEGIN"):
			open[process] = 0
		case strings.HasPrefix(sql, "COMMIT"):
			if n := open[process]; n > 0 {
				s.Pages++
				s.Rows += n
				s.Most = max(s.Most, n)
			}
			delete(open, process)
		case !strings.HasPrefix(sql, "SELECT ") || !strings.Contains(sql, " FROM public."):
		case strings.Contains(sql, " WHERE id = ANY ("):
			open[process]++
		default:
			s.Other++
		}
	}
	return s, lines.Err()
}
