package topology

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"
)

// JSONSchema is the JSON schema (draft 2020-12) of scenario.yaml, for editors.
// Descriptions are the comments on the types of this package; source is the
// folder with its Go files, and empty leaves descriptions out. The loader is the
// judge: it checks more than a schema can say.
func JSONSchema(source string) ([]byte, error) {
	r := &jsonschema.Reflector{FieldNameTag: "yaml", Anonymous: true, ExpandedStruct: true}
	r.Mapper = func(t reflect.Type) *jsonschema.Schema {
		if values := enumeratedType(t); values != nil {
			return &jsonschema.Schema{Type: "string", Enum: enum(values)}
		}
		return nil
	}
	if source != "" {
		if err := r.AddGoComments(reflect.TypeFor[Scenario]().PkgPath(), source); err != nil {
			return nil, fmt.Errorf("reading the comments in %s: %w", source, err)
		}
		for k, text := range r.CommentMap {
			r.CommentMap[k] = strings.Join(strings.Fields(text), " ")
		}
	}
	s := r.Reflect(&Scenario{})
	s.Title = "acrlab scenario"
	for _, t := range types(reflect.TypeFor[Scenario](), map[reflect.Type]bool{}) {
		def := s.Definitions[t.Name()]
		if t == reflect.TypeFor[Scenario]() {
			def = s
		}
		if def == nil {
			continue
		}
		addEnums(def, t)
		if partOfPatch(t) {
			allowNull(def)
		}
	}
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the schema: %w", err)
	}
	return append(out, '\n'), nil
}

// types are all structs that t is made of.
func types(t reflect.Type, seen map[reflect.Type]bool) []reflect.Type {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return types(t.Elem(), seen)
	case reflect.Struct:
		if seen[t] {
			return nil
		}
		seen[t] = true
		out := []reflect.Type{t}
		for i := range t.NumField() {
			if t.Field(i).Tag.Get("yaml") != "-" {
				out = append(out, types(t.Field(i).Type, seen)...)
			}
		}
		return out
	}
	return nil
}

// partOfPatch says that a type occurs under setup and change, where null removes.
func partOfPatch(t reflect.Type) bool {
	switch t {
	case reflect.TypeFor[Scenario](), reflect.TypeFor[Expect](), reflect.TypeFor[Candidates]():
		return false
	}
	return true
}

func addEnums(def *jsonschema.Schema, t reflect.Type) {
	for p := def.Properties.Oldest(); p != nil; p = p.Next() {
		values := enumerated(t, p.Key)
		switch {
		case values == nil:
		case p.Value.Items != nil:
			p.Value.Items.Enum = enum(values)
		default:
			p.Value.Enum = enum(values)
		}
	}
}

func allowNull(def *jsonschema.Schema) {
	for p := def.Properties.Oldest(); p != nil; p = p.Next() {
		if by := p.Value.AdditionalProperties; by != nil {
			p.Value.AdditionalProperties = orNull(by)
		}
		p.Value = orNull(p.Value)
	}
}

// orNull keeps the description outside, where editors look for it.
func orNull(s *jsonschema.Schema) *jsonschema.Schema {
	description := s.Description
	s.Description = ""
	return &jsonschema.Schema{Description: description, AnyOf: []*jsonschema.Schema{s, {Type: "null"}}}
}

func enum(values []string) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}
