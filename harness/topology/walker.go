package topology

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// walker checks nodes against types.
type walker struct {
	*document
	patches []string
}

// value is the tree of a node that is meant for type t. owner and key are the
// struct and the key that hold it, for enumerations. patch says that null is
// meant as RFC 7396 means it.
func (w walker) value(at path, n ast.Node, t reflect.Type, patch bool, owner reflect.Type, key string) any {
	if len(at) > maxDepth {
		w.problem(position(n), "%s: nested too deeply", at)
		return nil
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch n := n.(type) {
	case nil:
		return nil
	case *ast.NullNode:
		if !patch {
			w.problem(w.nearest(at, n), "%s has no value; leave the key out or give it one", at)
		}
		return nil
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		w.problem(position(n), "anchors, aliases, merge keys and tags are not part of the language; write the value out")
		return nil
	}
	switch t.Kind() {
	case reflect.Struct:
		return w.object(at, n, t, patch)
	case reflect.Map:
		return w.named(at, n, t, patch)
	case reflect.Slice:
		return w.list(at, n, t, owner, key)
	default:
		return w.scalar(at, n, t, owner, key)
	}
}

// object checks a mapping whose keys are those of a struct.
func (w walker) object(at path, n ast.Node, t reflect.Type, patch bool) any {
	m, ok := n.(ast.MapNode)
	if !ok {
		w.wrongKind(at, n, "a mapping of "+oneOf(slices.Sorted(maps.Keys(fields(t)))))
		return nil
	}
	valid := fields(t)
	out := map[string]any{}
	for it := m.MapRange(); it.Next(); {
		k, pos, ok := w.key(it)
		if !ok {
			continue
		}
		f, known := valid[k]
		if !known {
			w.problem(pos, "unknown key %q%s", k, suggestKey(k, valid))
			continue
		}
		sub := at.with(k)
		w.places[sub.key()] = pos
		out[k] = w.value(sub, it.Value(), f, patch || (len(at) == 0 && slices.Contains(w.patches, k)), t, k)
	}
	return out
}

// suggestKey is the closest valid key or, when none is close, all of them.
func suggestKey(k string, valid map[string]reflect.Type) string {
	keys := slices.Sorted(maps.Keys(valid))
	if s := didYouMean(k, keys); s != "" {
		return s
	}
	return "; here can stand " + oneOf(keys)
}

// named checks a mapping whose keys are names.
func (w walker) named(at path, n ast.Node, t reflect.Type, patch bool) any {
	m, ok := n.(ast.MapNode)
	if !ok {
		w.wrongKind(at, n, "a mapping by name")
		return nil
	}
	out := map[string]any{}
	for it := m.MapRange(); it.Next(); {
		k, pos, ok := w.key(it)
		if !ok {
			continue
		}
		sub := at.with(k)
		w.places[sub.key()] = pos
		if err := checkName(at, k); err != nil {
			w.problem(pos, "%s: %v", at, err)
			continue
		}
		// A named thing without a value is one with all defaults, except in a
		// patch, where it is removed.
		if _, null := it.Value().(*ast.NullNode); null && !patch && t.Elem().Kind() == reflect.Struct {
			out[k] = map[string]any{}
			continue
		}
		out[k] = w.value(sub, it.Value(), t.Elem(), patch, t, k)
	}
	return out
}

func (w walker) list(at path, n ast.Node, t reflect.Type, owner reflect.Type, key string) any {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		w.wrongKind(at, n, "a list")
		return nil
	}
	out := []any{}
	for i, e := range s.Values {
		sub := at.with("[" + strconv.Itoa(i) + "]")
		if pos := position(e); pos != nil {
			w.places[sub.key()] = pos
		}
		// RFC 7396: a list replaces a list as a whole, so null inside is a mistake.
		if v := w.value(sub, e, t.Elem(), false, owner, key); v != nil {
			out = append(out, v)
		}
	}
	return out
}

func (w walker) key(it *ast.MapNodeIter) (string, *token.Position, bool) {
	k := it.Key()
	pos := position(k)
	if k.IsMergeKey() {
		w.problem(pos, "anchors, aliases, merge keys and tags are not part of the language; write the value out")
		return "", nil, false
	}
	switch k := k.(type) {
	case *ast.StringNode:
		return k.Value, pos, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return k.GetToken().Value, pos, true
	}
	w.problem(pos, "a key must be a plain word")
	return "", nil, false
}

func (w walker) wrongKind(at path, n ast.Node, want string) {
	w.problem(w.nearest(at, n), "%s is %s, want %s", orFile(at), kind(n), want)
}

func orFile(at path) string {
	if len(at) == 0 {
		return "the file"
	}
	return at.String()
}

func (w walker) nearest(at path, n ast.Node) *token.Position {
	if pos, _ := w.place(at); pos != nil {
		return pos
	}
	return position(n)
}

func position(n ast.Node) *token.Position {
	if n == nil {
		return nil
	}
	if m, ok := n.(ast.MapNode); ok {
		// The token of a mapping is its colon; its place is its first key.
		if it := m.MapRange(); it.Next() {
			return position(it.Key())
		}
	}
	if tk := n.GetToken(); tk != nil {
		return tk.Position
	}
	return nil
}

func kind(n ast.Node) string {
	switch n.(type) {
	case ast.MapNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.StringNode, *ast.LiteralNode:
		return "a string"
	case *ast.BoolNode:
		return "true or false"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	}
	return "something else"
}

// fields are the keys of a struct by their yaml tags.
func fields(t reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if f.IsExported() && name != "" && name != "-" {
			out[name] = f.Type
		}
	}
	return out
}
