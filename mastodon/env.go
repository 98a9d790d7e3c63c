package mastodon

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// maxEnvFile is far above any real settings file (a few KiB), and small
// enough that a wrong path given by mistake does not fill the memory.
const maxEnvFile = 1 << 20

// A Var is one value of an env file.
type Var struct {
	// Text is secret until somebody says what the name means.
	Text Secret
	// Command reports that the value holds $(…), directly or through another
	// variable. Ruby would run it in a shell; nothing here does, so Text is
	// empty and the value unknown.
	Command bool
}

// A SyntaxError says where an env file cannot be read. It never quotes the
// file, which is full of secrets.
type SyntaxError struct {
	Line   int // from 1; 0 when the whole file is meant
	Reason string
}

func (e *SyntaxError) Error() string {
	if e.Line == 0 {
		return e.Reason
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Reason)
}

// The grammar of Ruby's dotenv 3, as its README and its answers show it. Go's
// engine prefers the same match as Ruby's, so the oddities come along: a value
// may begin on the line after its name, and a name alone is set and empty.
// [\s\v] is what Ruby calls \s.
var (
	assignment = regexp.MustCompile(`(?m)^[\s\v]*(export[\s\v]+)?([\w.]+)` +
		`(?:(?:[\s\v]*=[\s\v]*?|:[\s\v]+?)` +
		`([\s\v]*'(?:\\'|[^'])*'|[\s\v]*"(?:\\"|[^"])*"|[^#\n]+)?)?` +
		`[\s\v]*(?:#.*)?$`)
	lineBreak = regexp.MustCompile(`\r\n?`)
	escape    = regexp.MustCompile(`\\([^$])`)
	variable  = regexp.MustCompile(`(?i)\\?\$\{?([A-Z0-9_]+)?\}?`)
)

// ParseEnv reads an env file as Ruby's dotenv 3 does, which is what Mastodon
// 4.3 and later load .env.production with. A name that is set twice has its
// last value. $NAME and ${NAME} outside single quotes mean the variable of the
// environment (lookup, which may be nil), else the one set further up, else
// nothing. Lines that set nothing are skipped.
//
// dotenv 2 (Mastodon 4.2 and before) differs in what values can hold in one
// point: "\n" in double quotes is a line break there, as it is here after
// DOTENV_LINEBREAK_MODE=legacy.
//
// The error is a [*SyntaxError] or comes from r.
func ParseEnv(r io.Reader, lookup func(string) (string, bool)) (map[string]Var, error) {
	text, err := readText(r)
	if err != nil {
		return nil, err
	}
	if lookup == nil {
		lookup = func(string) (string, bool) { return "", false }
	}
	p := parser{vars: map[string]Var{}, lookup: lookup}
	for _, m := range assignment.FindAllStringSubmatchIndex(text, -1) {
		name := text[m[4]:m[5]]
		switch exported, valued := m[2] >= 0, m[6] >= 0; {
		case valued:
			p.vars[name] = p.value(text[m[6]:m[7]])
		case !exported:
			p.vars[name] = Var{}
		case !p.has(name):
			return nil, &SyntaxError{lineAt(text, m[4]), fmt.Sprintf("export of %s, which is set nowhere above", name)}
		}
	}
	return p.vars, nil
}

// readText returns what r holds with line ends as \n and without a byte order mark.
func readText(r io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxEnvFile+1))
	if err != nil {
		return "", err
	}
	text := lineBreak.ReplaceAllString(strings.TrimPrefix(string(data), "\ufeff"), "\n")
	invalid := strings.Index(strings.ToValidUTF8(text, "\x00"), "\x00")
	switch {
	case len(data) > maxEnvFile:
		return "", &SyntaxError{0, "longer than 1 MiB: not an env file"}
	case invalid >= 0: // Ruby too refuses both, a NUL when it comes to the environment
		return "", &SyntaxError{lineAt(text, invalid), "not UTF-8 text"}
	}
	return text, nil
}

