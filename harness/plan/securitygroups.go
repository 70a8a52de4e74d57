package plan

import (
	"encoding/json"
	"fmt"
	"slices"
)

// securityGroups writes network security groups into the router's filter. A
// packet must pass the outbound rules where it comes in and the inbound rules
// where it goes out.
func (b *builder) securityGroups(h *Host) error {
	type group struct {
		key, direction, rules string
		rule                  FilterRule
	}
	var groups []*group
	names := map[string]bool{}
	for _, p := range b.ports {
		if len(p.addresses) == 0 {
			continue
		}
		for _, key := range p.groups {
			rules, err := b.securityRules(key, p.subnet)
			if err != nil {
				return err
			}
			for _, direction := range []string{"Outbound", "Inbound"} {
				list := filterRules("nsg-"+b.groups[key].Name+"-", rules, direction)
				text, err := json.Marshal(list)
				if err != nil {
					return fmt.Errorf("comparing rules of %s: %w", b.groups[key].Name, err)
				}
				// One group serves all interfaces for which it means the same:
				// VirtualNetwork is not the same everywhere.
				i := slices.IndexFunc(groups, func(g *group) bool { return g.key == key && g.direction == direction && g.rules == string(text) })
				if i < 0 {
					i = len(groups)
					g := &group{key: key, direction: direction, rules: string(text)}
					g.rule = FilterRule{Name: "nsg-" + b.groups[key].Name + "/" + direction, Group: list,
						Why: "network security group " + b.groups[key].Name + ", " + direction}
					if names[g.rule.Name] {
						rename(&g.rule, "@"+p.subnet.network.name+"/"+p.subnet.name)
					}
					names[g.rule.Name] = true
					groups = append(groups, g)
				}
				if m := &groups[i].rule.Match; direction == "Outbound" {
					m.In = append(m.In, p.iface)
				} else {
					m.Out = append(m.Out, p.iface)
				}
			}
		}
	}
	for _, g := range groups {
		h.Filter = append(h.Filter, g.rule)
	}
	return nil
}

func rename(r *FilterRule, suffix string) {
	r.Name += suffix
	for i := range r.Group {
		r.Group[i].Name += suffix
	}
}

func filterRules(prefix string, rules []EffectiveRule, direction string) []FilterRule {
	var out []FilterRule
	for _, r := range rules {
		if r.Direction != direction {
			continue
		}
		verdict := Drop
		if r.Allow {
			verdict = Accept
		}
		out = append(out, withPorts(FilterRule{
			Name: prefix + r.Name, Verdict: verdict, Why: fmt.Sprintf("priority %d", r.Priority),
			Match: Match{Source: r.Source, Destination: r.Destination, Protocol: r.Protocol, Ports: r.Ports},
		})...)
	}
	return out
}

// withPorts splits a rule with ports and no protocol, since ports belong to a
// protocol. The name goes to the TCP half.
func withPorts(r FilterRule) []FilterRule {
	if len(r.Match.Ports) == 0 || r.Match.Protocol != "" {
		return []FilterRule{r}
	}
	udp := r
	r.Match.Protocol = "tcp"
	udp.Name, udp.Match.Protocol = r.Name+"-udp", "udp"
	return []FilterRule{r, udp}
}
