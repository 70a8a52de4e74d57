// Package schema writes the JSON schema of a diagnosis. It is kept apart from
// package diagnosis so that a diagnoser does not link a schema generator.
package schema

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/acrlab/acrlab/diagnosis"
)

// JSON is the JSON schema (draft 2020-12) of [diagnosis.Diagnosis].
// Descriptions are the comments on the types; source is the folder with the Go
// files of package diagnosis, and empty leaves descriptions out. A schema cannot
// say everything: see [diagnosis.Validate].
func JSON(source string) ([]byte, error) {
	r := &jsonschema.Reflector{Anonymous: true, ExpandedStruct: true, Mapper: closed}
	if source != "" {
		// The extractor joins the folder to the import path; only what follows
		// the package name is wanted.
		dir, err := filepath.Abs(source)
		if err != nil {
			return nil, fmt.Errorf("reading the comments in %s: %w", source, err)
		}
		if err := r.AddGoComments("source", dir); err != nil {
			return nil, fmt.Errorf("reading the comments in %s: %w", source, err)
		}
		pkg := reflect.TypeFor[diagnosis.Diagnosis]().PkgPath()
		comments := map[string]string{}
		for k, text := range r.CommentMap {
			_, name, _ := strings.Cut(k[strings.LastIndex(k, "/")+1:], ".")
			comments[pkg+"."+name] = strings.Join(strings.Fields(text), " ")
		}
		r.CommentMap = comments
	}
	s := r.Reflect(&diagnosis.Diagnosis{})
	s.Title = "acrlab diagnosis"
	if p, ok := s.Properties.Get("schema"); ok {
		p.Const = diagnosis.Schema
	}
	if c := s.Definitions["Change"]; c != nil {
		one := uint64(1)
		c.MinProperties, c.MaxProperties = &one, &one
	}
	if a := s.Definitions["ARMRequest"]; a != nil {
		if m, ok := a.Properties.Get("method"); ok {
			m.Enum = []any{"PUT", "PATCH", "DELETE"}
		}
	}
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the schema: %w", err)
	}
	return append(out, '\n'), nil
}

// closed gives the types with a fixed set of values their enumerations.
func closed(t reflect.Type) *jsonschema.Schema {
	var values []any
	switch t {
	case reflect.TypeFor[diagnosis.Cause]():
		for _, e := range diagnosis.Causes() {
			values = append(values, e.Cause)
		}
	case reflect.TypeFor[diagnosis.Certainty]():
		for _, c := range diagnosis.Certainties() {
			values = append(values, c)
		}
	case reflect.TypeFor[diagnosis.Device]():
		for _, d := range diagnosis.Devices() {
			values = append(values, d)
		}
	case reflect.TypeFor[diagnosis.Scope]():
		for _, s := range diagnosis.Scopes() {
			values = append(values, s)
		}
	default:
		return nil
	}
	return &jsonschema.Schema{Type: "string", Enum: values}
}
