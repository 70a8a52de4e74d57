package azure

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Policies: assignments of definitions whose effect is Deny. Conditions are
// those that are written below; others are refused as they are defined.
// https://learn.microsoft.com/azure/governance/policy/concepts/definition-structure-policy-rule
type (
	policyAssignmentKind struct{ plain }
	policyDefinitionKind struct{ plain }
)

// builtInPolicies about registries; their default effect is Audit, which an
// assignment's parameter changes to Deny.
// https://learn.microsoft.com/azure/container-registry/security-controls-policy
var builtInPolicies = map[string]string{
	"0fdf0491-d080-4575-b627-ad0e843cba0f": `{"displayName":"Public network access should be disabled for Container registries","policyType":"BuiltIn","mode":"Indexed",
		"parameters":{"effect":{"type":"String","defaultValue":"Audit"}},
		"policyRule":{"if":{"allOf":[{"field":"type","equals":"Microsoft.ContainerRegistry/registries"},
			{"field":"Microsoft.ContainerRegistry/registries/publicNetworkAccess","notEquals":"Disabled"}]},"then":{"effect":"[parameters('effect')]"}}}`,
	"d0793b48-0edc-4296-a390-4c75d1bdfd71": `{"displayName":"Container registries should not allow unrestricted network access","policyType":"BuiltIn","mode":"Indexed",
		"parameters":{"effect":{"type":"String","defaultValue":"Audit"}},
		"policyRule":{"if":{"allOf":[{"field":"type","equals":"Microsoft.ContainerRegistry/registries"},
			{"field":"Microsoft.ContainerRegistry/registries/publicNetworkAccess","notEquals":"Disabled"},
			{"anyOf":[{"field":"Microsoft.ContainerRegistry/registries/networkRuleSet.defaultAction","exists":"false"},
				{"field":"Microsoft.ContainerRegistry/registries/networkRuleSet.defaultAction","equals":"Allow"}]}]},"then":{"effect":"[parameters('effect')]"}}}`,
}

const policyDefinitions = "/providers/Microsoft.Authorization/policyDefinitions/"

// policy reads a definition by the id that an assignment names.
func (d *data) policy(id string) (definition bag, name string, ok bool) {
	name = id[strings.LastIndexByte(id, '/')+1:]
	if strings.HasPrefix(strings.ToLower(id), strings.ToLower(policyDefinitions)) {
		text, ok := builtInPolicies[strings.ToLower(name)]
		b, err := bagOf(json.RawMessage(text))
		return b, name, ok && err == nil
	}
	r, ok := d.lookup(id)
	if !ok {
		return nil, name, false
	}
	b, err := bagOf(r.Properties)
	return b, r.Name, err == nil
}

func (policyDefinitionKind) check(w *write) error {
	p, err := w.properties()
	if err != nil {
		return invalidContent(err)
	}
	if err := checkCondition(p.at("policyRule", "if"), 0); err != nil {
		return badRequest("InvalidPolicyRule", "Failed to parse policy rule of '%s': %s.", w.id.Name(), err)
	}
	if p.text("policyRule", "then", "effect") == "" {
		return badRequest("InvalidPolicyRule", "Failed to parse policy rule of '%s': it has no then.effect.", w.id.Name())
	}
	p["policyType"] = "Custom"
	p.fill("mode", "All")
	return w.setProperties(p)
}

func (policyAssignmentKind) check(w *write) error {
	p, err := w.properties()
	if err != nil {
		return invalidContent(err)
	}
	id := p.text("policyDefinitionId")
	if _, _, ok := w.policy(id); !ok {
		return errorf(http.StatusNotFound, "PolicyDefinitionNotFound", "The policy definition '%s' could not be found.", id)
	}
	p["scope"] = w.id.scope()
	p.fill("enforcementMode", "Default")
	return w.setProperties(p)
}

var conditions = []string{"equals", "notEquals", "in", "notIn", "like", "notLike", "contains", "notContains", "exists"}

const maxPolicyDepth = 20

func checkCondition(v any, depth int) error {
	m, ok := v.(map[string]any)
	if !ok || depth > maxPolicyDepth {
		return fmt.Errorf("a condition is no object, or nested too deeply")
	}
	for _, all := range []string{"allOf", "anyOf"} {
		if list, ok := m[all].([]any); ok {
			for _, x := range list {
				if err := checkCondition(x, depth+1); err != nil {
					return err
				}
			}
			return nil
		}
	}
	if x, ok := m["not"]; ok {
		return checkCondition(x, depth+1)
	}
	if _, ok := m["field"].(string); !ok {
		return fmt.Errorf("acrlab evaluates conditions on a field, allOf, anyOf and not alone")
	}
	for key := range m {
		if key != "field" && !slices.Contains(conditions, key) {
			return fmt.Errorf("acrlab does not evaluate the condition '%s'", key)
		}
	}
	return nil
}

