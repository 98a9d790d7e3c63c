package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The house numbers: CONTRIBUTING.md says what they are for. One that has to
// be broken gets a line in broken, with the reason.
const (
	maxFileLines  = 500
	maxFuncLines  = 80
	maxParams     = 5
	maxMethods    = 3
	medianFile    = 150
	medianFunc    = 12
	p95Func       = 50
	minCommentPct = 17 // the goal is 20: the sink and the stand-in explain themselves by R2's own names
	maxCommentPct = 35
)

// broken names what breaks a number, as "room/file.go Name", with the reason.
var broken = map[string]string{
	"ledger/statements.go ":    "sqlclosecheck does not see that the session closes its statements",
	"scanner/gentree_test.go ": "the tree must lie on a file system of the test's choice, not where TempDir is",
}

// A source is one Go file of ours.
type source struct {
	path string // below the repository
	text string
	fset *token.FileSet
	file *ast.File
}

func (s *source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s *source) lines(n ast.Node) int {
	return s.fset.Position(n.End()).Line - s.fset.Position(n.Pos()).Line + 1
}

// sources parses every Go file of the repository.
func sources(t *testing.T) []*source {
	t.Helper()
	var all []*source
	root := os.DirFS("../..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules") {
			return fs.SkipDir
		}
		if d.IsDir() || filepath.Ext(name) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		s := &source{path: name, text: string(text), fset: token.NewFileSet()}
		s.file, err = parser.ParseFile(s.fset, name, text, parser.ParseComments)
		all = append(all, s)
		return err
	})
	if err != nil || len(all) < 20 {
		t.Fatalf("%d files: %v", len(all), err)
	}
	return all
}

// A house collects what breaks the rules.
type house struct{ faults []string }

func (h *house) fault(s *source, n ast.Node, name, what string) {
	if _, known := broken[s.path+" "+name]; !known {
		h.faults = append(h.faults, s.fset.Position(n.Pos()).String()+": "+strings.TrimSpace(name+" "+what))
	}
}

func TestHouse(t *testing.T) {
	t.Parallel()
	h := &house{}
	all := sources(t)
	documented := map[string]bool{}      // by folder: has a package comment
	vars := map[string]map[string]bool{} // by folder: the package variables
	for _, s := range all {
		h.checkLint(s)
		if s.test() {
			continue
		}
		h.checkFile(s)
		dir := path.Dir(s.path)
		documented[dir] = documented[dir] || s.file.Doc != nil
		if vars[dir] == nil {
			vars[dir] = map[string]bool{}
		}
		h.checkVars(s, vars[dir])
		if s.file.Name.Name != "main" {
			h.checkDocs(s)
		}
	}
	for _, s := range all {
		if !s.test() {
			h.checkWrites(s, vars[path.Dir(s.path)])
		}
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no comment", dir)
		}
	}
	for _, f := range h.faults {
		t.Error(f)
	}
}

// checkLint wants every finding put right, but for the one that upstream owes us.
func (h *house) checkLint(s *source) {
	for _, group := range s.file.Comments {
		for _, c := range group.List {
			if strings.HasPrefix(c.Text, "//nolint") && s.path != "r2/multipart.go" {
				h.fault(s, c, "", "a nolint outside r2/multipart.go")
			}
		}
	}
}

// checkFile looks at sizes and shapes.
func (h *house) checkFile(s *source) {
	if n := strings.Count(s.text, "\n"); n > maxFileLines {
		h.fault(s, s.file, "", "is too long a file")
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				h.fault(s, n, "init", "is forbidden")
			}
			if s.lines(n) > maxFuncLines {
				h.fault(s, n, n.Name.Name, "is too long a function")
			}
			if n.Type.Params.NumFields() > maxParams {
				h.fault(s, n, n.Name.Name, "takes too many parameters: an options struct")
			}
		case *ast.TypeSpec:
			if i, ok := n.Type.(*ast.InterfaceType); ok && i.Methods.NumFields() > maxMethods {
				h.fault(s, n, n.Name.Name, "asks for too many methods")
			}
		}
		return true
	})
}

