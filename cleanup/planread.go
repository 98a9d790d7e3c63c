package cleanup

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"
)

var (
	errCutPlan     = errors.New("cut short, or not a plan")
	errEdited      = errors.New("its content does not match its sum: it was edited")
	errPlanSwapped = errors.New("the file changed after it was checked")
	errPlanStops   = errors.New("stopped")
)

// A planVisit is told what a plan's file holds, in order. part comes before the candidate
// that follows every planPart of them, with the sum up to there.
type planVisit struct {
	head func(*Plan)
	part func(sum string) error
	each func(Candidate)
}

// read goes through the file, and returns the sum, which is checked at its end.
func (f *PlanFile) read(v planVisit) (sum string, err error) {
	file, err := os.Open(f.path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return readPlan(file, v)
}

// readPlan goes line by line: the head up to the list, then a candidate a line.
func readPlan(r io.Reader, v planVisit) (sum string, err error) {
	p := planReader{sum: sha256.New(), lines: bufio.NewReaderSize(r, 64<<10)}
	plan, err := p.head()
	if err != nil {
		return "", err
	}
	v.head(plan)
	if err := p.list(v); err != nil {
		return "", err
	}
	return p.end()
}

// A planReader takes a plan's file apart without holding it.
type planReader struct {
	lines *bufio.Reader
	sum   hash.Hash
	held  []byte // the last line, which counts only if another follows in the list
}

// line returns the next line with its end.
func (p *planReader) line() ([]byte, error) {
	var line []byte
	for {
		part, err := p.lines.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxPlanLine:
			return nil, errCutPlan
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return nil, errCutPlan
		default:
			return line, err
		}
	}
}

// head reads up to the list.
func (p *planReader) head() (*Plan, error) {
	var head bytes.Buffer
	for {
		line, err := p.line()
		if err != nil {
			return nil, err
		}
		p.sum.Write(line)
		if string(line) == strings.TrimPrefix(listSeam, ",\n") {
			break
		}
		if head.Len() > maxPlanLine {
			return nil, errCutPlan
		}
		head.Write(line)
	}
	text, ok := strings.CutSuffix(head.String(), ",\n")
	if !ok {
		return nil, errCutPlan
	}
	plan := new(Plan)
	return plan, decode(strings.NewReader(text+"\n}"), plan)
}

// decode takes nothing but one value: a limit of a later version must not be lost.
func decode(r io.Reader, v any) error {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", errCutPlan, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errCutPlan
	}
	return nil
}

// list reads the candidates. The line break before the closing bracket belongs to the
// seam, so it is not in the sum.
func (p *planReader) list(v planVisit) error {
	for n := 0; ; n++ {
		line, err := p.line()
		switch {
		case err != nil:
			return err
		case n == 0 && string(line) == "\n": // an empty list
			if line, err = p.line(); err != nil {
				return err
			}
			if string(line) != endOfList {
				return errCutPlan
			}
			return nil
		case n > 0 && string(line) == endOfList:
			p.sum.Write(bytes.TrimSuffix(p.held, []byte("\n")))
			return nil
		}
		p.sum.Write(p.held)
		p.held = line
		if n > 0 && n%planPart == 0 {
			if err := v.part(p.sumSoFar()); err != nil {
				return err
			}
		}
		var c Candidate
		if err := decode(bytes.NewReader(bytes.TrimSuffix(line, []byte(",\n"))), &c); err != nil {
			return err
		}
		v.each(c)
	}
}

const endOfList = "],\n"

func (p *planReader) sumSoFar() string { return hex.EncodeToString(p.sum.Sum(nil)) }

// end compares the sum.
func (p *planReader) end() (string, error) {
	last, err := p.line()
	if err != nil {
		return "", err
	}
	want, ok := strings.CutPrefix(string(last), strings.TrimPrefix(hashSeam, "\n],\n"))
	want, ok2 := strings.CutSuffix(want, fileEnd)
	if _, err := p.lines.ReadByte(); !ok || !ok2 || !errors.Is(err, io.EOF) {
		return "", errCutPlan
	}
	if got := p.sumSoFar(); got != want {
		return "", errEdited
	}
	return want, nil
}