// disallowed refuses a write that an assigned Deny policy is about.
func (w *write) disallowed() error {
	type identifier struct {
		Name string `json:"name,omitempty"`
		ID   string `json:"id"`
	}
	type violated struct {
		Assignment identifier `json:"policyAssignment"`
		Definition identifier `json:"policyDefinition"`
	}
	var hits []violated
	for _, a := range w.ofType(typePolicyAssignment) {
		id, err := ParseID(a.ID)
		p, _ := bagOf(a.Properties)
		if err != nil || !covers(id.scope(), w.id) || p.text("enforcementMode") == "DoNotEnforce" ||
			slices.ContainsFunc(p.texts("notScopes"), func(s string) bool { return covers(s, w.id) }) {
			continue
		}
		definition, name, ok := w.policy(p.text("policyDefinitionId"))
		if !ok {
			continue
		}
		params := policyParameters{definition.bag("parameters"), p.bag("parameters")}
		effect, _ := params.resolve(definition.text("policyRule", "then", "effect")).(string)
		if strings.EqualFold(effect, "Deny") && w.matches(definition.at("policyRule", "if"), params, 0) {
			hits = append(hits, violated{identifier{nameOr(p.text("displayName"), a.Name), a.ID}, identifier{nameOr(definition.text("displayName"), name), p.text("policyDefinitionId")}})
		}
	}
	if len(hits) == 0 {
		return nil
	}
	raw, err := json.Marshal(hits)
	if err != nil {
		return fmt.Errorf("naming policies: %w", err)
	}
	e := errorf(http.StatusForbidden, "RequestDisallowedByPolicy", "Resource '%s' was disallowed by policy. Policy identifiers: '%s'.", w.id.Name(), raw)
	e.Target = w.id.Name()
	for _, h := range hits {
		e.Info = append(e.Info, map[string]any{"type": "PolicyViolation", "info": map[string]any{
			"policyDefinitionDisplayName": h.Definition.Name, "policyDefinitionId": h.Definition.ID, "policyDefinitionEffect": "Deny",
			"policyAssignmentDisplayName": h.Assignment.Name, "policyAssignmentId": h.Assignment.ID,
		}})
	}
	return e
}

func nameOr(name, fallback string) string {
	if name != "" {
		return name
	}
	return fallback
}

type policyParameters struct{ defined, given bag }

// resolve replaces "[parameters('x')]".
func (pp policyParameters) resolve(v any) any {
	s, ok := v.(string)
	name, isParam := strings.CutPrefix(s, "[parameters('")
	name, closed := strings.CutSuffix(name, "')]")
	if !ok || !isParam || !closed {
		return v
	}
	if given := pp.given.at(name, "value"); given != nil {
		return given
	}
	return pp.defined.at(name, "defaultValue")
}

func (w *write) matches(v any, params policyParameters, depth int) bool {
	m, ok := v.(map[string]any)
	if !ok || depth > maxPolicyDepth {
		return false
	}
	some := func(x any) bool { return w.matches(x, params, depth+1) }
	switch {
	case m["allOf"] != nil:
		list, _ := m["allOf"].([]any)
		return !slices.ContainsFunc(list, func(x any) bool { return !some(x) })
	case m["anyOf"] != nil:
		list, _ := m["anyOf"].([]any)
		return slices.ContainsFunc(list, some)
	case m["not"] != nil:
		return !some(m["not"])
	}
	field, _ := m["field"].(string)
	have := w.field(field)
	for _, key := range conditions {
		want, ok := m[key]
		if !ok {
			continue
		}
		want = params.resolve(want)
		// A field with [*] holds if the condition does for each of its values.
		if values, many := have.(each); many {
			return !slices.ContainsFunc(values, func(x any) bool { return !compare(key, x, want) })
		}
		return compare(key, have, want)
	}
	return false
}

type each []any

// field is the value of a field or alias of the written resource: nil if absent.
func (w *write) field(name string) any {
	switch lower := strings.ToLower(name); {
	case lower == "type":
		return w.id.Type()
	case lower == "name":
		return w.id.Name()
	case lower == "location":
		return normalLocation(w.next.Location)
	case strings.HasPrefix(lower, "tags"):
		key := strings.Trim(strings.TrimPrefix(name[4:], "."), "[]'")
		if v, ok := w.next.Tags[key]; ok {
			return v
		}
		return nil
	}
	path, ok := strings.CutPrefix(strings.ToLower(name), strings.ToLower(w.id.Type())+"/")
	if !ok {
		return nil
	}
	path = name[len(name)-len(path):]
	if sku, ok := strings.CutPrefix(path, "sku."); ok {
		b, _ := bagOf(w.next.SKU)
		return valueAt(map[string]any(b), sku)
	}
	p, _ := bagOf(w.next.Properties)
	return valueAt(map[string]any(p), path)
}

func valueAt(v any, path string) any {
	head, rest, more := strings.Cut(strings.ReplaceAll(path, "/", "."), ".")
	name, all := strings.CutSuffix(head, "[*]")
	m, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	for key, x := range m {
		if !strings.EqualFold(key, name) {
			continue
		}
		if all {
			list, _ := x.([]any)
			out := each{}
			for _, e := range list {
				if more {
					e = valueAt(e, rest)
				}
				out = append(out, e)
			}
			return out
		}
		if more {
			return valueAt(x, rest)
		}
		return x
	}
	return nil
}

func compare(condition string, have, want any) bool {
	if rest, ok := strings.CutPrefix(condition, "not"); ok {
		return !compare(strings.ToLower(rest), have, want)
	}
	text := func(v any) string {
		if v == nil {
			return ""
		}
		return strings.ToLower(fmt.Sprint(v))
	}
	switch condition {
	case "equals":
		return text(have) == text(want)
	case "in":
		list, _ := want.([]any)
		return slices.ContainsFunc(list, func(x any) bool { return text(x) == text(have) })
	case "like":
		return have != nil && like(text(want), text(have))
	case "contains":
		if list, ok := have.([]any); ok {
			return slices.ContainsFunc(list, func(x any) bool { return text(x) == text(want) })
		}
		return have != nil && strings.Contains(text(have), text(want))
	default: // exists
		return (have != nil) == (text(want) == "true")
	}
}
