package inventory

import (
	"net/netip"
	"strings"
)

// Passage is how an Azure Firewall decides on a connection.
type Passage struct {
	Allow bool
	// By is the rule that matched, "collection/rule"; empty for the default
	// action, which denies.
	By string
	// Layer is network or application: where the decision fell. A denial by
	// default falls after the ClientHello if the firewall has any application
	// rule for the port.
	Layer string
}

// Pass evaluates the rules for a TLS connection: network rules before
// application rules, each by priority, deny by default
// (https://learn.microsoft.com/azure/firewall/rule-processing).
func (f *Firewall) Pass(name string, flow Flow) Passage {
	for _, layer := range []string{"NetworkRule", "ApplicationRule"} {
		for _, c := range f.Collections {
			for _, r := range c.Rules {
				if r.Type != layer || !firewallSource(r.Sources, flow.Source) {
					continue
				}
				hit := layer == "ApplicationRule" && r.matchesName(name) || layer == "NetworkRule" && r.matchesFlow(name, flow)
				if hit {
					return Passage{Allow: strings.EqualFold(c.Action, "Allow"), By: c.Name + "/" + r.Name, Layer: layer}
				}
			}
		}
	}
	return Passage{Layer: "default"}
}

// HasApplicationRules says whether TLS is taken up to the ClientHello at all.
func (f *Firewall) HasApplicationRules() bool {
	for _, c := range f.Collections {
		for _, r := range c.Rules {
			if r.Type == "ApplicationRule" {
				return true
			}
		}
	}
	return false
}

func (r *FirewallRule) matchesName(name string) bool {
	for _, t := range r.TargetFQDNs {
		if MatchesFQDN(t, name) {
			return true
		}
	}
	return false
}

func (r *FirewallRule) matchesFlow(name string, flow Flow) bool {
	if len(r.Protocols) > 0 && !containsFold(r.Protocols, "TCP") && !containsFold(r.Protocols, "Any") {
		return false
	}
	if !portMatches(r.Ports, flow.Port) {
		return false
	}
	for _, d := range r.Destinations {
		if d == "*" || tagCovers(d, flow.DestinationTags) == yes {
			return true
		}
		if p, ok := ParsePrefix(d); ok && p.Contains(flow.Destination.Unmap()) {
			return true
		}
	}
	for _, d := range r.DestinationFQDNs {
		if strings.EqualFold(d, name) {
			return true
		}
	}
	return false
}

// MatchesFQDN matches a name against an entry of targetFqdns: exact, "*" or
// with a leading asterisk, which covers any number of labels.
func MatchesFQDN(pattern, name string) bool {
	pattern, name = strings.ToLower(pattern), strings.ToLower(name)
	if pattern == "*" {
		return true
	}
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasSuffix(name, suffix)
	}
	return pattern == name
}

func firewallSource(sources []string, a netip.Addr) bool {
	if len(sources) == 0 || !a.IsValid() {
		return true
	}
	for _, s := range sources {
		if s == "*" {
			return true
		}
		if p, ok := ParsePrefix(s); ok && p.Contains(a.Unmap()) {
			return true
		}
	}
	return false
}

func containsFold(list []string, s string) bool {
	for _, l := range list {
		if strings.EqualFold(l, s) {
			return true
		}
	}
	return false
}
