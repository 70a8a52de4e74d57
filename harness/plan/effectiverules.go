package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/acrlab/acrlab/harness/state"
)

// EffectiveRule is a security rule with its tags expanded, as `az network nic
// list-effective-nsg` shows it. A nil list means any.
type EffectiveRule struct {
	Name        string         `json:"name"`
	Priority    int            `json:"priority"`
	Direction   string         `json:"direction"`
	Allow       bool           `json:"allow"`
	Protocol    string         `json:"protocol,omitempty"` // tcp, udp, icmp or empty for any
	Source      []netip.Prefix `json:"source,omitempty"`
	Destination []netip.Prefix `json:"destination,omitempty"`
	Ports       []PortRange    `json:"ports,omitempty"`
}

// EffectiveSecurityRules are the rules of the subnet's network security group
// in the order in which they are tried, inbound before outbound, with the
// default rules. Rules that can match nothing in the simulation (IPv6 only,
// a tag without simulated addresses) are left out. Without a group there are
// none, and everything passes.
func EffectiveSecurityRules(in Input, subnetID string) ([]EffectiveRule, error) {
	w, err := read(in)
	if err != nil {
		return nil, err
	}
	s := w.subnets[state.Key(subnetID)]
	if s == nil {
		return nil, fmt.Errorf("there is no subnet %s", subnetID)
	}
	if s.group == "" {
		return nil, nil
	}
	return w.securityRules(s.group, s)
}

func (w *world) securityRules(group string, s *subnet) ([]EffectiveRule, error) {
	g := w.groups[group]
	virtual, err := w.virtualNetworkTag(s)
	if err != nil {
		return nil, err
	}
	var out []EffectiveRule
	for _, r := range append(slices.Clone(g.Properties.SecurityRules), state.DefaultSecurityRules()...) {
		e, ok, err := effective(r, virtual)
		if err != nil {
			return nil, fmt.Errorf("network security group %s: rule %s: %w", g.Name, r.Name, err)
		}
		if ok {
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b EffectiveRule) int {
		if a.Direction != b.Direction {
			return strings.Compare(a.Direction, b.Direction)
		}
		return a.Priority - b.Priority
	})
	return out, nil
}

func effective(r state.SecurityRule, virtual []netip.Prefix) (e EffectiveRule, ok bool, err error) {
	p := r.Properties
	e = EffectiveRule{Name: r.Name, Priority: p.Priority, Allow: strings.EqualFold(p.Access, "Allow")}
	switch strings.ToLower(p.Direction) {
	case "inbound":
		e.Direction = "Inbound"
	case "outbound":
		e.Direction = "Outbound"
	default:
		return e, false, fmt.Errorf("unknown direction %q", p.Direction)
	}
	switch protocol := strings.ToLower(p.Protocol); protocol {
	case "*", "", "any":
	case "tcp", "udp", "icmp":
		e.Protocol = protocol
	case "esp", "ah":
		return e, false, nil // no such packets here
	default:
		return e, false, fmt.Errorf("unknown protocol %q", p.Protocol)
	}
	for _, ports := range p.SourcePorts() {
		if ports != "*" && ports != "0-65535" && ports != "" {
			return e, false, fmt.Errorf("source port range %q: the simulation knows only *", ports)
		}
	}
	var some bool
	if e.Source, some, err = addressList(p.Sources(), virtual); err != nil || !some {
		return e, false, err
	}
	if e.Destination, some, err = addressList(p.Destinations(), virtual); err != nil || !some {
		return e, false, err
	}
	e.Ports, err = portRanges(p.DestinationPorts())
	return e, err == nil, err
}

// addressList expands prefixes and tags. nil and true is any address; false is
// none.
func addressList(list []string, virtual []netip.Prefix) (out []netip.Prefix, some bool, err error) {
	if len(list) == 0 {
		return nil, true, nil
	}
	for _, s := range list {
		switch strings.ToLower(strings.TrimSpace(s)) {
		case "*", "any", "0.0.0.0/0":
			return nil, true, nil
		case "virtualnetwork":
			out = append(out, virtual...)
			continue
		case "internet":
			out = append(out, internetTag()...)
			continue
		}
		if p, ok, perr := parsePrefix(s); perr == nil {
			if ok {
				out = append(out, p)
			}
			continue
		}
		tag, terr := ServiceTag(s)
		if terr != nil {
			return nil, false, fmt.Errorf("%q is neither an address, a CIDR block nor a known service tag", s)
		}
		out = append(out, tag...)
	}
	out = normal(out)
	if len(out) == 1 && out[0] == everything {
		return nil, true, nil
	}
	return out, len(out) > 0, nil
}

// virtualNetworkTag is the tag VirtualNetwork as seen from a subnet: the
// network, its peers, what lies behind its gateway, the platform's virtual
// address and the prefixes of the subnet's user-defined routes.
// https://learn.microsoft.com/azure/virtual-network/service-tags-overview#available-service-tags
func (w *world) virtualNetworkTag(s *subnet) ([]netip.Prefix, error) {
	list := slices.Clone(s.network.prefixes)
	for _, n := range w.peers(s.network) {
		list = append(list, n.prefixes...)
	}
	list = append(list, s.network.onPremises...)
	list = append(list, host(platformDNS))
	user, _, err := w.userRoutes(s)
	if err != nil {
		return nil, err
	}
	for _, r := range user {
		list = append(list, r.AddressPrefix)
	}
	return normal(list), nil
}

// internetTag is the public address space, Azure's included.
func internetTag() []netip.Prefix {
	return complement(append(slices.Clone(privateRanges), host(platformDNS),
		netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("127.0.0.0/8"),
		netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("240.0.0.0/4")))
}

// portRanges reads "443", "1-100" and "*". nil is any.
func portRanges(list []string) ([]PortRange, error) {
	var out []PortRange
	for _, s := range list {
		for _, part := range strings.Split(s, ",") {
			part = strings.TrimSpace(part)
			if part == "*" || part == "" || part == "0-65535" {
				return nil, nil
			}
			first, last, ranged := strings.Cut(part, "-")
			if !ranged {
				last = first
			}
			a, aerr := strconv.ParseUint(strings.TrimSpace(first), 10, 16)
			b, berr := strconv.ParseUint(strings.TrimSpace(last), 10, 16)
			if aerr != nil || berr != nil || a > b {
				return nil, fmt.Errorf("%q is not a port range", part)
			}
			out = append(out, PortRange{uint16(a), uint16(b)})
		}
	}
	return out, nil
}

func holdsPort(ranges []PortRange, port uint16) bool {
	return len(ranges) == 0 || slices.ContainsFunc(ranges, func(r PortRange) bool { return r.First <= port && port <= r.Last })
}