// checkDocs wants a comment on every export: its own, or its group's.
func (h *house) checkDocs(s *source) {
	for _, d := range s.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) && !wellKnown(d) {
				h.fault(s, d, d.Name.Name, "has no comment")
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				for _, name := range undocumented(d, spec) {
					h.fault(s, spec, name, "has no comment")
				}
			}
		}
	}
}

// undocumented returns the exported names of a declaration that lacks a comment.
func undocumented(d *ast.GenDecl, spec ast.Spec) []string {
	var names []string
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if d.Doc == nil && spec.Doc == nil && spec.Comment == nil && spec.Name.IsExported() {
			names = append(names, spec.Name.Name)
		}
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			if d.Doc == nil && spec.Doc == nil && spec.Comment == nil && name.IsExported() {
				names = append(names, name.Name)
			}
		}
	}
	return names
}

// exportedReceiver reports whether a method is one of an exported type; a
// function has none to hide it.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	for {
		switch t := typ.(type) {
		case *ast.StarExpr:
			typ = t.X
		case *ast.IndexExpr:
			typ = t.X
		case *ast.Ident:
			return t.IsExported()
		default:
			return false
		}
	}
}

// wellKnown methods mean the same everywhere.
func wellKnown(d *ast.FuncDecl) bool {
	return d.Recv != nil && slices.Contains([]string{
		"Error", "Unwrap", "Is", "String", "GoString", "Format", "LogValue", "MarshalJSON", "UnmarshalJSON",
		"MarshalText", "UnmarshalText", "Read", "ReadAt", "Write", "Close", "ServeHTTP", "RoundTrip",
	}, d.Name.Name)
}

// TestHouseNumbers holds the whole to its goals: a median can only be kept by
// everybody.
func TestHouseNumbers(t *testing.T) {
	t.Parallel()
	var files, funcs []int
	var product, tests, comments int
	for _, s := range sources(t) {
		code, comment := split(s)
		switch room, _, _ := strings.Cut(s.path, "/"); {
		case s.test() || room == "fixtures":
			tests += code
			continue
		case room == "bench":
			continue
		}
		product += code
		comments += comment
		files = append(files, strings.Count(s.text, "\n"))
		for _, d := range s.file.Decls {
			if d, ok := d.(*ast.FuncDecl); ok {
				funcs = append(funcs, s.lines(d))
			}
		}
	}
	slices.Sort(files)
	slices.Sort(funcs)
	pct := 100 * comments / product
	t.Logf("product %d lines, tests %d, comments %d %%, median file %d, functions: median %d, p95 %d",
		product, tests, pct, files[len(files)/2], funcs[len(funcs)/2], funcs[len(funcs)*95/100])
	if files[len(files)/2] > medianFile || funcs[len(funcs)/2] > medianFunc || funcs[len(funcs)*95/100] > p95Func {
		t.Error("files or functions have grown too long")
	}
	if pct < minCommentPct || pct > maxCommentPct {
		t.Errorf("%d comment lines per 100 of code, not %d to %d", pct, minCommentPct, maxCommentPct)
	}
	if tests < product {
		t.Error("less test code than product code")
	}
}

// split counts lines with code and lines with a comment; some are both, blank
// ones neither.
func split(s *source) (code, comment int) {
	lines := map[int]bool{}
	for _, group := range s.file.Comments {
		for line := s.fset.Position(group.Pos()).Line; line <= s.fset.Position(group.End()).Line; line++ {
			lines[line] = true
		}
	}
	number := 0
	for line := range strings.Lines(s.text) {
		number++
		line = strings.TrimSpace(line)
		if line != "" && (!lines[number] || !strings.HasPrefix(line, "//")) {
			code++
		}
	}
	return code, len(lines)
}
