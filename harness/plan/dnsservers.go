package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/fakes/dns"
)

// buildDNSServers gives the DNS machines of virtual networks their service.
// Beside their forwarders they resolve on their own, from the root.
func (b *builder) buildDNSServers() error {
	for _, name := range keys(b.in.DNSServers) {
		i := slices.IndexFunc(b.ports, func(p *port) bool { return p.host == "dns-"+name })
		if i < 0 {
			continue
		}
		p := b.ports[i]
		forward, err := forwarders(b.in.DNSServers[name].Forwarders)
		if err != nil {
			return fmt.Errorf("DNS server %s: %w", name, err)
		}
		c := &dns.Config{Records: b.publicRecords(), Forward: forward}
		if zones := b.geoZones(p.network().location); len(zones) > 0 {
			c.Views = []dns.View{{Source: []netip.Prefix{everything}, Zones: zones}}
		}
		b.hosts[p.host].serve(Service{Name: "dns", Listen: listen(53, p.addresses...), DNS: c})
	}
	return nil
}

// forwarders reads a map of suffixes to servers, longest suffix first.
func forwarders(m map[string]string) ([]dns.Forward, error) {
	var out []dns.Forward
	for _, suffix := range keys(m) {
		to, err := netip.ParseAddrPort(m[suffix])
		if err != nil {
			a, aerr := parseAddr(m[suffix])
			if aerr != nil {
				return nil, fmt.Errorf("reading the forwarder for %q: %w", suffix, aerr)
			}
			to = netip.AddrPortFrom(a, 53)
		}
		name := strings.ToLower(strings.Trim(suffix, "."))
		if name == "" {
			name = "."
		}
		out = append(out, dns.Forward{Suffix: name, To: to})
	}
	slices.SortStableFunc(out, func(x, y dns.Forward) int {
		if len(x.Suffix) != len(y.Suffix) {
			return len(y.Suffix) - len(x.Suffix)
		}
		return strings.Compare(x.Suffix, y.Suffix)
	})
	return out, nil
}
