package topology

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// mergePatch is MergePatch of RFC 7396 section 2 on trees. Neither argument is
// changed and the result shares no map with them.
func mergePatch(target, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	out := map[string]any{}
	if t, ok := target.(map[string]any); ok {
		maps.Copy(out, t)
	}
	for k, v := range p {
		if v == nil {
			delete(out, k)
			continue
		}
		out[k] = mergePatch(out[k], v)
	}
	return out
}

// deadRemovals lists the nulls of a patch that remove nothing: the commonest
// form is a misspelt name.
func deadRemovals(target, patch map[string]any, at path) []path {
	var out []path
	for _, k := range slices.Sorted(maps.Keys(patch)) {
		before, there := target[k]
		switch v := patch[k].(type) {
		case nil:
			if !there {
				out = append(out, at.with(k))
			}
		case map[string]any:
			sub, _ := before.(map[string]any)
			out = append(out, deadRemovals(sub, v, at.with(k))...)
		}
	}
	return out
}

// fill decodes a tree that was checked against v's type into v.
func fill(v reflect.Value, tree any) error {
	if tree == nil {
		return nil
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		return fill(v.Elem(), tree)
	}
	switch tree := tree.(type) {
	case map[string]any:
		return fillMap(v, tree)
	case []any:
		if v.Kind() != reflect.Slice {
			break
		}
		s := reflect.MakeSlice(v.Type(), len(tree), len(tree))
		for i, e := range tree {
			if err := fill(s.Index(i), e); err != nil {
				return fmt.Errorf("[%d]: %w", i, err)
			}
		}
		v.Set(s)
		return nil
	case string:
		if v.Kind() == reflect.String {
			v.SetString(tree)
			return nil
		}
	case int:
		if v.Kind() == reflect.Int {
			v.SetInt(int64(tree))
			return nil
		}
	case bool:
		if v.Kind() == reflect.Bool {
			v.SetBool(tree)
			return nil
		}
	}
	return fmt.Errorf("a %T cannot become a %s", tree, v.Type())
}

func fillMap(v reflect.Value, tree map[string]any) error {
	switch v.Kind() {
	case reflect.Map:
		m := reflect.MakeMapWithSize(v.Type(), len(tree))
		for k, e := range tree {
			if e == nil {
				continue
			}
			elem := reflect.New(v.Type().Elem()).Elem()
			if err := fill(elem, e); err != nil {
				return fmt.Errorf("%s: %w", k, err)
			}
			m.SetMapIndex(reflect.ValueOf(k), elem)
		}
		v.Set(m)
		return nil
	case reflect.Struct:
		t := v.Type()
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
			e, ok := tree[name]
			if !ok || name == "" || name == "-" {
				continue
			}
			if err := fill(v.Field(i), e); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	}
	return fmt.Errorf("a mapping cannot become a %s", v.Type())
}

// topologyOf decodes a merged tree.
func topologyOf(tree map[string]any) (Topology, error) {
	var t Topology
	if err := fill(reflect.ValueOf(&t), tree); err != nil {
		return Topology{}, fmt.Errorf("decoding the topology: %w", err)
	}
	return t, nil
}
