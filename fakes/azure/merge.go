package azure

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// mergePatch applies a JSON merge patch (RFC 7396 section 2) to target.
func mergePatch(target, patch []byte) ([]byte, error) {
	p, err := decode(patch)
	if err != nil {
		return nil, fmt.Errorf("reading the patch: %w", err)
	}
	var t any
	if len(bytes.TrimSpace(target)) > 0 {
		if t, err = decode(target); err != nil {
			return nil, fmt.Errorf("reading what is to be patched: %w", err)
		}
	}
	return json.Marshal(merge(t, p))
}

func merge(target, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	t, ok := target.(map[string]any)
	if !ok {
		t = map[string]any{}
	}
	for k, v := range p {
		if v == nil {
			delete(t, k)
		} else {
			t[k] = merge(t[k], v)
		}
	}
	return t
}

// decode reads exactly one JSON value and keeps numbers as they are spelt.
func decode(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, fmt.Errorf("more than one JSON value")
	}
	return v, nil
}

// object reads a JSON object; empty input and null give an empty one.
func object(raw []byte) (map[string]any, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return map[string]any{}, nil
	}
	v, err := decode(raw)
	if err != nil {
		return nil, err
	}
	if v == nil {
		return map[string]any{}, nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("a JSON object was expected")
	}
	return m, nil
}
