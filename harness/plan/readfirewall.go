package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/harness/state"
)

// firewall is an Azure Firewall with the rules of its policy in the order in
// which they are tried.
type firewall struct {
	name        string
	subnet      *subnet
	address     netip.Addr
	public      netip.Addr // zero: none
	network     []policyRule
	application []policyRule
}

type policyRule struct {
	state.FirewallRule
	allow bool
}

func (w *world) readFirewalls() error {
	list, err := state.Firewalls(w.in.State)
	if err != nil {
		return err
	}
	groups, err := state.RuleCollectionGroups(w.in.State)
	if err != nil {
		return err
	}
	slices.SortStableFunc(groups, func(a, b state.RuleCollectionGroup) int { return a.Properties.Priority - b.Properties.Priority })
	for _, f := range list {
		if len(f.Properties.IPConfigurations) == 0 {
			continue // deallocated
		}
		p := f.Properties.IPConfigurations[0].Properties
		out := &firewall{name: f.Name}
		if out.subnet = w.subnets[state.Key(p.Subnet.ID)]; out.subnet == nil {
			return fmt.Errorf("azure firewall %s: there is no subnet %q", f.Name, p.Subnet.ID)
		}
		if out.address, err = parseAddr(p.PrivateIPAddress); err != nil {
			return fmt.Errorf("azure firewall %s: reading its private address: %w", f.Name, err)
		}
		if p.PublicIPAddress != nil {
			out.public = w.publicIPs[state.Key(p.PublicIPAddress.ID)]
		}
		if policy := f.Properties.FirewallPolicy; policy != nil {
			for _, g := range groups {
				if state.Key(state.Parent(g.ID)) == state.Key(policy.ID) {
					out.add(g.Properties.RuleCollections)
				}
			}
		}
		w.firewalls = append(w.firewalls, out)
	}
	return nil
}

// add appends a group's rules: collections by priority, rules as written.
// https://learn.microsoft.com/azure/firewall/rule-processing
func (f *firewall) add(collections []state.RuleCollection) {
	sorted := slices.Clone(collections)
	slices.SortStableFunc(sorted, func(a, b state.RuleCollection) int { return a.Priority - b.Priority })
	for _, c := range sorted {
		for _, r := range c.Rules {
			rule := policyRule{r, strings.EqualFold(c.Action.Type, "Allow")}
			switch {
			case strings.EqualFold(r.RuleType, "NetworkRule"):
				f.network = append(f.network, rule)
			case strings.EqualFold(r.RuleType, "ApplicationRule"):
				f.application = append(f.application, rule)
			}
		}
	}
}
