package diagnosis

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// MaxSize is the largest JSON form of a diagnosis that [Decode] reads, in bytes.
const MaxSize = 4 << 20

// Decode reads exactly one diagnosis and validates it. It is strict, because a
// diagnosis that says something unforeseen must not be judged as if it had not:
// unknown keys, another schema version, unknown causes and trailing data are
// errors.
func Decode(r io.Reader) (*Diagnosis, error) {
	raw, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading the diagnosis: %w", err)
	}
	if len(raw) > MaxSize {
		return nil, fmt.Errorf("reading the diagnosis: it is larger than %d bytes", MaxSize)
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, fmt.Errorf("reading the diagnosis: it is empty: %w", io.ErrUnexpectedEOF)
	}
	if err := checkSchema(raw); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	d := new(Diagnosis)
	if err := dec.Decode(d); err != nil {
		return nil, fmt.Errorf("decoding the diagnosis: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("decoding the diagnosis: data follows after byte %d, where it ends", dec.InputOffset())
	}
	if err := Validate(d); err != nil {
		return nil, err
	}
	return d, nil
}

// checkSchema looks at the version before anything else, so that a document of
// another version is refused for that and not for its first unknown key. It also
// wants the keys without which the zero value would pass for a statement.
func checkSchema(raw []byte) error {
	var keys map[string]json.RawMessage
	// A decoder, not Unmarshal: trailing data is reported by the caller.
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&keys); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return fmt.Errorf("decoding the diagnosis: not JSON at byte %d: %w", syntax.Offset, err)
		}
		return fmt.Errorf("decoding the diagnosis: %w", err)
	}
	var schema string
	if err := json.Unmarshal(keys["schema"], &schema); err != nil || schema != Schema {
		got := "missing"
		if keys["schema"] != nil {
			got = shorten(string(keys["schema"]), 80)
		}
		return fmt.Errorf("decoding the diagnosis: schema is %s, want %q", got, Schema)
	}
	for _, k := range []string{"registry", "healthy", "findings"} {
		if keys[k] == nil {
			return fmt.Errorf("decoding the diagnosis: key %q is missing", k)
		}
	}
	return nil
}

// Encode validates d and writes it as indented JSON with a final line feed.
// Lists without entries are written as [], never as null.
func Encode(w io.Writer, d *Diagnosis) error {
	if err := Validate(d); err != nil {
		return err
	}
	out := *d
	if out.Findings == nil {
		out.Findings = []Finding{}
	}
	if out.Observations == nil {
		out.Observations = []Observation{}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false) // commands hold < > & and are read by people
	if err := enc.Encode(out); err != nil {
		return fmt.Errorf("encoding the diagnosis of %s: %w", d.Registry, err)
	}
	return nil
}

func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}
