package arm

import (
	"cmp"
	"context"
	"encoding/json"
	"net/netip"
	"slices"

	"github.com/acrlab/acrlab/diagnoser/inventory"
)

type firewallJSON struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Properties struct {
		Policy           *reference `json:"firewallPolicy"`
		IPConfigurations []struct {
			Properties struct {
				PrivateIP string     `json:"privateIPAddress"`
				Subnet    *reference `json:"subnet"`
			} `json:"properties"`
		} `json:"ipConfigurations"`
		Application []classicJSON `json:"applicationRuleCollections"`
		Network     []classicJSON `json:"networkRuleCollections"`
	} `json:"properties"`
}

// classicJSON is a rule collection inside a firewall without a policy.
type classicJSON struct {
	Name       string `json:"name"`
	Properties struct {
		Priority int `json:"priority"`
		Action   struct {
			Type string `json:"type"`
		} `json:"action"`
		Rules []firewallRuleJSON `json:"rules"`
	} `json:"properties"`
}

type collectionJSON struct {
	Name     string `json:"name"`
	Priority int    `json:"priority"`
	Action   struct {
		Type string `json:"type"`
	} `json:"action"`
	Rules []firewallRuleJSON `json:"rules"`
}

type firewallRuleJSON struct {
	Name         string   `json:"name"`
	Type         string   `json:"ruleType"`
	TargetFQDNs  []string `json:"targetFqdns"`
	FQDNTags     []string `json:"fqdnTags"`
	Sources      []string `json:"sourceAddresses"`
	Destinations []string `json:"destinationAddresses"`
	FQDNs        []string `json:"destinationFqdns"`
	Ports        []string `json:"destinationPorts"`
	IPProtocols  []string `json:"ipProtocols"`
	// Classic network rules call them protocols; application rules use the name
	// for something else.
	Protocols json.RawMessage `json:"protocols"`
}

func (r firewallRuleJSON) rule(kind string) inventory.FirewallRule {
	out := inventory.FirewallRule{Name: r.Name, Type: cmp.Or(r.Type, kind), TargetFQDNs: r.TargetFQDNs, FQDNTags: r.FQDNTags,
		Sources: r.Sources, Destinations: r.Destinations, DestinationFQDNs: r.FQDNs, Ports: r.Ports, Protocols: r.IPProtocols}
	if len(out.Protocols) == 0 && out.Type == "NetworkRule" && len(r.Protocols) > 0 {
		var names []string
		if json.Unmarshal(r.Protocols, &names) == nil {
			out.Protocols = names
		}
	}
	return out
}

// firewall reads one firewall's rules, its policy's and the parent policy's.
func (r *reader) firewall(ctx context.Context, raw json.RawMessage) (inventory.Firewall, error) {
	var j firewallJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return inventory.Firewall{}, err
	}
	out := inventory.Firewall{ID: j.ID, Name: j.Name, PolicyID: idOf(j.Properties.Policy)}
	for _, c := range j.Properties.IPConfigurations {
		if a, err := netip.ParseAddr(c.Properties.PrivateIP); err == nil {
			out.PrivateIP, out.SubnetID = a, idOf(c.Properties.Subnet)
			break
		}
	}
	classic := func(list []classicJSON, kind string) {
		for _, c := range list {
			col := inventory.RuleCollection{Name: c.Name, Priority: c.Properties.Priority, Action: c.Properties.Action.Type, GroupID: j.ID, GroupRaw: raw}
			for _, rule := range c.Properties.Rules {
				col.Rules = append(col.Rules, rule.rule(kind))
			}
			out.Collections = append(out.Collections, col)
		}
	}
	classic(j.Properties.Network, "NetworkRule")
	classic(j.Properties.Application, "ApplicationRule")
	// A policy's parent is evaluated first, whatever the priorities
	// (https://learn.microsoft.com/azure/firewall/rule-processing).
	id, seen := out.PolicyID, map[string]bool{}
	for depth := 0; id != "" && !seen[id]; depth++ {
		seen[id] = true
		cols, parent, err := r.policy(ctx, id)
		if err != nil {
			out.RulesErr = err.Error()
			break
		}
		for i := range cols {
			cols[i].Priority -= depth * 100000000
		}
		out.Collections = append(out.Collections, cols...)
		id = parent
	}
	slices.SortStableFunc(out.Collections, func(a, b inventory.RuleCollection) int { return cmp.Compare(a.Priority, b.Priority) })
	return out, nil
}

func (r *reader) policy(ctx context.Context, id string) ([]inventory.RuleCollection, string, error) {
	var p struct {
		Properties struct {
			Base *reference `json:"basePolicy"`
		} `json:"properties"`
	}
	if err := r.c.get(ctx, id, inventory.APINetwork, nil, &p); err != nil {
		return nil, "", err
	}
	groups, err := r.c.list(ctx, id+"/ruleCollectionGroups", inventory.APINetwork, nil)
	if err != nil {
		return nil, "", err
	}
	var out []inventory.RuleCollection
	for _, raw := range groups {
		var g struct {
			ID         string `json:"id"`
			Properties struct {
				Priority    int              `json:"priority"`
				Collections []collectionJSON `json:"ruleCollections"`
			} `json:"properties"`
		}
		if err := json.Unmarshal(raw, &g); err != nil {
			return nil, "", err
		}
		for _, c := range g.Properties.Collections {
			col := inventory.RuleCollection{Name: c.Name, Priority: g.Properties.Priority*100000 + c.Priority, Action: c.Action.Type, GroupID: g.ID, GroupRaw: raw}
			for _, rule := range c.Rules {
				col.Rules = append(col.Rules, rule.rule("ApplicationRule"))
			}
			out = append(out, col)
		}
	}
	return out, idOf(p.Properties.Base), nil
}
