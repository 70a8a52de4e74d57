package topology

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"github.com/goccy/go-yaml/ast"
)

func (w walker) scalar(at path, n ast.Node, t reflect.Type, owner reflect.Type, key string) any {
	pos := position(n)
	if pos == nil {
		pos = w.nearest(at, n)
	}
	switch t.Kind() {
	case reflect.Bool:
		if b, ok := n.(*ast.BoolNode); ok {
			return b.Value
		}
		w.wrongKind(at, n, "true or false")
	case reflect.Int:
		if i, ok := n.(*ast.IntegerNode); ok {
			if v, err := strconv.Atoi(fmt.Sprint(i.Value)); err == nil {
				return v
			}
		}
		w.wrongKind(at, n, "a whole number")
	case reflect.String:
		s, ok := text(n)
		if !ok {
			w.wrongKind(at, n, "a string")
			return nil
		}
		valid := enumeratedType(t)
		if valid == nil {
			valid = enumerated(owner, key)
		}
		if valid != nil && !slices.Contains(valid, s) {
			w.problem(pos, "%s: unknown value %q%s", at, s, suggestValue(s, valid))
			return nil
		}
		return s
	default:
		w.problem(pos, "%s: values of type %s cannot be written in YAML", at, t)
	}
	return nil
}

// suggestValue is the closest valid value and, when there are few, all.
func suggestValue(s string, valid []string) string {
	if len(valid) <= 12 {
		return "; want " + oneOf(valid)
	}
	if c := didYouMean(s, valid); c != "" {
		return c
	}
	return "; acrlab knows " + strconv.Itoa(len(valid)) + " of them, see package diagnosis"
}

// text is the string that a scalar stands for. A number is taken as it is
// written ("destinationPortRange: 443"); true, false and null are not strings.
func text(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		if n.Value == nil {
			return "", false
		}
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value, true
	}
	return "", false
}
