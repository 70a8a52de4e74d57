package infer

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/diagnoser/inventory"
	"github.com/acrlab/acrlab/diagnoser/probe"
	"github.com/acrlab/acrlab/diagnosis"
)

// remedyResolver points the client at resolvers that answer.
func remedyResolver(v *view) diagnosis.Remedy {
	if v.network != nil && v.hasServer(v.network) {
		return azureProvidedDNS(v.network, fmt.Sprintf("Take the dead DNS server %s out of virtual network %s, so that it uses Azure-provided DNS; or bring the server back. Running machines see the change when their DHCP lease is renewed.", resolverList(v.dns.configured), v.network.Name))
	}
	var alive []string
	for _, l := range []*probe.Lookup{v.dns.azure, v.dns.public} {
		if l != nil && v.class(l) != failed && l.Resolver.IsValid() && !slices.Contains(alive, l.Resolver.String()) {
			alive = append(alive, l.Resolver.String())
			break // one view of the world: mixing private and public answers is a fault of its own
		}
	}
	if v.r.Vantage.InAzureVNet != nil && *v.r.Vantage.InAzureVNet {
		return diagnosis.Remedy{
			Summary:  fmt.Sprintf("Bring the DNS server %s back, or set the virtual network to Azure-provided DNS.", resolverList(v.dns.configured)),
			Commands: []string{`az network vnet update -g GROUP -n VNET --dns-servers "[]"`},
		}
	}
	out := diagnosis.Remedy{Summary: fmt.Sprintf("Bring the resolver %s back, or configure one that answers.", resolverList(v.dns.configured))}
	if len(alive) > 0 {
		out.Summary = fmt.Sprintf("Bring the resolver %s back, or use %s, which answers from here.", resolverList(v.dns.configured), strings.Join(alive, ", "))
		out.Commands = []string{"printf 'nameserver " + alive[0] + "\\n' > /etc/resolv.conf"}
		out.Changes = []diagnosis.Change{{Resolver: &diagnosis.Resolver{Servers: alive}}}
	}
	return out
}

// hasServer: the network hands out a resolver that the client is configured with.
func (v *view) hasServer(n *inventory.VirtualNetwork) bool {
	return slices.ContainsFunc(v.dns.configured, func(l *probe.Lookup) bool { return slices.Contains(n.DNSServers, l.Resolver) })
}

// azureProvidedDNS empties dhcpOptions.dnsServers. The empty string that az's own
// help names is sent as an address, which Azure refuses
// (https://github.com/Azure/azure-cli/issues/28294); an empty list is not.
func azureProvidedDNS(n *inventory.VirtualNetwork, summary string) diagnosis.Remedy {
	out := diagnosis.Remedy{Summary: summary, Commands: []string{az("network", "vnet", "update", "-g", group(n.ID), "-n", n.Name, "--dns-servers", "[]")}}
	if body := withProperty(n.Raw, object{"dnsServers": []string{}}, "dhcpOptions"); body != nil {
		out.Changes = []diagnosis.Change{put(n.ID, inventory.APINetwork, body)}
	}
	return out
}

// withProperty is a resource as read with one property replaced; nil if the
// resource cannot be read as JSON.
func withProperty(raw json.RawMessage, value any, name string) object {
	var body object
	if len(raw) == 0 || json.Unmarshal(raw, &body) != nil {
		return nil
	}
	props, ok := body["properties"].(map[string]any)
	if !ok {
		props = object{}
	}
	props[name] = value
	body["properties"] = props
	delete(body, "etag")
	return body
}

func remedyCustomDNS(v *view) diagnosis.Remedy {
	server := v.dns.effective.Resolver
	text := fmt.Sprintf("Let the DNS server %s forward %s and %s to 168.63.129.16 (its own virtual network must be linked to the zone)", server, v.suffix(), v.zoneName())
	if v.network != nil && v.hasServer(v.network) {
		r := azureProvidedDNS(v.network, text+fmt.Sprintf("; or set virtual network %s to Azure-provided DNS, if nothing else needs the server.", v.network.Name))
		return r
	}
	return diagnosis.Remedy{Summary: text + "; or set the virtual network to Azure-provided DNS.", Commands: []string{`az network vnet update -g GROUP -n VNET --dns-servers "[]"`}}
}

