package main

import (
	"encoding/json"
	"fmt"
	"io"
)

// A listPrinter prints any number of things without holding them: a line each, or one
// JSON object with a list.
type listPrinter struct {
	out  io.Writer
	json bool
	some bool
}

// begin opens the object; list is the name of the list in it. Lines need no head.
func (p *listPrinter) begin(schema, list string) error {
	if !p.json {
		return nil
	}
	_, err := fmt.Fprintf(p.out, "{\n  \"schema\": %q,\n  %q: [", schema, list)
	return err
}

// print takes an item in both its shapes, and writes the comma before it: nobody knows yet
// which one will be the last.
func (p *listPrinter) print(line string, item any) error {
	if !p.json {
		_, err := fmt.Fprintln(p.out, line)
		return err
	}
	comma := ","
	if !p.some {
		comma = ""
	}
	p.some = true
	data, err := json.Marshal(item)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.out, "%s\n    %s", comma, data)
	return err
}

// end closes what begin has opened. After an error nobody calls it: a list that was cut
// must not look whole.
func (p *listPrinter) end() error {
	if !p.json {
		return nil
	}
	_, err := io.WriteString(p.out, "\n  ]\n}\n")
	return err
}
