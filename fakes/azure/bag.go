package azure

import (
	"encoding/json"
	"strings"
)

// bag is a decoded JSON object. Its methods never fail: what is missing or of
// another JSON type is the zero value.
type bag map[string]any

func bagOf(raw json.RawMessage) (bag, error) {
	m, err := object(raw)
	return bag(m), err
}

// at is the value below a path of keys.
func (b bag) at(path ...string) any {
	var v any = map[string]any(b)
	for _, key := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

func (b bag) text(path ...string) string {
	s, _ := b.at(path...).(string)
	return s
}

func (b bag) flag(path ...string) bool {
	v, _ := b.at(path...).(bool)
	return v
}

func (b bag) number(path ...string) (int, bool) {
	switch n := b.at(path...).(type) {
	case json.Number:
		i, err := n.Int64()
		return int(i), err == nil
	case float64:
		return int(n), float64(int(n)) == n
	case int:
		return n, true
	}
	return 0, false
}

func (b bag) bag(path ...string) bag {
	m, _ := b.at(path...).(map[string]any)
	return m
}

// bags are the objects in a list.
func (b bag) bags(path ...string) []bag {
	list, _ := b.at(path...).([]any)
	var out []bag
	for _, v := range list {
		if m, ok := v.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// texts are the strings in a list.
func (b bag) texts(path ...string) []string {
	list, _ := b.at(path...).([]any)
	var out []string
	for _, v := range list {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// oneOrMany joins ARM's singular and plural forms of a property.
func (b bag) oneOrMany(one, many string) []string {
	out := b.texts(many)
	if s := b.text(one); s != "" {
		out = append([]string{s}, out...)
	}
	return out
}

// fill sets a key that is missing or null.
func (b bag) fill(key string, value any) {
	if b[key] == nil {
		b[key] = value
	}
}

// keep copies keys from before that b leaves out.
func (b bag) keep(before bag, keys ...string) {
	for _, k := range keys {
		if b[k] == nil && before[k] != nil {
			b[k] = before[k]
		}
	}
}

// refs are the ids of a list of {"id": …}.
func (b bag) refs(path ...string) []string {
	var out []string
	for _, item := range b.bags(path...) {
		if id := item.text("id"); id != "" {
			out = append(out, id)
		}
	}
	return out
}

func ref(id string) map[string]any { return map[string]any{"id": id} }

func anys[T any](list []T) []any {
	out := make([]any, 0, len(list))
	for _, v := range list {
		out = append(out, v)
	}
	return out
}

// normalLocation is ARM's normal form of a region: "East US" and "eastus" are the same.
func normalLocation(s string) string { return strings.ToLower(strings.ReplaceAll(s, " ", "")) }

func (w *write) setBag(into *json.RawMessage, b bag) error {
	raw, err := json.Marshal(b)
	if err != nil {
		return invalidContent(err)
	}
	*into = raw
	return nil
}

// jsonValue is v as plain maps, lists and values.
func jsonValue(v any) (any, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return decode(raw)
}
