package r2

import (
	"bytes"
	"iter"
	"strconv"
	"unicode/utf8"
)

// maxDepth bounds how deep an unknown element may go; S3's own go two levels.
const maxDepth = 8

// An xmlReader takes a document apart that lies whole in memory, unescaping in
// place. The first fault sticks; afterwards nothing is read any more.
type xmlReader struct {
	rest []byte
	leaf bool // the element that was opened last is <empty/>
	err  error
}

func (x *xmlReader) fail(what string) {
	if x.err == nil {
		x.err = oddAnswer("the answer holds %s", what)
	}
	x.rest = nil
}

// space passes over what may stand between elements.
func (x *xmlReader) space() { x.rest = trimSpace(x.rest) }

// trimSpace cuts XML's white space off the beginning.
func trimSpace(s []byte) []byte {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\n' || s[0] == '\t' || s[0] == '\r') {
		s = s[1:]
	}
	return s
}

// root reads up to the first element and returns its name.
func (x *xmlReader) root() []byte {
	x.rest = bytes.TrimPrefix(x.rest, []byte("\ufeff"))
	if declaration, ok := bytes.CutPrefix(x.rest, []byte("<?xml")); ok {
		declaration, x.rest, ok = bytes.Cut(declaration, []byte("?>"))
		if !ok {
			x.fail("a declaration without an end")
		}
		x.attributes(declaration, func(name, value []byte) bool {
			switch string(name) {
			case "version":
				return string(value) == "1.0"
			case "encoding":
				return bytes.EqualFold(value, []byte("utf-8"))
			}
			return true
		})
	}
	x.space()
	name, closing := x.tag()
	if closing {
		x.fail("an end without a beginning")
	}
	return name
}

// end sees that nothing follows.
func (x *xmlReader) end() {
	if x.space(); len(x.rest) > 0 {
		x.fail("more than one document")
	}
}

// children yields the names of the elements in parent, which was just opened. Each
// must be read by one of text, children and skip before the next.
func (x *xmlReader) children(parent []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if x.empty() {
			return
		}
		for {
			x.space()
			name, closing := x.tag()
			if closing && !bytes.Equal(name, parent) {
				x.fail("elements that overlap")
			}
			if closing || x.err != nil || !yield(name) {
				return
			}
		}
	}
}

// empty reports whether there is nothing to read in the element just opened.
func (x *xmlReader) empty() bool {
	leaf := x.leaf
	x.leaf = false
	return leaf || x.err != nil
}

// text returns what the element just opened holds, which must be text alone. It
// isn't nil but after a fault.
func (x *xmlReader) text(name []byte) []byte {
	if x.empty() {
		return x.rest[:0]
	}
	text := x.chars()
	if end, closing := x.tag(); !closing || !bytes.Equal(end, name) {
		x.fail("an element where a text should be")
	}
	return text
}

// once is text for what may stand there once.
func (x *xmlReader) once(name []byte, into *[]byte) {
	if *into != nil {
		x.fail("the same element twice")
	}
	*into = x.text(name)
}

// number reads a count or a size; -1 stands for none so far.
func (x *xmlReader) number(name []byte, into *int64) {
	if *into != -1 {
		x.fail("the same element twice")
	}
	n, err := strconv.ParseUint(string(x.text(name)), 10, 63)
	if err != nil {
		x.fail("a number that is none")
	}
	*into = int64(n)
}

// skip passes over the element just opened, and what is in it.
func (x *xmlReader) skip(name []byte, depth int) {
	if depth == 0 {
		x.fail("elements in elements without end")
	}
	for !x.empty() {
		x.chars()
		inner, closing := x.tag()
		if !closing {
			x.skip(inner, depth-1)
			continue
		}
		if !bytes.Equal(inner, name) {
			x.fail("elements that overlap")
		}
		return
	}
}

