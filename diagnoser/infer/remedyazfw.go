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

// newPriority comes before the collection's own.
func newPriority(c *inventory.RuleCollection) int {
	own := c.Priority % 100000
	return max(100, own-1)
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
	fresh := any(applicationCollection(newPriority(c), hosts))
	if classic {
		fresh = object{"name": "AllowContainerRegistry", "properties": object{"priority": newPriority(c), "action": object{"type": "Allow"},
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
