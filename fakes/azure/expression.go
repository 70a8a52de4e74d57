package azure

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Template expressions: "[concat(parameters('name'), '-nic')]".
// https://learn.microsoft.com/azure/azure-resource-manager/templates/template-expressions

const (
	maxExpressionDepth = 50
	maxSteps           = 100_000 // variables that name variables can grow without end
)

var errSteps = fmt.Errorf("the template needs more than %d evaluations", maxSteps)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// eval replaces the expressions in a JSON value.
func (t *template) eval(d *data, v any, depth int) (any, error) {
	if depth > maxExpressionDepth {
		return nil, fmt.Errorf("a value is nested too deeply")
	}
	if t.steps++; t.steps > maxSteps {
		return nil, errSteps
	}
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, key := range sortedKeys(v) {
			if key == "copy" {
				return nil, fmt.Errorf("acrlab does not carry out 'copy' in a template")
			}
			x, err := t.eval(d, v[key], depth+1)
			if err != nil {
				return nil, err
			}
			out[key] = x
		}
		return out, nil
	case []any:
		out := make([]any, 0, len(v))
		for _, x := range v {
			x, err := t.eval(d, x, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, x)
		}
		return out, nil
	case string:
		if strings.HasPrefix(v, "[[") {
			return v[1:], nil
		}
		if !strings.HasPrefix(v, "[") || !strings.HasSuffix(v, "]") || len(v) < 2 {
			return v, nil
		}
		p := &expression{t: t, d: d, text: v[1 : len(v)-1], depth: depth}
		out, err := p.value()
		if err == nil && p.skip() != 0 {
			err = fmt.Errorf("unexpected '%s'", p.text[p.at:])
		}
		if err != nil {
			return nil, fmt.Errorf("unable to evaluate the template language expression '%s': %w", v, err)
		}
		return out, nil
	}
	return v, nil
}

type expression struct {
	t     *template
	d     *data
	text  string
	at    int
	depth int
}

// skip passes spaces and returns the next byte, 0 at the end.
func (p *expression) skip() byte {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
	if p.at == len(p.text) {
		return 0
	}
	return p.text[p.at]
}

func (p *expression) word() string {
	from := p.at
	for p.at < len(p.text) && (p.text[p.at] == '_' || p.text[p.at] == '-' || p.text[p.at] >= '0' && p.text[p.at] <= '9' ||
		p.text[p.at]|0x20 >= 'a' && p.text[p.at]|0x20 <= 'z') {
		p.at++
	}
	return p.text[from:p.at]
}

func (p *expression) value() (any, error) {
	p.depth++
	defer func() { p.depth-- }()
	if p.t.steps++; p.t.steps > maxSteps {
		return nil, errSteps
	}
	if p.depth > maxExpressionDepth {
		return nil, fmt.Errorf("nested too deeply")
	}
	var out any
	switch c := p.skip(); {
	case c == '\'':
		s, err := p.literal()
		if err != nil {
			return nil, err
		}
		out = s
	case c >= '0' && c <= '9' || c == '-':
		n, err := strconv.Atoi(p.word())
		if err != nil {
			return nil, fmt.Errorf("a number is malformed")
		}
		return n, nil
	default:
		name := p.word()
		if name == "" || p.skip() != '(' {
			return nil, fmt.Errorf("a function call was expected at '%s'", p.text[p.at:])
		}
		p.at++
		var args []any
		for p.skip() != ')' {
			if len(args) > 0 {
				if p.skip() != ',' {
					return nil, fmt.Errorf("',' or ')' was expected at '%s'", p.text[p.at:])
				}
				p.at++
			}
			a, err := p.value()
			if err != nil {
				return nil, err
			}
			args = append(args, a)
		}
		p.at++
		var err error
		if out, err = p.call(name, args); err != nil {
			return nil, err
		}
	}
	return p.members(out)
}

func (p *expression) literal() (string, error) {
	var b strings.Builder
	for p.at++; p.at < len(p.text); p.at++ {
		if p.text[p.at] != '\'' {
			b.WriteByte(p.text[p.at])
			continue
		}
		if p.at+1 < len(p.text) && p.text[p.at+1] == '\'' {
			b.WriteByte('\'')
			p.at++
			continue
		}
		p.at++
		return b.String(), nil
	}
	return "", fmt.Errorf("a string is not closed")
}

// members follows .name and [index].
func (p *expression) members(v any) (any, error) {
	for {
		switch p.skip() {
		case '.':
			p.at++
			name := p.word()
			m, ok := v.(map[string]any)
			if v, ok = m[name], ok && m[name] != nil; !ok {
				return nil, fmt.Errorf("the property '%s' does not exist", name)
			}
		case '[':
			p.at++
			index, err := p.value()
			if err != nil {
				return nil, err
			}
			if p.skip() != ']' {
				return nil, fmt.Errorf("']' was expected at '%s'", p.text[p.at:])
			}
			p.at++
			n, isNumber := bag{"n": index}.number("n")
			list, isList := v.([]any)
			m, _ := v.(map[string]any)
			key, _ := index.(string)
			switch {
			case isList && isNumber && n >= 0 && n < len(list):
				v = list[n]
			case m[key] != nil:
				v = m[key]
			default:
				return nil, fmt.Errorf("the index '%v' does not exist", index)
			}
		default:
			return v, nil
		}
	}
}

func texts(args []any) []string {
	var out []string
	for _, a := range args {
		out = append(out, fmt.Sprint(a))
	}
	return out
}

const maxExpressionText = 1 << 20

