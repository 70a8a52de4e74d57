package topology

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxSize bounds a scenario file, in bytes. The largest of the catalogue is
// some kilobytes.
const maxSize = 128 << 10

// maxDepth bounds nesting. The deepest key of the language lies at 7.
const maxDepth = 32

// document is one YAML file, checked against a Go type and turned into a tree of
// map[string]any, []any, string, int, bool and nil, with the place of every
// value. It is not decoded straight into the type because a merge patch must
// tell a key that is null from a key that is absent.
type document struct {
	file     string
	tree     map[string]any
	places   map[string]*token.Position
	problems []*Problem
}

// parse reads a file that is meant for a value of type t. patches are the top
// keys under which null removes. Mistakes are collected in problems; what is
// wrong is left out of the tree.
func parse(file string, raw []byte, t reflect.Type, patches ...string) (d *document) {
	d = &document{file: file, tree: map[string]any{}, places: map[string]*token.Position{}}
	if len(raw) > maxSize {
		d.problem(nil, "the file is larger than %d bytes", maxSize)
		return d
	}
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")) // as editors of Windows begin a file
	if at, what := notText(raw); what != "" {
		d.problem(at, "%s; a scenario is text in UTF-8", what)
		return d
	}
	if err := checkNesting(raw); err != nil {
		d.problem(nil, "%v", err)
		return d
	}
	// The parser is not ours: whatever it meets must become an error.
	defer func() {
		if r := recover(); r != nil {
			d.problem(nil, "the YAML parser gave up: %v", r)
		}
	}()
	f, err := parser.ParseBytes(raw, 0)
	if err != nil {
		d.syntax(err)
		return d
	}
	body, err := single(f)
	if err != nil {
		d.problem(nil, "%v", err)
		return d
	}
	if body == nil {
		return d
	}
	w := walker{document: d, patches: patches}
	if tree, ok := w.value(nil, body, t, false, reflect.TypeFor[any](), "").(map[string]any); ok {
		d.tree = tree
	}
	return d
}

// notText finds the first thing in a file that is no text: a byte that is not
// UTF-8, or a control character.
func notText(raw []byte) (at *token.Position, what string) {
	line, column := 1, 1
	for len(raw) > 0 {
		r, size := utf8.DecodeRune(raw)
		switch {
		case r == utf8.RuneError && size == 1:
			what = fmt.Sprintf("byte 0x%02x is not UTF-8", raw[0])
		case r == '\n':
			line, column = line+1, 0
		case r < ' ' && r != '\t' && r != '\r' || r == 0x7f:
			what = fmt.Sprintf("control character %U", r)
		}
		if what != "" {
			return &token.Position{Line: line, Column: column}, what
		}
		raw, column = raw[size:], column+1
	}
	return nil, ""
}

// checkNesting refuses what could exhaust a recursive parser.
func checkNesting(raw []byte) error {
	depth := 0
	for _, c := range raw {
		switch c {
		case '[', '{':
			if depth++; depth > 1000 {
				return fmt.Errorf("more than 1000 brackets are open at once")
			}
		case ']', '}':
			depth = max(0, depth-1)
		}
	}
	for line := range strings.Lines(string(raw)) {
		if indent := len(line) - len(strings.TrimLeft(line, " -?\t")); indent > 500 {
			return fmt.Errorf("a line is indented by more than 500 characters")
		}
	}
	return nil
}

func single(f *ast.File) (ast.Node, error) {
	var body ast.Node
	for _, doc := range f.Docs {
		if doc == nil || doc.Body == nil {
			continue
		}
		if body != nil {
			return nil, errors.New("more than one YAML document; a scenario is one")
		}
		body = doc.Body
	}
	if body != nil && body.Type() == ast.CommentType {
		return nil, nil
	}
	return body, nil
}

func (d *document) syntax(err error) {
	var y yaml.Error
	if errors.As(err, &y) {
		msg := strings.TrimSpace(strings.ReplaceAll(y.GetMessage(), "\n", " "))
		switch {
		case strings.Contains(msg, "'\t'"):
			msg = "broken YAML: a tab; indent with spaces"
		case !strings.HasPrefix(msg, "mapping key"):
			msg = "broken YAML: " + msg
		}
		if tk := y.GetToken(); tk != nil && tk.Position != nil {
			d.problem(tk.Position, "%s", msg)
			return
		}
		d.problem(nil, "%s", msg)
		return
	}
	d.problem(nil, "%s", strings.ReplaceAll(err.Error(), "\n", " "))
}

func (d *document) problem(at *token.Position, format string, args ...any) {
	p := &Problem{File: d.file, Message: fmt.Sprintf(format, args...)}
	if at != nil {
		p.Line, p.Column = at.Line, at.Column
	}
	d.problems = append(d.problems, p)
}

// place finds where p is written, or the nearest thing above it.
func (d *document) place(p path) (at *token.Position, depth int) {
	for n := len(p); n > 0; n-- {
		if at := d.places[p[:n].key()]; at != nil {
			return at, n
		}
	}
	return nil, 0
}
