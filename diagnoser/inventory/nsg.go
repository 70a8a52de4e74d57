package inventory

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Direction of a packet as a network security group sees it.
type Direction string

// The directions.
const (
	Inbound  Direction = "Inbound"
	Outbound Direction = "Outbound"
)

// Flow is the first packet of a TCP connection.
type Flow struct {
	Source      netip.Addr
	Destination netip.Addr
	Port        uint16
	// DestinationTags are service tags that are known to cover the
	// destination ("AzureContainerRegistry" for a login server's public address).
	DestinationTags []string
}

// Ruling is how a network security group decides on a flow.
type Ruling struct {
	Group *SecurityGroup
	// Rule is nil when no rule matched (a group without default rules).
	Rule  *SecurityRule
	Allow bool
	// Unsure says that a rule above could match by a service tag or an
	// application security group whose members are not known here.
	Unsure string
}

// Decide evaluates a group for a flow: rules by priority, first match decides,
// the default rules after the others
// (https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview).
func (i *Inventory) Decide(g *SecurityGroup, d Direction, f Flow, in *VirtualNetwork) Ruling {
	out := Ruling{Group: g}
	rules := make([]*SecurityRule, 0, len(g.Rules)+6)
	hasDefaults := false
	for k := range g.Rules {
		rules = append(rules, &g.Rules[k])
		hasDefaults = hasDefaults || g.Rules[k].Default
	}
	if !hasDefaults {
		for k := range defaultRules {
			rules = append(rules, &defaultRules[k])
		}
	}
	slices.SortStableFunc(rules, func(a, b *SecurityRule) int { return cmp.Compare(a.Priority, b.Priority) })
	for _, r := range rules {
		if !strings.EqualFold(r.Direction, string(d)) {
			continue
		}
		switch i.matches(r, f, in) {
		case yes:
			out.Rule, out.Allow = r, strings.EqualFold(r.Access, "Allow")
			return out
		case maybe:
			if out.Unsure == "" {
				out.Unsure = "rule " + r.Name + " may match by a tag or group whose members are not known"
			}
		}
	}
	return out
}

