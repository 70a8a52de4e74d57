package state

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/diagnosis"
	"github.com/acrlab/acrlab/fakes/azure"
)

// AllowAtAzureFirewalls carries out an [diagnosis.Allow] at the Azure Firewalls
// of a state, for a client whose way out is one of them: their owner adds a
// rule before all others. It returns the rule collection groups as they are to
// be written; the state stays as it is.
//
// A name is allowed by an application rule. Since network rules are tried
// first, a policy that denies anything by a network rule gets one for the name,
// too; names with a wildcard are not possible there.
func AllowAtAzureFirewalls(s azure.State, a diagnosis.Allow) ([]azure.Resource, error) {
	if a.Device != diagnosis.Firewall {
		return nil, fmt.Errorf("allowing at the %s: an Azure Firewall is none", a.Device)
	}
	if len(a.Hosts) == 0 {
		return nil, fmt.Errorf("allowing at the Azure Firewall: no hosts are named")
	}
	firewalls, err := Firewalls(s)
	if err != nil {
		return nil, err
	}
	groups, err := RuleCollectionGroups(s)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(groups, func(x, y RuleCollectionGroup) int { return x.Properties.Priority - y.Properties.Priority })
	var out []azure.Resource
	for _, f := range firewalls {
		if f.Properties.FirewallPolicy == nil {
			continue
		}
		i := slices.IndexFunc(groups, func(g RuleCollectionGroup) bool {
			return Key(Parent(g.ID)) == Key(f.Properties.FirewallPolicy.ID)
		})
		if i < 0 {
			return nil, fmt.Errorf("allowing at the Azure Firewall %s: its policy has no rule collection group", f.Name)
		}
		r, err := prepend(s.Resources[Key(groups[i].ID)], groups[i].Properties, a)
		if err != nil {
			return nil, fmt.Errorf("allowing at the Azure Firewall %s: %w", f.Name, err)
		}
		if !slices.ContainsFunc(out, func(x azure.Resource) bool { return x.ID == r.ID }) {
			out = append(out, r)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("allowing at the firewall: there is no Azure Firewall with a policy")
	}
	return out, nil
}

// prepend adds collections in front of a group's, keeping keys that are not
// known here.
func prepend(r azure.Resource, known RuleCollectionGroupProperties, a diagnosis.Allow) (azure.Resource, error) {
	properties := object{}
	if err := unmarshal(r.Properties, &properties); err != nil {
		return r, fmt.Errorf("reading %s: %w", r.ID, err)
	}
	priority, deny := 101, false
	for _, c := range known.RuleCollections {
		priority = min(priority, c.Priority-1)
		deny = deny || strings.EqualFold(c.Action.Type, "Deny") && slices.ContainsFunc(c.Rules, func(x FirewallRule) bool {
			return strings.EqualFold(x.RuleType, "NetworkRule")
		})
	}
	port := a.Port
	if port == 0 {
		port = 443
	}
	name := "allow-" + strings.NewReplacer("*", "any", ".", "-").Replace(a.Hosts[0])
	collection := func(kind string, rule object) object {
		rule["name"], rule["sourceAddresses"], rule["ruleType"] = name+"-"+kind, []string{"*"}, kind
		return object{
			"ruleCollectionType": "FirewallPolicyFilterRuleCollection", "name": name + "-" + kind, "priority": priority,
			"action": object{"type": "Allow"}, "rules": []object{rule},
		}
	}
	added := []any{collection("ApplicationRule", object{
		"targetFqdns": a.Hosts, "protocols": []object{{"protocolType": "Https", "port": port}}, "terminateTLS": false,
	})}
	exact := slices.DeleteFunc(slices.Clone(a.Hosts), func(h string) bool { return strings.Contains(h, "*") })
	if deny && len(exact) > 0 {
		added = append(added, collection("NetworkRule", object{
			"destinationFqdns": exact, "destinationPorts": []string{fmt.Sprint(port)}, "ipProtocols": []string{"TCP"},
		}))
	}
	before, _ := properties["ruleCollections"].([]any)
	properties["ruleCollections"] = append(added, before...)
	raw, err := json.Marshal(properties)
	if err != nil {
		return r, fmt.Errorf("encoding %s: %w", r.ID, err)
	}
	r.Properties = raw
	return r, nil
}