func remedyNameWrong(v *view) diagnosis.Remedy {
	best := closest(v.host, registriesOf(v.inv))
	if best == "" {
		return diagnosis.Remedy{Summary: "Use the login server name that Azure shows for the registry.", Commands: []string{`az acr list --query "[].loginServer" --output tsv`}}
	}
	return diagnosis.Remedy{
		Summary:  "Use " + best + ".",
		Commands: []string{"docker login " + best},
		Changes:  []diagnosis.Change{{UseRegistry: best}},
	}
}

func registriesOf(inv *inventory.Inventory) []string {
	if inv == nil {
		return nil
	}
	out := slices.Clone(inv.Others)
	if inv.Registry != nil && inv.Registry.LoginServer != "" {
		out = append(out, inv.Registry.LoginServer)
	}
	return out
}

// closest is the name with the smallest edit distance. A name that shares
// hardly anything is no suggestion.
func closest(host string, names []string) string {
	best, distance := "", len(host)/2+1
	for _, n := range names {
		if d := editDistance(strings.ToLower(host), strings.ToLower(n)); d < distance {
			best, distance = n, d
		}
	}
	return best
}

// editDistance is Levenshtein's, two rows at a time.
func editDistance(a, b string) int {
	prev := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
		}
		prev = row
	}
	return prev[len(b)]
}

// records are the A records that an endpoint's zone group would write.
type record struct {
	name string
	addr netip.Addr
}

func (s *scene) recordsOf(e *inventory.PrivateEndpoint) []record {
	var out []record
	for _, m := range e.Members {
		for _, f := range m.FQDNs {
			rel := strings.TrimSuffix(strings.ToLower(f), "."+s.suffix())
			if rel != strings.ToLower(f) && m.Address.IsValid() {
				out = append(out, record{rel, m.Address})
			}
		}
	}
	return out
}

func putRecord(zoneID string, r record) (diagnosis.Change, string) {
	zone, g := inventory.Segment(zoneID, "privateDnsZones"), group(zoneID)
	return put(zoneID+"/A/"+r.name, inventory.APIPrivateDNS, object{"properties": object{
		"ttl": 10, "aRecords": []object{{"ipv4Address": r.addr.String()}},
	}}), az("network", "private-dns", "record-set", "a", "add-record", "-g", g, "-z", zone, "-n", r.name, "-a", r.addr.String())
}

// remedyRecords writes the records of the private endpoint that serves this
// client wherever the zone has none or another address.
func remedyRecords(v *view) diagnosis.Remedy {
	out := diagnosis.Remedy{Summary: fmt.Sprintf("Add the missing A records to the private DNS zone %s, or give the private endpoint a DNS zone group, which writes and keeps them.", v.zoneName())}
	generic := []string{fmt.Sprintf("az network private-dns record-set a add-record -g GROUP -z %s -n %s -a PRIVATE-ADDRESS", v.zoneName(), strings.TrimSuffix(v.host, "."+v.suffix()))}
	e := v.endpoint()
	if e == nil || !v.inv.Known(inventory.PrivateEndpoints, inventory.PrivateZones) {
		out.Commands = generic
		return out
	}
	z, _ := v.inv.Zone(v.asking(), v.alias())
	if z == nil {
		z = v.bestZone()
	}
	if z == nil {
		out.Commands = generic
		return out
	}
	var names []string
	for _, r := range v.recordsOf(e) {
		target := z
		alias := r.name + "." + v.zoneName()
		// <region>.data.privatelink.azurecr.io may be a zone of its own.
		if own, _ := v.inv.Zone(v.asking(), alias); own != nil {
			target = own
		}
		r.name = inventory.Relative(alias, target.Name)
		if have, ok := target.Record(r.name); ok && slices.Equal(have, []netip.Addr{r.addr}) {
			continue
		}
		change, command := putRecord(target.ID, r)
		if have, ok := target.Record(r.name); ok {
			for _, old := range have {
				if old != r.addr {
					out.Commands = append(out.Commands, az("network", "private-dns", "record-set", "a", "remove-record", "-g", group(target.ID), "-z", target.Name, "-n", r.name, "-a", old.String()))
				}
			}
		}
		out.Changes = append(out.Changes, change)
		out.Commands = append(out.Commands, command)
		names = append(names, r.name+" "+r.addr.String())
	}
	if len(names) > 0 {
		out.Summary = fmt.Sprintf("Set the A records %s in zone %s (private endpoint %s); a DNS zone group on the endpoint keeps them right.", strings.Join(names, ", "), z.Name, e.Name)
	} else {
		out.Commands = generic
	}
	return out
}

