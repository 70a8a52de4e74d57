package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/fakes/middlebox"
	"github.com/acrlab/acrlab/harness/state"
)

// middleboxPort is where redirected connections arrive.
const middleboxPort = 8443

// buildFirewalls gives Azure Firewalls their rules: network rules first, then
// application rules for HTTP and HTTPS, and what none allows is denied.
// https://learn.microsoft.com/azure/firewall/rule-processing
func (b *builder) buildFirewalls() error {
	for _, f := range b.firewalls {
		if err := b.buildFirewall(f, b.hosts["firewall-"+f.name]); err != nil {
			return fmt.Errorf("azure firewall %s: %w", f.name, err)
		}
	}
	return nil
}

func (b *builder) buildFirewall(f *firewall, h *Host) error {
	h.Forward = true
	prefix := "fw-" + f.name + "-"
	var decided []netip.Prefix // destinations whose HTTPS network rules decide
	for _, r := range f.network {
		rules, err := b.networkRule(prefix, r, f.subnet.network)
		if err != nil {
			return fmt.Errorf("network rule %s: %w", r.Name, err)
		}
		for _, rule := range rules {
			h.Filter = append(h.Filter, rule)
			if m := rule.Match; (m.Protocol == "" || m.Protocol == "tcp") && holdsPort(m.Ports, 443) && (len(m.Source) == 0 || within(m.Source, b.site.client)) {
				if len(m.Destination) == 0 {
					m.Destination = []netip.Prefix{everything}
				}
				decided = append(decided, m.Destination...)
			}
		}
	}
	h.Filter = append(h.Filter, FilterRule{Name: prefix + "default", Verdict: Drop, Why: "no rule matched: denied"})

	if decided = normal(decided); len(decided) == 0 || decided[0] != everything {
		h.Redirect = []RedirectRule{{
			Name: prefix + "application", Port: middleboxPort,
			Match: Match{In: []string{machineInterface}, NotDest: append(hosts(f.address), decided...), Protocol: "tcp", Ports: []PortRange{{443, 443}, {80, 80}}},
		}}
		h.serve(Service{Name: "application-rules", Listen: listen(middleboxPort, netip.IPv4Unspecified()), Middlebox: applicationRules(f)})
	}
	if f.public.IsValid() {
		h.Loopback = append(h.Loopback, f.public)
		// Only destinations outside the private ranges are translated.
		// https://learn.microsoft.com/azure/firewall/snat-private-range
		h.NAT = append(h.NAT, NATRule{Match: Match{Out: []string{machineInterface}, NotDest: privateRanges}, To: f.public})
	}
	return nil
}

func (b *builder) networkRule(prefix string, r policyRule, n *network) ([]FilterRule, error) {
	destinations, some, err := addressList(r.DestinationAddresses, n.prefixes)
	if err != nil {
		return nil, err
	}
	for _, name := range r.DestinationFQDNs {
		destinations = append(destinations, hosts(b.resolve(name, n.location)...)...)
	}
	if !some && len(destinations) == 0 || len(r.DestinationAddresses) == 0 && len(r.DestinationFQDNs) > 0 && len(destinations) == 0 {
		return nil, nil // matches nothing
	}
	sources, some, err := addressList(r.SourceAddresses, n.prefixes)
	if err != nil || !some {
		return nil, err
	}
	ports, err := portRanges(r.DestinationPorts)
	if err != nil {
		return nil, err
	}
	verdict := Drop
	if r.allow {
		verdict = Accept
	}
	protocols := r.IPProtocols
	if len(protocols) == 0 {
		protocols = []string{"Any"}
	}
	var out []FilterRule
	for _, p := range protocols {
		rule := FilterRule{Name: prefix + r.Name, Verdict: verdict, Match: Match{Source: sources, Destination: destinations}}
		switch strings.ToUpper(p) {
		case "ANY":
			rule.Match.Ports = ports
		case "TCP", "UDP":
			rule.Match.Protocol, rule.Match.Ports = strings.ToLower(p), ports
		case "ICMP":
			rule.Match.Protocol = "icmp"
		default:
			return nil, fmt.Errorf("unknown protocol %q", p)
		}
		if len(out) > 0 {
			rule.Name += "-" + strings.ToLower(p)
		}
		out = append(out, withPorts(rule)...)
	}
	return out, nil
}

// applicationRules is the part of a firewall that reads names: it accepts the
// connection, reads the ClientHello and closes it when no rule allows the name
// (observed as EOF before any ServerHello). Cleartext HTTP gets status 470.
func applicationRules(f *firewall) *middlebox.Config {
	c := &middlebox.Config{Action: middlebox.Close, PlainHTTP: &middlebox.Page{
		Status: 470, Body: "Action: Deny. Reason: No rule matched. Proceeding with default action.",
	}}
	// The first rule that matches decides. What no rule allows is denied, so
	// that a rule that denies matters only for names that a later one allows.
	for i, r := range f.application {
		if !https(r) {
			continue
		}
		for _, name := range r.TargetFQDNs {
			name = strings.ToLower(name)
			switch {
			case r.allow && !slices.Contains(c.Block, name) && !slices.Contains(c.Allow, name):
				c.Allow = append(c.Allow, name)
			case !r.allow && !slices.Contains(c.Allow, name) && allowsLater(f.application[i+1:], name):
				c.Block = append(c.Block, name)
			}
		}
	}
	c.AllowNone = len(c.Allow) == 0
	return c
}

// allowsLater says whether one of the rules allows a name, or one that a
// pattern stands for.
func allowsLater(rules []policyRule, name string) bool {
	return slices.ContainsFunc(rules, func(r policyRule) bool {
		return r.allow && slices.ContainsFunc(r.TargetFQDNs, func(t string) bool {
			t = strings.ToLower(t)
			return covers(t, name) || covers(name, t)
		})
	})
}

// covers says whether a pattern ("*.azurecr.io", "*") holds a name or pattern.
func covers(pattern, name string) bool {
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasSuffix(name, suffix)
	}
	return pattern == name
}

func https(r policyRule) bool {
	return len(r.Protocols) == 0 || slices.ContainsFunc(r.Protocols, func(p state.ApplicationProtocol) bool {
		return strings.EqualFold(p.ProtocolType, "Https")
	})
}
