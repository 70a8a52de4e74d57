package infer

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/diagnoser/probe"
	"github.com/acrlab/acrlab/diagnosis"
)

// name is what every resolver says of one name.
type name struct {
	host string
	// effective is the answer that a client here goes by: the hosts file, then
	// the first configured resolver that gives one.
	effective     *probe.Lookup
	hosts         *probe.Lookup
	configured    []*probe.Lookup
	azure, public *probe.Lookup
}

// class of an answer.
type class string

const (
	private class = "private"
	public  class = "public"
	absent  class = "absent" // NXDOMAIN or no addresses
	failed  class = "failed" // no answer, or one that says nothing
	unasked class = "unasked"
)

func (s *scene) name(host string) name {
	n := name{host: host}
	for i := range s.r.Lookups {
		l := &s.r.Lookups[i]
		if !strings.EqualFold(strings.TrimSuffix(l.Name, "."), host) {
			continue
		}
		switch l.Kind {
		case probe.HostsFile:
			if len(l.Addrs) > 0 {
				n.hosts = l
			}
		case probe.Configured:
			n.configured = append(n.configured, l)
		case probe.AzureDNS:
			n.azure = l
		case probe.PublicDNS:
			if n.public == nil || n.public.RCode != probe.NoError && s.class(l) != failed {
				n.public = l
			}
		}
	}
	// Answers arrive in any order; clients ask in that of resolv.conf.
	slices.SortStableFunc(n.configured, func(a, b *probe.Lookup) int {
		return slices.Index(s.r.Vantage.Resolvers, a.Resolver) - slices.Index(s.r.Vantage.Resolvers, b.Resolver)
	})
	// A configured 168.63.129.16 is Azure's view as well.
	for _, l := range n.configured {
		if n.azure == nil && l.Resolver == azureDNS {
			n.azure = l
		}
	}
	switch {
	case n.hosts != nil:
		n.effective = n.hosts
	default:
		for _, l := range n.configured {
			if s.class(l) != failed {
				n.effective = l
				break
			}
		}
		if n.effective == nil && len(n.configured) > 0 {
			n.effective = n.configured[0]
		}
	}
	return n
}

var azureDNS = netip.MustParseAddr("168.63.129.16")

func (s *scene) class(l *probe.Lookup) class {
	if l == nil {
		return unasked
	}
	switch l.RCode {
	case probe.NXDomain, probe.NoData:
		return absent
	case probe.NoError, "":
		if len(l.Addrs) == 0 {
			return absent
		}
	default:
		return failed
	}
	if slices.ContainsFunc(l.Addrs, s.isPrivate) {
		return private
	}
	return public
}

// isPrivate: RFC 1918 and its kin, or an address of a virtual network, which
// may hold any.
func (s *scene) isPrivate(a netip.Addr) bool {
	if a.IsPrivate() {
		return true
	}
	if s.inv == nil {
		return false
	}
	for i := range s.inv.Endpoints {
		if s.inv.Endpoints[i].Has(a) {
			return true
		}
	}
	for i := range s.inv.Networks {
		for _, p := range s.inv.Networks[i].Prefixes {
			if p.Contains(a.Unmap()) {
				return true
			}
		}
	}
	return false
}

func linked(l *probe.Lookup) bool {
	return l != nil && slices.ContainsFunc(l.Chain, func(c probe.CNAME) bool {
		return strings.Contains(strings.ToLower(c.Target), ".privatelink.") || strings.Contains(strings.ToLower(c.Name), ".privatelink.")
	})
}

// hasEndpoint: some resolver shows the privatelink alias, so a private
// endpoint exists (or existed) somewhere.
func (n name) hasEndpoint() bool {
	return linked(n.azure) || linked(n.public) || slices.ContainsFunc(n.configured, linked)
}

// custom says that the configured resolver is not Azure's own.
func (n name) custom() bool {
	return n.effective != nil && n.effective.Kind == probe.Configured && n.effective.Resolver != azureDNS
}

// allFailed says that no configured resolver answered.
func (s *scene) allFailed(n name) bool {
	if n.hosts != nil || len(n.configured) == 0 {
		return false
	}
	return !slices.ContainsFunc(n.configured, func(l *probe.Lookup) bool { return s.class(l) != failed })
}

// othersResolve says whether the configured resolvers gave any other name.
func (s *scene) othersResolve(host string) (asked, answered bool) {
	for i := range s.r.Lookups {
		l := &s.r.Lookups[i]
		if l.Kind != probe.Configured || strings.EqualFold(l.Name, host) || strings.HasSuffix(l.Name, "."+s.suffix()) {
			continue
		}
		asked = true
		answered = answered || s.class(l) != failed
	}
	return asked, answered
}

func resolverName(l *probe.Lookup) string {
	switch {
	case l.Kind == probe.HostsFile:
		return "the hosts file"
	case l.Resolver == azureDNS:
		return "Azure DNS 168.63.129.16"
	case l.Kind == probe.PublicDNS:
		return "public resolver " + l.Resolver.String()
	case l.Kind == probe.Configured:
		return "configured resolver " + l.Resolver.String()
	}
	return "resolver " + l.Resolver.String()
}

// answerText is an answer on one line.
func answerText(l *probe.Lookup) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", resolverName(l), l.Name)
	for _, c := range l.Chain {
		fmt.Fprintf(&b, " -> %s", c.Target)
	}
	switch l.RCode {
	case probe.NoError, "":
		if len(l.Addrs) == 0 {
			b.WriteString(": no address")
			break
		}
		b.WriteString(" ->")
		for i, a := range l.Addrs {
			if i > 0 {
				b.WriteString(",")
			}
			b.WriteString(" " + a.String())
		}
		if l.Kind != probe.HostsFile {
			fmt.Fprintf(&b, " (TTL %d s)", l.TTL)
		}
	case probe.Timeout:
		fmt.Fprintf(&b, ": no answer in %s", seconds(l.Took))
	default:
		fmt.Fprintf(&b, ": %s", l.RCode)
		if l.RCode == probe.OtherCode || l.RCode == probe.Garbled || l.RCode == probe.Unreachable {
			if l.Err != "" {
				fmt.Fprintf(&b, " (%s)", l.Err)
			}
		}
	}
	return b.String()
}

func dnsEvidence(l *probe.Lookup, means string) diagnosis.Evidence {
	return diagnosis.Evidence{Probe: "dns", Saw: answerText(l), Means: means}
}

// The registry prints the address that it refuses, sometimes with its quotes
// escaped for JSON.
var deniedPattern = regexp.MustCompile(`client with IP (?:'|\\u0027)?([0-9a-fA-F:.]+)`)

func deniedIn(body string) (netip.Addr, bool) {
	m := deniedPattern.FindStringSubmatch(body)
	if m == nil || !strings.Contains(body, "DENIED") {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(strings.TrimRight(m[1], "."))
	if err != nil {
		return netip.Addr{}, true
	}
	return a, true
}
