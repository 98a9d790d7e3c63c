package main

import (
	"go/ast"
	"go/token"
	"iter"
	"slices"
	"strings"
)

// checkVars wants package variables that nobody changes: sentinel errors,
// compiled patterns, embedded files, tables, interface assertions.
func (h *house) checkVars(s *source, vars map[string]bool) {
	for _, d := range s.file.Decls {
		d, ok := d.(*ast.GenDecl)
		if !ok || d.Tok != token.VAR {
			continue
		}
		for _, spec := range d.Specs {
			spec := spec.(*ast.ValueSpec)
			embedded := d.Doc != nil && strings.Contains(d.Doc.List[len(d.Doc.List)-1].Text, "//go:embed")
			for i, name := range spec.Names {
				vars[name.Name] = true
				if name.Name == "_" || embedded || i < len(spec.Values) && constant(spec.Values[i]) {
					continue
				}
				h.fault(s, name, name.Name, "is a mutable package variable")
			}
		}
	}
}

// constant reports whether a value is made once and only read: TestHouse
// finds separately whoever writes to it all the same.
func constant(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit, *ast.BinaryExpr:
		return true
	case *ast.CompositeLit:
		_, structure := e.Type.(*ast.SelectorExpr)
		return !structure // sync.Mutex{} and the like are there to change
	case *ast.SelectorExpr: // another package's sentinel under our name
		return strings.HasPrefix(e.Sel.Name, "Err")
	case *ast.CallExpr:
		sel, ok := e.Fun.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		pkg, ok := sel.X.(*ast.Ident)
		return ok && slices.Contains([]string{
			"errors.New", "fmt.Errorf", "regexp.MustCompile", "strings.NewReplacer", "decimal.RequireFromString", "decimal.NewFromInt", "decimal.New", "time.Date",
		}, pkg.Name+"."+sel.Sel.Name)
	}
	return false
}

// checkWrites finds writes to the package variables named in vars. A name that
// a function declares itself is its own.
func (h *house) checkWrites(s *source, vars map[string]bool) {
	for _, d := range s.file.Decls {
		d, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		own := declared(d)
		for name := range written(d) {
			if vars[name.Name] && !own[name.Name] {
				h.fault(s, name, name.Name, "is a package variable, and written to")
			}
		}
	}
}

// declared returns the names that a function declares, anywhere in it.
func declared(d *ast.FuncDecl) map[string]bool {
	names := map[string]bool{}
	add := func(exprs ...ast.Expr) {
		for _, e := range exprs {
			if name, ok := e.(*ast.Ident); ok {
				names[name.Name] = true
			}
		}
	}
	ast.Inspect(d, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				add(n.Lhs...)
			}
		case *ast.RangeStmt:
			if n.Tok == token.DEFINE {
				add(n.Key, n.Value)
			}
		case *ast.ValueSpec:
			for _, name := range n.Names {
				add(name)
			}
		case *ast.Field:
			for _, name := range n.Names {
				add(name)
			}
		}
		return true
	})
	return names
}

// written yields the variables that a function assigns to, in whole or in
// part, or takes the address of.
func written(d *ast.FuncDecl) iter.Seq[*ast.Ident] {
	return func(yield func(*ast.Ident) bool) {
		var targets []ast.Expr
		ast.Inspect(d, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				targets = append(targets, n.Lhs...)
			case *ast.IncDecStmt:
				targets = append(targets, n.X)
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					targets = append(targets, n.X)
				}
			}
			return true
		})
		for _, e := range targets {
			if name := base(e); name != nil && !yield(name) {
				return
			}
		}
	}
}

// base returns the x of x, x.y and x[i].
func base(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.Ident:
			return x
		default:
			return nil
		}
	}
}
