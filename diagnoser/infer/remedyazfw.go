package infer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/diagnoser/inventory"
	"github.com/acrlab/acrlab/diagnosis"
)

// remedyAzureFirewall adds the names to an Azure Firewall's rules: to an
// existing application rule where the default action denied, in a collection of
// its own before the rule that denied otherwise.
func remedyAzureFirewall(v *view, f *inventory.Firewall, pass inventory.Passage) diagnosis.Remedy {
	hosts := v.names()
	out := diagnosis.Remedy{Summary: fmt.Sprintf("Allow %s on port 443 in the application rules of Azure Firewall %s.", strings.Join(hosts, ", "), f.Name)}
	var target *inventory.RuleCollection
	for i := range f.Collections {
		c := &f.Collections[i]
		hasApp := slices.ContainsFunc(c.Rules, func(r inventory.FirewallRule) bool { return r.Type == "ApplicationRule" })
		if pass.By != "" && strings.HasPrefix(pass.By, c.Name+"/") || pass.By == "" && hasApp && strings.EqualFold(c.Action, "Allow") {
			target = c
			break
		}
	}
	if target == nil && len(f.Collections) > 0 {
		target = &f.Collections[0]
	}
	if target == nil || len(target.GroupRaw) == 0 {
		if f.PolicyID == "" {
			return out
		}
		id := f.PolicyID + "/ruleCollectionGroups/AllowContainerRegistry"
		out.Changes = []diagnosis.Change{put(id, inventory.APINetwork, object{"properties": object{"priority": 200,
			"ruleCollections": []any{applicationCollection(200, hosts)}}})}
		out.Commands = []string{
			az("network", "firewall", "policy", "rule-collection-group", "create", "-g", group(f.PolicyID), "--policy-name", inventory.Segment(f.PolicyID, "firewallPolicies"), "-n", "AllowContainerRegistry", "--priority", "200"),
			policyCommand(f, "AllowContainerRegistry", 200, hosts),
		}
		return out
	}
	classic := inventory.SameID(target.GroupID, f.ID)
	if pass.By != "" {
		return remedyDenyRule(v, f, target, pass, classic)
	}
	body := addNames(target, pass, hosts, classic)
	if body == nil {
		return out
	}
	out.Changes = []diagnosis.Change{put(target.GroupID, inventory.APINetwork, body)}
	if classic {
		out.Commands = []string{az("network", "firewall", "application-rule", "create", "-g", group(f.ID), "--firewall-name", f.Name, "--collection-name", "AllowContainerRegistry", "-n", "AllowContainerRegistry", "--priority", fmt.Sprint(newPriority(target)), "--action", "Allow", "--protocols", "Https=443", "--source-addresses", "*") + " --target-fqdns " + quoted(hosts)}
	} else {
		out.Commands = []string{policyCommand(f, inventory.Segment(target.GroupID, "ruleCollectionGroups"), newPriority(target), hosts)}
	}
	return out
}

func policyCommand(f *inventory.Firewall, groupName string, priority int, hosts []string) string {
	return az("network", "firewall", "policy", "rule-collection-group", "collection", "add-filter-collection", "-g", group(f.PolicyID), "--policy-name", inventory.Segment(f.PolicyID, "firewallPolicies"),
		"--rule-collection-group-name", groupName, "-n", "AllowContainerRegistry", "--collection-priority", fmt.Sprint(priority), "--action", "Allow",
		"--rule-name", "AllowContainerRegistry", "--rule-type", "ApplicationRule", "--protocols", "Https=443", "--source-addresses", "*") + " --target-fqdns " + quoted(hosts)
}

// newPriority is a number that no collection of the group has: nothing denies
// the names but the default, so any place will do.
func newPriority(c *inventory.RuleCollection) int {
	var body struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if json.Unmarshal(c.GroupRaw, &body) != nil {
		return 100
	}
	for _, key := range []string{"ruleCollections", "applicationRuleCollections"} {
		var list []any
		if json.Unmarshal(body.Properties[key], &list) == nil {
			return freePriority(list)
		}
	}
	return 100
}