func lineAt(text string, offset int) int { return 1 + strings.Count(text[:offset], "\n") }

type parser struct {
	vars   map[string]Var
	lookup func(string) (string, bool)
}

func (p *parser) has(name string) bool {
	_, env := p.lookup(name)
	_, file := p.vars[name]
	return env || file
}

// get returns the value that $name stands for.
func (p *parser) get(name string) Var {
	if v, ok := p.lookup(name); ok {
		return Var{Text: Secret(v)}
	}
	return p.vars[name]
}

// value reads what stands behind a separator. The order of the steps is
// Ruby's; another order gives other answers.
func (p *parser) value(raw string) Var {
	s := strings.Trim(raw, " \t\n\v\f\r")
	if n := len(s); n >= 2 && s[0] == s[n-1] && (s[0] == '\'' || s[0] == '"') {
		quote := s[0]
		s = s[1 : n-1]
		if quote == '\'' {
			return Var{Text: Secret(s)}
		}
		s = p.breakLines(s)
	}
	s = escape.ReplaceAllString(s, "$1")
	s, command := commands(s)
	if command {
		return Var{Command: true}
	}
	return p.expand(s)
}

// breakLines treats \n and \r inside double quotes: since dotenv 3 they stay
// two characters unless the old mode is asked for.
func (p *parser) breakLines(s string) string {
	mode, inFile := p.vars["DOTENV_LINEBREAK_MODE"]
	if !inFile {
		mode = p.get("DOTENV_LINEBREAK_MODE")
	}
	if mode.Text == "legacy" {
		return strings.NewReplacer(`\n`, "\n", `\r`, "\r").Replace(s)
	}
	return strings.NewReplacer(`\n`, `\\n`, `\r`, `\\r`).Replace(s)
}

// expand puts in the values of $NAME and ${NAME}; \$ is a plain dollar.
func (p *parser) expand(s string) Var {
	var b strings.Builder
	end := 0
	for _, m := range variable.FindAllStringSubmatchIndex(s, -1) {
		b.WriteString(s[end:m[0]])
		end = m[1]
		switch whole := s[m[0]:m[1]]; {
		case strings.HasPrefix(s[end:], "(") && strings.HasSuffix(whole, "$"):
			b.WriteString(whole) // an unbalanced $( is neither command nor variable
		case whole[0] == '\\':
			b.WriteString(whole[1:])
		case m[2] >= 0:
			v := p.get(s[m[2]:m[3]])
			if v.Command {
				return v
			}
			b.WriteString(string(v.Text))
		default:
			b.WriteString(whole)
		}
	}
	b.WriteString(s[end:])
	return Var{Text: Secret(b.String())}
}

// commands takes the backslash from every escaped \$(…), and reports whether
// there is one that is not escaped.
func commands(s string) (rest string, found bool) {
	ends := parens(s)
	var b strings.Builder
	for i := 0; i < len(s); {
		escaped := strings.HasPrefix(s[i:], `\$(`)
		open := i + 1
		if escaped {
			open++
		}
		switch {
		case !escaped && !strings.HasPrefix(s[i:], "$("), ends[open] == 0:
			b.WriteByte(s[i])
			i++
		case !escaped:
			return "", true
		default:
			b.WriteString(s[i+1 : ends[open]])
			i = ends[open]
		}
	}
	return b.String(), false
}

// parens maps the offset of each parenthesis that opens a balanced group with
// no empty pair in it to the offset behind its end. One pass: nested groups
// must not cost the square of their number.
func parens(s string) map[int]int {
	ends := map[int]int{}
	var open []int
	bad := -1 // the last offset of "()", which spoils every group around it
	for i := range len(s) {
		switch s[i] {
		case '(':
			open = append(open, i)
		case ')':
			if len(open) == 0 {
				continue
			}
			at := open[len(open)-1]
			open = slices.Delete(open, len(open)-1, len(open))
			if at+1 == i {
				bad = at
			}
			if bad < at {
				ends[at] = i + 1
			}
		}
	}
	return ends
}