func (p *expression) call(name string, args []any) (any, error) {
	arity := func(from, to int) error {
		if len(args) < from || len(args) > to {
			return fmt.Errorf("the template function '%s' is called with %d arguments", name, len(args))
		}
		return nil
	}
	text := texts(args)
	switch strings.ToLower(name) {
	case "parameters":
		if err := arity(1, 1); err != nil {
			return nil, err
		}
		v, ok := p.t.parameters[text[0]]
		if !ok {
			return nil, fmt.Errorf("the template parameter '%s' is not found", text[0])
		}
		return v, nil
	case "variables":
		if err := arity(1, 1); err != nil {
			return nil, err
		}
		v, ok := p.t.variables[text[0]]
		if !ok {
			return nil, fmt.Errorf("the template variable '%s' is not found", text[0])
		}
		return p.t.eval(p.d, v, p.depth+1)
	case "concat":
		if len(args) > 0 {
			if _, ok := args[0].([]any); ok {
				out := []any{}
				for _, a := range args {
					list, _ := a.([]any)
					out = append(out, list...)
				}
				return out, nil
			}
		}
		s := strings.Join(text, "")
		if len(s) > maxExpressionText {
			return nil, fmt.Errorf("a text is longer than %d bytes", maxExpressionText)
		}
		return s, nil
	case "format":
		if err := arity(1, 20); err != nil {
			return nil, err
		}
		s := text[0]
		for i, a := range text[1:] {
			if len(s)+strings.Count(s, "{")*len(a) > maxExpressionText {
				return nil, fmt.Errorf("a text is longer than %d bytes", maxExpressionText)
			}
			s = strings.ReplaceAll(s, "{"+strconv.Itoa(i)+"}", a)
		}
		return s, nil
	case "tolower":
		return strings.ToLower(strings.Join(text, "")), arity(1, 1)
	case "toupper":
		return strings.ToUpper(strings.Join(text, "")), arity(1, 1)
	case "string":
		return strings.Join(text, ""), arity(1, 1)
	case "replace":
		if err := arity(3, 3); err != nil {
			return nil, err
		}
		if text[1] == "" || len(text[0])+strings.Count(text[0], text[1])*len(text[2]) > maxExpressionText {
			return nil, fmt.Errorf("the arguments of 'replace' are empty or too long")
		}
		return strings.ReplaceAll(text[0], text[1], text[2]), nil
	case "if":
		if err := arity(3, 3); err != nil {
			return nil, err
		}
		if on, _ := args[0].(bool); on {
			return args[1], nil
		}
		return args[2], nil
	case "equals":
		if err := arity(2, 2); err != nil {
			return nil, err
		}
		return fmt.Sprint(args[0]) == fmt.Sprint(args[1]), nil
	case "not":
		if err := arity(1, 1); err != nil {
			return nil, err
		}
		on, _ := args[0].(bool)
		return !on, nil
	case "true", "false":
		return strings.EqualFold(name, "true"), arity(0, 0)
	case "createarray":
		return append([]any{}, args...), nil
	case "resourcegroup":
		group := ID{Subscription: p.t.id.Subscription, ResourceGroup: p.t.id.ResourceGroup}
		return map[string]any{"id": group.String(), "name": p.t.id.ResourceGroup, "location": p.t.group.Location, "type": TypeResourceGroup}, arity(0, 0)
	case "subscription":
		return map[string]any{"id": "/subscriptions/" + p.t.id.Subscription, "subscriptionId": p.t.id.Subscription, "tenantId": p.t.tenant, "displayName": "acrlab"}, arity(0, 0)
	case "deployment":
		return map[string]any{"name": p.t.id.Name()}, arity(0, 0)
	case "uniquestring":
		if err := arity(1, 20); err != nil {
			return nil, err
		}
		return uniqueString(text...), nil
	case "guid":
		return guid(text...), arity(1, 20)
	case "resourceid":
		return p.resourceID(text)
	case "reference":
		if err := arity(1, 3); err != nil {
			return nil, err
		}
		return p.reference(text)
	}
	return nil, fmt.Errorf("acrlab does not know the template function '%s'", name)
}

// uniqueString is 13 letters and digits that depend on the arguments alone.
// Azure's own hash is not published.
func uniqueString(text ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(text, "\x00")))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:13]
}

// resourceID is resourceId([subscription], [group], type, names…).
func (p *expression) resourceID(text []string) (any, error) {
	i := slices.IndexFunc(text, func(s string) bool { return strings.Contains(s, "/") })
	if i < 0 || i > 2 {
		return nil, fmt.Errorf("'resourceId' is called without a resource type")
	}
	at := *p.t
	if i > 0 {
		at.id.ResourceGroup = text[i-1]
	}
	if i > 1 {
		at.id.Subscription = text[0]
	}
	id, err := at.resource(text[i], text[i+1:])
	if err != nil {
		return nil, err
	}
	return id.String(), nil
}

// reference is the properties of a resource, or all of it with 'Full'. The
// name of one that the template defines will do.
func (p *expression) reference(text []string) (any, error) {
	r, ok := p.d.lookup(text[0])
	version := ""
	for _, x := range p.t.resources {
		if strings.EqualFold(x.id.Name(), text[0]) || strings.EqualFold(strings.Join(x.id.Names, "/"), text[0]) || strings.EqualFold(x.id.String(), text[0]) {
			version = x.version
			r, ok = p.d.lookup(x.id.String())
		}
	}
	if !ok {
		return nil, fmt.Errorf("the resource '%s' that 'reference' names was not found", text[0])
	}
	if len(text) > 1 {
		version = text[1]
	}
	full, err := jsonValue(view{p.d, version}.shown(r))
	if err != nil {
		return nil, err
	}
	m, _ := full.(map[string]any)
	if len(text) == 3 && strings.EqualFold(text[2], "Full") {
		return m, nil
	}
	return m["properties"], nil
}