func linkChange(zoneID, zone string, n *inventory.VirtualNetwork, name string) (diagnosis.Change, string) {
	return put(zoneID+"/virtualNetworkLinks/"+name, inventory.APIPrivateDNS, object{"location": "global", "properties": object{
			"registrationEnabled": false, "virtualNetwork": object{"id": n.ID},
		}}), az("network", "private-dns", "link", "vnet", "create", "-g", group(zoneID), "-z", zone, "-n", name,
			"--virtual-network", n.ID, "--registration-enabled", "false")
}

func remedyLink(v *view) diagnosis.Remedy {
	z, n := v.bestZone(), v.asking()
	if z == nil || n == nil {
		return diagnosis.Remedy{
			Summary:  "Link the private DNS zone to the virtual network that asks (with custom DNS: the DNS server's).",
			Commands: []string{"az network private-dns link vnet create -g GROUP -z " + v.zoneName() + " -n LINK --virtual-network VNET-ID --registration-enabled false"},
		}
	}
	name := n.Name
	for slices.ContainsFunc(z.Links, func(l inventory.ZoneLink) bool {
		return strings.EqualFold(l.Name, name) && !inventory.SameID(l.NetworkID, n.ID)
	}) {
		name += "-link"
	}
	change, command := linkChange(z.ID, z.Name, n, name)
	out := diagnosis.Remedy{
		Summary:  fmt.Sprintf("Link the private DNS zone %s (resource group %s) to virtual network %s.", z.Name, group(z.ID), n.Name),
		Commands: []string{command}, Changes: []diagnosis.Change{change},
	}
	// A zone that is linked without its records would deny the name instead.
	if e := v.endpoint(); e != nil && z.RecordsErr == "" {
		for _, r := range v.recordsOf(e) {
			if _, ok := z.Record(r.name); ok {
				continue
			}
			if strings.Contains(r.name, ".") {
				if own, _ := v.inv.Zone(n, r.name+"."+v.zoneName()); own != nil && !inventory.SameID(own.ID, z.ID) {
					continue
				}
			}
			change, command := putRecord(z.ID, r)
			out.Changes, out.Commands = append(out.Changes, change), append(out.Commands, command)
		}
	}
	return out
}