// The rules that every group has
// (https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview#default-security-rules).
var defaultRules = []SecurityRule{
	defaultRule("AllowVnetInBound", 65000, "Inbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
	defaultRule("AllowAzureLoadBalancerInBound", 65001, "Inbound", "Allow", "AzureLoadBalancer", "*"),
	defaultRule("DenyAllInBound", 65500, "Inbound", "Deny", "*", "*"),
	defaultRule("AllowVnetOutBound", 65000, "Outbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
	defaultRule("AllowInternetOutBound", 65001, "Outbound", "Allow", "*", "Internet"),
	defaultRule("DenyAllOutBound", 65500, "Outbound", "Deny", "*", "*"),
}

func defaultRule(name string, priority int, direction, access, from, to string) SecurityRule {
	return SecurityRule{Name: name, Priority: priority, Direction: direction, Access: access, Protocol: "*",
		Sources: []string{from}, Destinations: []string{to}, DestinationPorts: []string{"*"}, Default: true}
}

// answer of a match: a tag that is not known leaves it open.
type answer int

const (
	no answer = iota
	maybe
	yes
)

func (i *Inventory) matches(r *SecurityRule, f Flow, in *VirtualNetwork) answer {
	if r.Protocol != "" && r.Protocol != "*" && !strings.EqualFold(r.Protocol, "tcp") {
		return no
	}
	if !portMatches(r.DestinationPorts, f.Port) {
		return no
	}
	src := i.anyMatches(r.Sources, f.Source, nil, in)
	if r.SourceGroups && src == no {
		src = maybe
	}
	dst := i.anyMatches(r.Destinations, f.Destination, f.DestinationTags, in)
	if r.DestinationGroups && dst == no {
		dst = maybe
	}
	out := min(src, dst)
	if out == yes && r.SourcePortRestricted {
		return maybe
	}
	return out
}

func (i *Inventory) anyMatches(prefixes []string, a netip.Addr, tags []string, in *VirtualNetwork) answer {
	best := no
	for _, p := range prefixes {
		best = max(best, i.prefixMatches(p, a, tags, in))
	}
	return best
}

// prefixMatches says whether "10.0.0.0/8", "*", "VirtualNetwork", "Internet" or
// another service tag covers an address.
func (i *Inventory) prefixMatches(p string, a netip.Addr, tags []string, in *VirtualNetwork) answer {
	if p == "*" || strings.EqualFold(p, "Any") {
		return yes
	}
	if pre, ok := ParsePrefix(p); ok {
		return boolean(pre.Contains(a.Unmap()))
	}
	switch {
	case strings.EqualFold(p, "VirtualNetwork"):
		return boolean(i.inVirtualNetwork(a, in))
	case strings.EqualFold(p, "Internet"):
		return boolean(!i.inVirtualNetwork(a, in) && !a.IsPrivate())
	case strings.EqualFold(p, "AzureLoadBalancer"):
		return boolean(a == netip.MustParseAddr("168.63.129.16"))
	}
	if a := regional(p, tags); a != no {
		return a
	}
	if a.IsPrivate() {
		return no // the remaining tags are of public addresses
	}
	if strings.EqualFold(p, "AzureCloud") {
		return boolean(len(tags) > 0)
	}
	if len(p) > 11 && strings.EqualFold(p[:11], "AzureCloud.") && len(tags) > 0 {
		return maybe
	}
	if len(tags) > 0 {
		return no // the tags of the destination are known and this is none of them
	}
	return maybe
}

// inVirtualNetwork is the service tag VirtualNetwork: the network's own space,
// that of connected peers and, with a gateway, private space beyond it.
func (i *Inventory) inVirtualNetwork(a netip.Addr, in *VirtualNetwork) bool {
	if in == nil {
		return a.IsPrivate()
	}
	a = a.Unmap()
	if contains(in.Prefixes, a) {
		return true
	}
	for _, p := range in.Peerings {
		if n := i.Network(p.RemoteID); n != nil && strings.EqualFold(p.State, "Connected") && contains(n.Prefixes, a) {
			return true
		}
	}
	return i.reachesGateway(in) && a.IsPrivate()
}

func (i *Inventory) reachesGateway(n *VirtualNetwork) bool {
	return slices.ContainsFunc(i.GatewayNetworks, func(id string) bool {
		return SameID(id, n.ID) || slices.ContainsFunc(n.Peerings, func(p Peering) bool { return SameID(id, p.RemoteID) })
	})
}

func contains(ps []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(ps, func(p netip.Prefix) bool { return p.Contains(a) })
}

// regional matches a service tag against those that are known to cover an
// address. "AzureContainerRegistry.EastUS" may or may not be the region in use,
// unless the known tags name the region.
func regional(p string, tags []string) answer {
	if containsFold(tags, p) {
		return yes
	}
	base, _, isRegional := strings.Cut(p, ".")
	if !isRegional || !containsFold(tags, base) {
		return no
	}
	for _, t := range tags {
		if b, _, ok := strings.Cut(t, "."); ok && strings.EqualFold(b, base) {
			return no // the region is known, and this is another
		}
	}
	return maybe
}

func boolean(b bool) answer {
	if b {
		return yes
	}
	return no
}

// ParsePrefix reads a CIDR block or a single address.
func ParsePrefix(s string) (netip.Prefix, bool) {
	s = strings.TrimSpace(s)
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), true
	}
	if a, err := netip.ParseAddr(s); err == nil {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	return netip.Prefix{}, false
}

// portMatches reads "443", "1-1024" and "*".
func portMatches(ranges []string, port uint16) bool {
	for _, r := range ranges {
		if r == "*" || strings.EqualFold(r, "Any") {
			return true
		}
		first, last, isRange := strings.Cut(r, "-")
		if !isRange {
			last = first
		}
		lo, err1 := strconv.ParseUint(strings.TrimSpace(first), 10, 16)
		hi, err2 := strconv.ParseUint(strings.TrimSpace(last), 10, 16)
		if err1 == nil && err2 == nil && uint64(port) >= lo && uint64(port) <= hi {
			return true
		}
	}
	return false
}
