package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/fakes/dns"
	"github.com/acrlab/acrlab/harness/state"
)

// zone is a private DNS zone with the networks that see it.
type zone struct {
	name    string
	records []dns.Record
	// links maps a network's key to whether the zone falls back to public
	// resolution for it.
	links map[string]bool
}

func (w *world) readZones() error {
	zones, err := state.PrivateDNSZones(w.in.State)
	if err != nil {
		return err
	}
	records, err := state.ARecords(w.in.State)
	if err != nil {
		return err
	}
	links, err := state.VirtualNetworkLinks(w.in.State)
	if err != nil {
		return err
	}
	for _, z := range zones {
		out := zone{name: strings.ToLower(strings.TrimSuffix(z.Name, ".")), links: map[string]bool{}}
		for _, r := range records {
			if state.Key(state.Parent(r.ID)) != state.Key(z.ID) {
				continue
			}
			name := strings.ToLower(r.Name) + "." + out.name
			if r.Name == "@" {
				name = out.name
			}
			for _, v := range r.Properties.ARecords {
				a, err := netip.ParseAddr(v.IPv4Address)
				if err != nil {
					return fmt.Errorf("private DNS zone %s: record %s: %q is not an address", z.Name, r.Name, v.IPv4Address)
				}
				out.records = append(out.records, dns.Record{Name: name, TTL: r.Properties.TTL, A: a.Unmap()})
			}
		}
		for _, l := range links {
			if state.Key(state.Parent(l.ID)) == state.Key(z.ID) {
				key := state.Key(l.Properties.VirtualNetwork.ID)
				out.links[key] = out.links[key] || strings.EqualFold(l.Properties.ResolutionPolicy, "NxDomainRedirect")
			}
		}
		w.zones = append(w.zones, out)
	}
	return nil
}

// zonesOf are the private zones that a network sees, by name.
func (w *world) zonesOf(n *network) []dns.Zone {
	var out []dns.Zone
	for _, z := range w.zones {
		if fallback, linked := z.links[n.key]; linked {
			out = append(out, dns.Zone{Name: z.name, Records: z.records, Fallback: fallback})
		}
	}
	slices.SortStableFunc(out, func(a, b dns.Zone) int { return strings.Compare(a.Name, b.Name) })
	return out
}