func remedyZoneMissing(v *view) diagnosis.Remedy {
	e, n := v.endpoint(), v.asking()
	if e == nil || n == nil {
		return diagnosis.Remedy{
			Summary: fmt.Sprintf("Create the private DNS zone %s, link it to the virtual network that asks, and give the private endpoint a DNS zone group.", v.zoneName()),
			Commands: []string{
				"az network private-dns zone create -g GROUP -n " + v.zoneName(),
				"az network private-dns link vnet create -g GROUP -z " + v.zoneName() + " -n LINK --virtual-network VNET-ID --registration-enabled false",
				"az network private-endpoint dns-zone-group create -g GROUP --endpoint-name ENDPOINT -n default --private-dns-zone " + v.zoneName() + " --zone-name registry",
			},
		}
	}
	g := group(e.ID)
	id := fmt.Sprintf("/subscriptions/%s/resourceGroups/%s/providers/Microsoft.Network/privateDnsZones/%s", inventory.Segment(e.ID, "subscriptions"), g, v.zoneName())
	link, linkCommand := linkChange(id, v.zoneName(), n, n.Name)
	out := diagnosis.Remedy{
		Summary:  fmt.Sprintf("Create the private DNS zone %s in resource group %s, link it to virtual network %s and write the records of private endpoint %s (a DNS zone group on the endpoint keeps them right).", v.zoneName(), g, n.Name, e.Name),
		Commands: []string{az("network", "private-dns", "zone", "create", "-g", g, "-n", v.zoneName()), linkCommand},
		Changes:  []diagnosis.Change{put(id, inventory.APIPrivateDNS, object{"location": "global", "properties": object{}}), link},
	}
	for _, r := range v.recordsOf(e) {
		change, command := putRecord(id, r)
		out.Changes, out.Commands = append(out.Changes, change), append(out.Commands, command)
	}
	return out
}

// remedyZoneLeft takes the zone's answer away. Other registries may live in
// the same zone: then only this one's records go, and the link falls back to
// public DNS for names that the zone does not hold.
func remedyZoneLeft(v *view) diagnosis.Remedy {
	z, link := v.inv.Zone(v.asking(), v.alias())
	if z == nil {
		z, link = v.inv.Zone(v.network, v.alias())
	}
	if z == nil {
		return diagnosis.Remedy{
			Summary:  fmt.Sprintf("Delete the records that the private endpoint left in zone %s and, if the zone serves no other registry, its link to this virtual network.", v.zoneName()),
			Commands: []string{"az network private-dns link vnet delete -g GROUP -z " + v.zoneName() + " -n LINK --yes"},
		}
	}
	label := v.registryLabel()
	var own, others []string
	for name := range z.Records {
		if l, _, _ := strings.Cut(strings.ToLower(name), "."); l == label {
			own = append(own, name)
		} else {
			others = append(others, name)
		}
	}
	slices.Sort(own)
	out := diagnosis.Remedy{}
	for _, name := range own {
		out.Changes = append(out.Changes, arm("DELETE", z.ID+"/A/"+name, inventory.APIPrivateDNS, nil))
		out.Commands = append(out.Commands, az("network", "private-dns", "record-set", "a", "delete", "-g", group(z.ID), "-z", z.Name, "-n", name, "--yes"))
	}
	if len(others) == 0 {
		out.Summary = fmt.Sprintf("Delete what the private endpoint left behind: its records in zone %s and the zone's link %s to this virtual network.", z.Name, link.Name)
		out.Changes = append(out.Changes, arm("DELETE", link.ID, inventory.APIPrivateDNS, nil))
		out.Commands = append(out.Commands, az("network", "private-dns", "link", "vnet", "delete", "-g", group(z.ID), "-z", z.Name, "-n", link.Name, "--yes"))
		return out
	}
	slices.Sort(others)
	out.Summary = fmt.Sprintf("Delete the registry's records from zone %s, and let link %s fall back to public DNS (resolutionPolicy NxDomainRedirect), since the zone still serves %s.", z.Name, link.Name, strings.Join(others, ", "))
	out.Changes = append(out.Changes, put(link.ID, inventory.APIPrivateDNS, object{"location": "global", "properties": object{
		"registrationEnabled": false, "virtualNetwork": object{"id": link.NetworkID}, "resolutionPolicy": "NxDomainRedirect",
	}}))
	out.Commands = append(out.Commands, az("network", "private-dns", "link", "vnet", "update", "-g", group(z.ID), "-z", z.Name, "-n", link.Name, "--resolution-policy", "NxDomainRedirect"))
	return out
}