// tag reads <name>, <name/> or </name>.
func (x *xmlReader) tag() (name []byte, closing bool) {
	end := bytes.IndexByte(x.rest, '>')
	if end < 2 || x.rest[0] != '<' {
		x.fail("something else than an element")
		return nil, false
	}
	tag := x.rest[1:end]
	x.rest = x.rest[end+1:]
	if tag[0] == '/' {
		tag, closing = tag[1:], true
	} else if last := len(tag) - 1; tag[last] == '/' {
		tag, x.leaf = tag[:last], true
	}
	n := nameLen(tag)
	if n == 0 || closing && len(trimSpace(tag[n:])) > 0 {
		x.fail("something else than an element")
		return nil, false
	}
	x.attributes(tag[n:], func([]byte, []byte) bool { return true })
	return tag[:n], closing
}

// attributes reads name="value" with spaces before each, until check fails.
func (x *xmlReader) attributes(s []byte, check func(name, value []byte) bool) {
	for len(s) > 0 {
		rest := trimSpace(s)
		n := nameLen(rest)
		spaced, name, value := len(rest) < len(s), rest[:n], rest[n:]
		if spaced && len(rest) == 0 {
			return
		}
		ok := spaced && n > 0 && len(value) > 2 && value[0] == '=' && (value[1] == '"' || value[1] == '\'')
		if ok {
			value, s, ok = bytes.Cut(value[2:], value[1:2])
		}
		if !ok || bytes.ContainsAny(value, "<&") || !isText(value) || !check(name, value) {
			x.fail("an odd attribute")
			return
		}
	}
}

// nameLen is the length of the name that s begins with, 0 if it is none. It takes
// the ASCII part of XML's names, which is all that S3 uses.
func nameLen(s []byte) int {
	colons := 0
	for i, c := range s {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_':
			continue
		case i > 0 && ('0' <= c && c <= '9' || c == '-' || c == '.'):
			continue
		case i > 0 && c == ':' && colons == 0:
			colons++
			continue
		}
		return i
	}
	return len(s)
}

// chars reads the text up to the next tag.
func (x *xmlReader) chars() []byte {
	end := bytes.IndexByte(x.rest, '<')
	if end < 0 {
		x.fail("no end")
		return nil
	}
	text := x.rest[:end]
	x.rest = x.rest[end:]
	if !isText(text) {
		x.fail("characters that XML doesn't have")
	}
	if bytes.IndexByte(text, '&') < 0 {
		return text
	}
	return x.unescape(text)
}

// isText refuses what a reader of XML must, and a bare carriage return, which it
// would have to change.
func isText(s []byte) bool {
	var all byte
	for _, c := range s {
		if c < 0x20 && c != '\t' && c != '\n' {
			return false
		}
		all |= c
	}
	if all >= utf8.RuneSelf && (!utf8.Valid(s) || bytes.ContainsAny(s, "\ufffe\uffff")) {
		return false
	}
	return bytes.IndexByte(s, '>') < 0 || !bytes.Contains(s, []byte("]]>"))
}

// unescape puts characters for entities, which are never shorter.
func (x *xmlReader) unescape(s []byte) []byte {
	plain := s[:0]
	for {
		before, rest, found := bytes.Cut(s, []byte("&"))
		plain = append(plain, before...)
		if !found {
			return plain
		}
		entity, rest, ended := bytes.Cut(rest, []byte(";"))
		r, ok := character(entity)
		if !ok || !ended {
			x.fail("an unknown entity")
			return nil
		}
		plain = utf8.AppendRune(plain, r)
		s = rest
	}
}

// character returns what an entity stands for, without its & and ;.
func character(entity []byte) (rune, bool) {
	switch string(entity) {
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "amp":
		return '&', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	digits, ok := bytes.CutPrefix(entity, []byte("#"))
	base := 10
	if hex, is := bytes.CutPrefix(digits, []byte("x")); is {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(string(digits), base, 31)
	r := rune(n)
	return r, ok && err == nil && (r == '\t' || r == '\n' || r == '\r' || r >= ' ' && utf8.ValidRune(r) && r != 0xfffe && r != 0xffff)
}