// addNames changes the resource that holds a collection; nil if it cannot be read.
func addNames(c *inventory.RuleCollection, pass inventory.Passage, hosts []string, classic bool) object {
	var body object
	if json.Unmarshal(c.GroupRaw, &body) != nil {
		return nil
	}
	delete(body, "etag")
	props, ok := body["properties"].(map[string]any)
	if !ok {
		return nil
	}
	key := "ruleCollections"
	if classic {
		key = "applicationRuleCollections"
	}
	list, _ := props[key].([]any)
	if pass.By == "" {
		for _, raw := range list {
			entry, _ := raw.(map[string]any)
			if entry == nil || entry["name"] != c.Name {
				continue
			}
			inner := entry
			if classic {
				inner, _ = entry["properties"].(map[string]any)
			}
			rules, _ := inner["rules"].([]any)
			for _, r := range rules {
				rule, _ := r.(map[string]any)
				fqdns, isApp := rule["targetFqdns"].([]any)
				if !isApp {
					continue
				}
				for _, h := range hosts {
					if !slices.Contains(fqdns, any(h)) {
						fqdns = append(fqdns, h)
					}
				}
				rule["targetFqdns"] = fqdns
				return body
			}
		}
	}
	fresh := any(applicationCollection(freePriority(list), hosts))
	if classic {
		fresh = object{"name": "AllowContainerRegistry", "properties": object{"priority": freePriority(list), "action": object{"type": "Allow"},
			"rules": []any{object{"name": "AllowContainerRegistry", "protocols": []any{object{"protocolType": "Https", "port": 443}}, "sourceAddresses": []string{"*"}, "targetFqdns": hosts}}}}
	}
	props[key] = append([]any{fresh}, list...)
	return body
}

func applicationCollection(priority int, hosts []string) object {
	return object{
		"ruleCollectionType": "FirewallPolicyFilterRuleCollection", "name": "AllowContainerRegistry", "priority": priority,
		"action": object{"type": "Allow"},
		"rules": []any{object{
			"ruleType": "ApplicationRule", "name": "AllowContainerRegistry",
			"protocols":       []any{object{"protocolType": "Https", "port": 443}},
			"sourceAddresses": []string{"*"}, "targetFqdns": hosts,
		}},
	}
}

// quoted are arguments of which some may hold an asterisk.
func quoted(hosts []string) string {
	var out []string
	for _, h := range hosts {
		if strings.Contains(h, "*") {
			h = `"` + h + `"`
		}
		out = append(out, h)
	}
	return strings.Join(out, " ")
}

// freePriority is the first number that no collection of a group has.
func freePriority(collections []any) int {
	for p := 100; ; p++ {
		if !slices.ContainsFunc(collections, func(raw any) bool { return priorityOf(raw) == p }) {
			return p
		}
	}
}

func priorityOf(collection any) int {
	entry, _ := collection.(map[string]any)
	if inner, ok := entry["properties"].(map[string]any); ok {
		entry = inner
	}
	n, _ := entry["priority"].(float64)
	return int(n)
}

// remedyDenyRule takes away the rule that denies. An exception before it would
// need a free number in front of it and, for a network rule, addresses that
// change; the rule's owner may narrow it instead.
func remedyDenyRule(v *view, f *inventory.Firewall, c *inventory.RuleCollection, pass inventory.Passage, classic bool) diagnosis.Remedy {
	_, rule, _ := strings.Cut(pass.By, "/")
	hosts := v.names()
	out := diagnosis.Remedy{Summary: fmt.Sprintf("Remove rule %s of collection %s from Azure Firewall %s, or narrow it so that it no longer denies %s.", rule, c.Name, f.Name, strings.Join(hosts, ", "))}
	var body object
	if json.Unmarshal(c.GroupRaw, &body) != nil {
		return out
	}
	delete(body, "etag")
	props, _ := body["properties"].(map[string]any)
	key, kind := "ruleCollections", "application-rule"
	if classic {
		key = "applicationRuleCollections"
		if pass.Layer == "NetworkRule" {
			key, kind = "networkRuleCollections", "network-rule"
		}
	}
	if !withoutRule(props, key, c.Name, rule) {
		return out
	}
	out.Changes = []diagnosis.Change{put(c.GroupID, inventory.APINetwork, body)}
	if classic {
		out.Commands = []string{az("network", "firewall", kind, "delete", "-g", group(f.ID), "--firewall-name", f.Name, "--collection-name", c.Name, "-n", rule)}
	} else {
		out.Commands = []string{az("network", "firewall", "policy", "rule-collection-group", "collection", "rule", "remove", "-g", group(f.PolicyID), "--policy-name", inventory.Segment(f.PolicyID, "firewallPolicies"),
			"--rule-collection-group-name", inventory.Segment(c.GroupID, "ruleCollectionGroups"), "--collection-name", c.Name, "-n", rule)}
	}
	return out
}

// withoutRule takes a rule out of a collection, and the collection out of its
// list if it holds no other.
func withoutRule(props map[string]any, key, collection, rule string) bool {
	list, _ := props[key].([]any)
	for i, raw := range list {
		entry, _ := raw.(map[string]any)
		if entry["name"] != collection {
			continue
		}
		inner := entry
		if p, ok := entry["properties"].(map[string]any); ok {
			inner = p
		}
		rules, _ := inner["rules"].([]any)
		left := slices.DeleteFunc(slices.Clone(rules), func(r any) bool {
			m, _ := r.(map[string]any)
			return m["name"] == rule
		})
		if len(left) == len(rules) {
			return false
		}
		inner["rules"] = left
		if len(left) == 0 {
			props[key] = slices.Delete(slices.Clone(list), i, i+1)
		}
		return true
	}
	return false
}
