package infer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/diagnoser/inventory"
	"github.com/acrlab/acrlab/diagnoser/probe"
	"github.com/acrlab/acrlab/diagnosis"
)

// nameTable: the login server's name leads to no address, or to a wrong one.
// Names are resolved by the proxy where one is used, so a proxied path shows
// none of these.
var nameTable = []situation{
	{
		name: "the privatelink name is used", family: familyName,
		seen: seesPrivateLinkName,
		causes: []candidate{{
			cause: diagnosis.PrivateLinkNameUsed,
			summary: func(v *view) string {
				return fmt.Sprintf("%s is the name inside the private DNS zone; the registry's certificate does not cover it, and clients must use %s.", v.host, withoutPrivateLink(v.host))
			},
			remedy: func(v *view) diagnosis.Remedy {
				real := withoutPrivateLink(v.host)
				return diagnosis.Remedy{
					Summary:  "Use " + real + "; its private address is found through the same zone.",
					Commands: []string{"docker login " + real},
					Changes:  []diagnosis.Change{{UseRegistry: real}},
				}
			},
		}},
	},
	{
		name: "no configured resolver answers", family: familyName,
		seen: seesResolverUnreachable,
		causes: []candidate{{
			cause: diagnosis.DNSResolverUnreachable,
			summary: func(v *view) string {
				return fmt.Sprintf("The configured resolver %s gives no answer, so no name can be resolved here, %s among them.", resolverList(v.dns.configured), v.host)
			},
			remedy: remedyResolver,
		}},
	},
	{
		name: "the hosts file holds another address than DNS", family: familyName,
		seen: seesHostsFile,
		causes: []candidate{{
			cause: diagnosis.DNSStalePublicIP,
			summary: func(v *view) string {
				return fmt.Sprintf("The hosts file pins %s to %s, which DNS no longer gives.", v.host, addrList(v.dns.hosts.Addrs))
			},
			remedy: remedyHosts,
		}},
	},
	{
		name: "the name exists nowhere", family: familyName,
		seen:   seesNameWrong,
		causes: []candidate{wrongName},
	},
	{
		name: "the resolver outside Azure fails for this name alone", family: familyName,
		seen: seesForwarderDead,
		causes: []candidate{
			{
				cause:     diagnosis.DNSOnPremNoForwarder,
				applies:   func(v *view) bool { return v.outside() && v.dns.hasEndpoint() },
				decidedBy: "the resolver's configuration: which server does it forward azurecr.io to, and does that one answer?",
				summary: func(v *view) string {
					return fmt.Sprintf("The resolver %s answers other names and fails for %s: the server that it forwards %s to does not answer.", resolverList(v.dns.configured), v.host, v.suffix())
				},
				remedy: remedyForwarder,
			},
			{
				cause:     diagnosis.DNSResolverUnreachable,
				applies:   func(v *view) bool { return !v.outside() || !v.dns.hasEndpoint() },
				decidedBy: "the resolver's log for this name",
				summary: func(v *view) string {
					return fmt.Sprintf("The configured resolver %s answers other names and gives no answer for %s.", resolverList(v.dns.configured), v.host)
				},
				remedy: remedyResolver,
			},
		},
	},
	{
		name: "Azure DNS knows the private address, the configured resolver does not", family: familyName,
		seen: seesCustomDNS,
		causes: []candidate{{
			cause: diagnosis.CustomDNSNoForwarder,
			summary: func(v *view) string {
				return fmt.Sprintf("The resolver in use, %s, does not forward to Azure DNS: it leads %s to %s, while 168.63.129.16 gives the private endpoint's address %s.",
					v.dns.effective.Resolver, v.host, outcomeText(v.scene, v.dns.effective), addrList(v.dns.azure.Addrs))
			},
			remedy: remedyCustomDNS,
		}},
	},
	{
		name: "the private zone denies the name", family: familyName,
		seen: seesRecordMissing,
		causes: []candidate{
			{
				cause: diagnosis.DNSZoneMissingRegistryRecord, azure: azureRecordMissing,
				decidedBy: "az acr show -n NAME --query privateEndpointConnections (an approved connection means that the record is missing, none that the zone was left behind)",
				summary: func(v *view) string {
					return fmt.Sprintf("A private DNS zone %s answers here and has no record for %s.", v.zoneName(), v.registryLabel())
				},
				remedy: remedyRecords,
			},
			{
				cause: diagnosis.PEDeletedZoneLeft, azure: azureEndpointGone,
				decidedBy: "az acr show -n NAME --query privateEndpointConnections (empty: the private endpoint was deleted)",
				summary: func(v *view) string {
					return fmt.Sprintf("The registry has no private endpoint any more, and the private DNS zone %s that was left behind hides its public address.", v.zoneName())
				},
				remedy: remedyZoneLeft,
			},
			pending,
		},
	},
	{
		name: "a private endpoint exists, this network is given the public address", family: familyName,
		seen: seesPublicInsteadOfPrivate,
		causes: []candidate{
			{
				cause: diagnosis.DNSPrivateZoneMissing, azure: azureZoneMissing,
				decidedBy: "az network private-dns zone list --query \"[?name=='privatelink.azurecr.io'].id\" (no zone: missing; a zone: see its links)",
				summary: func(v *view) string {
					return fmt.Sprintf("The registry has a private endpoint, but there is no private DNS zone %s, so %s leads to its public address, which refuses this client.", v.zoneName(), v.host)
				},
				remedy: remedyZoneMissing,
			},
			{
				cause: diagnosis.DNSZoneNotLinked, azure: azureZoneNotLinked,
				decidedBy: "az network private-dns link vnet list -g GROUP -z privatelink.azurecr.io (does a link name this client's virtual network?)",
				summary: func(v *view) string {
					return fmt.Sprintf("The private DNS zone %s is not linked to %s, so %s leads to its public address, which refuses this client.", v.zoneName(), networkName(v.asking(), "the virtual network that asks"), v.host)
				},
				remedy: remedyLink,
			},
			{
				cause: diagnosis.CustomDNSNoForwarder,
				// 168.63.129.16 was not asked, or said nothing: it cannot be left out.
				applies:   func(v *view) bool { return v.dns.custom() && (v.dns.azure == nil || v.class(v.dns.azure) == failed) },
				decidedBy: "dig " + "LOGIN-SERVER" + " @168.63.129.16 from this host (a private address there convicts the resolver in use)",
				summary: func(v *view) string {
					return fmt.Sprintf("The resolver in use, %s, may not forward to Azure DNS.", v.dns.effective.Resolver)
				},
				remedy: remedyCustomDNS,
			},
			{
				// The link's resolutionPolicy NxDomainRedirect turns a missing record
				// into the public answer.
				cause: diagnosis.DNSZoneMissingRegistryRecord, hidden: true, azure: azureRecordFallsBack,
				summary: func(v *view) string {
					return fmt.Sprintf("The private DNS zone %s is linked and has no record for %s, and its link falls back to the public address (resolutionPolicy NxDomainRedirect).", v.zoneName(), v.registryLabel())
				},
				remedy: remedyRecords,
			},
			pending,
			outOfReach(ipRule), outOfReach(egressChanged),
		},
	},
	{
		name: "a private endpoint exists, a client outside Azure is given the public address", family: familyName,
		seen: seesPublicOutside,
		causes: []candidate{
			{
				cause: diagnosis.DNSOnPremNoForwarder, azure: azureOnPremDNS,
				decidedBy: "whether this network is connected to the private endpoint's virtual network (VPN, ExpressRoute): if so its resolver must forward azurecr.io into it",
				summary: func(v *view) string {
					return fmt.Sprintf("The resolver of this network does not forward %s to a resolver in the private endpoint's virtual network and gives the public address, which refuses this client.", v.suffix())
				},
				remedy: remedyForwarder,
			},
			ipRule, egressChanged.asHidden(), publicDisabled, pending,
		},
	},
}

// remedyHosts gives the name back to DNS.
func remedyHosts(v *view) diagnosis.Remedy {
	return diagnosis.Remedy{
		Summary:  "Remove the line for " + v.host + " from the hosts file; the registry's addresses change and are served with a TTL of 10 seconds.",
		Commands: []string{fmt.Sprintf(`sed -i '/[[:space:]]%s\([[:space:]]\|$\)/d' /etc/hosts`, strings.ReplaceAll(v.host, ".", `\.`))},
		Changes:  []diagnosis.Change{{Hosts: &diagnosis.Hosts{Remove: []string{v.host}}}},
	}
}

func seesPrivateLinkName(v *view) (sighting, bool) {
	if !strings.Contains(v.host, ".privatelink.") {
		return sighting{}, false
	}
	e := []diagnosis.Evidence{{Probe: "dns", Saw: "the client is given the name " + v.host, Means: "this is the alias inside the private DNS zone, not a login server"}}
	if v.path != nil && v.path.TLS != nil && v.path.TLS.Outcome == probe.WrongName {
		e = append(e, tlsEvidence(v.path, "the registry's own certificate does not cover the privatelink name"))
	}
	return sighting{evidence: e}, v.path == nil || v.path.TLS == nil || v.path.TLS.Outcome != probe.Verified
}

func seesResolverUnreachable(v *view) (sighting, bool) {
	if v.proxied() || !v.allFailed(v.dns) {
		return sighting{}, false
	}
	asked, answered := v.othersResolve(v.host)
	if answered {
		return sighting{}, false // the resolver lives and fails for this name alone
	}
	var e []diagnosis.Evidence
	for _, l := range v.dns.configured {
		e = append(e, dnsEvidence(l, "this resolver is of no use to the client"))
	}
	for _, l := range []*probe.Lookup{v.dns.azure, v.dns.public} {
		if l != nil && v.class(l) != failed {
			e = append(e, dnsEvidence(l, "the name exists and packets to port 53 elsewhere pass"))
		}
	}
	out := sighting{evidence: e, excluded: []diagnosis.Exclusion{{Cause: diagnosis.DNSNameWrong, Because: "no resolver denied the name"}}}
	if !asked && v.class(v.dns.azure) == unasked && v.class(v.dns.public) == unasked {
		out.weak = "a lookup of any other name at the same resolver"
	}
	return out, true
}

// remedyForwarder sends the resolver outside Azure into the virtual network.
func remedyForwarder(v *view) diagnosis.Remedy {
	return diagnosis.Remedy{Summary: fmt.Sprintf("Forward %s conditionally to a DNS resolver inside the virtual network (Azure DNS Private Resolver's inbound endpoint); 168.63.129.16 itself answers only from inside.", v.suffix())}
}

// seesForwarderDead: the resolvers live, and for this name they fail while
// somebody else knows it. In a virtual network with Azure's own answer at hand
// that is the custom DNS server's forwarding (seesCustomDNS).
func seesForwarderDead(v *view) (sighting, bool) {
	d := v.dns
	if v.proxied() || !v.allFailed(d) || v.class(d.azure) == private {
		return sighting{}, false
	}
	if _, answered := v.othersResolve(v.host); !answered {
		return sighting{}, false
	}
	var e []diagnosis.Evidence
	for _, l := range d.configured {
		e = append(e, dnsEvidence(l, "the resolver fails for this name"))
	}
	for i := range v.r.Lookups {
		if l := &v.r.Lookups[i]; l.Kind == probe.Configured && !strings.HasSuffix(l.Name, "."+v.suffix()) && v.class(l) != failed {
			e = append(e, dnsEvidence(l, "it answers for other names"))
			break
		}
	}
	if c := v.class(d.public); c == public || c == private {
		e = append(e, dnsEvidence(d.public, "the name exists"))
	}
	return sighting{evidence: e, weak: "the resolver's configuration and log for this name", excluded: []diagnosis.Exclusion{
		{Cause: diagnosis.DNSNameWrong, Because: "no resolver denied the name"},
	}}, true
}

func seesHostsFile(v *view) (sighting, bool) {
	if v.proxied() || v.dns.hosts == nil || !v.failing() {
		return sighting{}, false
	}
	var fresh *probe.Lookup
	for _, l := range append(slices.Clone(v.dns.configured), v.dns.azure, v.dns.public) {
		if c := v.class(l); c == private || c == public {
			fresh = l
			break
		}
	}
	if fresh == nil || slices.ContainsFunc(v.dns.hosts.Addrs, func(a addr) bool { return slices.Contains(fresh.Addrs, a) }) {
		return sighting{}, false
	}
	e := []diagnosis.Evidence{
		dnsEvidence(v.dns.hosts, "the client goes by the hosts file before DNS"),
		dnsEvidence(fresh, "DNS gives another address"),
	}
	if v.path != nil {
		e = append(e, pathEvidence(v.path, "the pinned address does not serve this client"))
	}
	return sighting{evidence: e, excluded: []diagnosis.Exclusion{{Cause: diagnosis.DNSZoneNotLinked, Because: "the address comes from the hosts file, not from DNS"}}}, true
}

// proxyNameTable: the proxy refuses, or cannot reach, a name that does not exist.
var proxyNameTable = []situation{{
	name: "the name exists nowhere, and the proxy says so in its way", family: familyName,
	seen:   seesNameWrongByProxy,
	causes: []candidate{wrongName},
}}

var wrongName = candidate{
	cause:     diagnosis.DNSNameWrong,
	decidedBy: "a lookup at a public resolver (dig +short NAME @1.1.1.1), or az acr list --query \"[].loginServer\"",
	summary: func(v *view) string {
		if best := closest(v.host, registriesOf(v.inv)); best != "" {
			return fmt.Sprintf("No registry has the login server name %s; the nearest one that exists is %s.", v.host, best)
		}
		return fmt.Sprintf("No registry has the login server name %s: the name is misspelt, of another cloud, or the registry was deleted.", v.host)
	},
	remedy: remedyNameWrong,
}

// seesNameWrongByProxy: behind a proxy names are the proxy's to resolve, so a
// denial here counts only if this place's resolver knows names of the internet.
func seesNameWrongByProxy(v *view) (sighting, bool) {
	h := v.hop0()
	if h == nil || h.Status/100 == 2 || h.Status == 0 || h.Status == 407 {
		return sighting{}, false
	}
	witness := false
	for i := range v.r.Lookups {
		l := &v.r.Lookups[i]
		witness = witness || l.Kind == probe.Configured && v.class(l) == public && !strings.EqualFold(l.Name, v.host)
	}
	out, ok := absentEverywhere(v)
	if !ok || !witness && !(v.inv.Known(inventory.Registries) && v.inv.Registry == nil) {
		return sighting{}, false
	}
	out.evidence = append(out.evidence, v.proxyEvidence("the proxy does not lead to such a name either")...)
	if witness {
		out.weak = ""
	}
	return out, true
}

func seesNameWrong(v *view) (sighting, bool) {
	if v.proxied() {
		return sighting{}, false
	}
	return absentEverywhere(v)
}

// absentEverywhere: every resolver that was asked denies the name, and no alias
// of a private endpoint stands before it.
func absentEverywhere(v *view) (sighting, bool) {
	d := v.dns
	if d.hosts != nil || d.hasEndpoint() || v.class(d.effective) != absent || len(d.effective.Chain) > 0 {
		return sighting{}, false
	}
	out := sighting{evidence: []diagnosis.Evidence{dnsEvidence(d.effective, "the name does not exist for this client")}}
	witness := d.public
	if v.class(witness) != absent {
		witness = d.azure
	}
	if c := v.class(d.public); c == private || c == public {
		return sighting{}, false
	}
	if v.class(witness) == absent && witness != d.effective {
		out.evidence = append(out.evidence, dnsEvidence(witness, "an independent resolver denies it too, and no alias of a private endpoint stands before it"))
	}
	if v.class(witness) != absent {
		out.weak = "a lookup at a public resolver"
	}
	out.excluded = []diagnosis.Exclusion{
		{Cause: diagnosis.DNSZoneMissingRegistryRecord, Because: "the name has no privatelink alias, so no private zone is involved"},
		{Cause: diagnosis.DNSResolverUnreachable, Because: "the resolver answers"},
	}
	if v.inv.Known(inventory.Registries) {
		if v.inv.Registry != nil {
			return sighting{}, false // it exists: then DNS is behind, not the name
		}
		out.weak = ""
		out.evidence = append(out.evidence, diagnosis.Evidence{Probe: "azure", Saw: "no registry with this login server in the subscriptions " + strings.Join(v.inv.Subscriptions, ", "), Means: "the registry does not exist there under this name"})
	}
	return out, true
}

func seesCustomDNS(v *view) (sighting, bool) {
	d := v.dns
	if v.proxied() || !d.custom() || v.class(d.azure) != private || v.class(d.effective) == private || v.class(d.effective) == unasked {
		return sighting{}, false
	}
	if !v.failing() {
		return sighting{}, false
	}
	return sighting{
		evidence: []diagnosis.Evidence{
			dnsEvidence(d.effective, "the resolver in use does not know the private zone"),
			dnsEvidence(d.azure, "the private zone is linked to this virtual network and holds the record"),
		},
		excluded: []diagnosis.Exclusion{
			{Cause: diagnosis.DNSZoneNotLinked, Because: "168.63.129.16 answers from the private zone here"},
			{Cause: diagnosis.DNSPrivateZoneMissing, Because: "168.63.129.16 answers from the private zone here"},
		},
	}, true
}

func seesRecordMissing(v *view) (sighting, bool) {
	d := v.dns
	if v.proxied() || v.class(d.effective) != absent || !d.hasEndpoint() {
		return sighting{}, false
	}
	e := []diagnosis.Evidence{dnsEvidence(d.effective, "a private zone is authoritative for the privatelink alias here and has no such record")}
	if v.class(d.public) == public {
		e = append(e, dnsEvidence(d.public, "the registry exists; outside the zone its name resolves"))
	}
	return sighting{evidence: e, excluded: []diagnosis.Exclusion{
		{Cause: diagnosis.DNSNameWrong, Because: "the name has an alias in public DNS, so the registry exists"},
		{Cause: diagnosis.DNSZoneNotLinked, Because: "a zone that is not linked would leave the public address"},
	}}, true
}

func seesPublicInsteadOfPrivate(v *view) (sighting, bool) {
	d := v.dns
	if v.proxied() || v.outside() || d.hosts != nil || v.class(d.effective) != public || !d.hasEndpoint() || !v.failing() {
		return sighting{}, false
	}
	e := []diagnosis.Evidence{dnsEvidence(d.effective, "the alias says that the registry has a private endpoint; the address is its public one")}
	var x []diagnosis.Exclusion
	if d.azure != nil && d.azure != d.effective && v.class(d.azure) == public {
		e = append(e, dnsEvidence(d.azure, "Azure DNS has no private answer for this network either"))
	}
	if v.class(d.azure) == public {
		x = append(x, diagnosis.Exclusion{Cause: diagnosis.CustomDNSNoForwarder, Because: "168.63.129.16 gives the public address as well"})
	}
	return sighting{evidence: append(e, v.refusal()...), excluded: append(x,
		diagnosis.Exclusion{Cause: diagnosis.DNSZoneMissingRegistryRecord, Because: "a linked zone without the record would deny the name"})}, true
}

func seesPublicOutside(v *view) (sighting, bool) {
	d := v.dns
	if v.proxied() || !v.outside() || d.hosts != nil || v.class(d.effective) != public || !d.hasEndpoint() {
		return sighting{}, false
	}
	if _, denied := v.denied(); !denied {
		return sighting{}, false
	}
	e := []diagnosis.Evidence{dnsEvidence(d.effective, "the alias says that the registry has a private endpoint; this client goes to the public one")}
	return sighting{evidence: append(e, v.refusal()...)}, true
}

// refusal is how the public endpoint turned the client away.
func (v *view) refusal() []diagnosis.Evidence {
	if ip, denied := v.denied(); denied {
		return []diagnosis.Evidence{{Probe: "challenge", Saw: deniedText(ip), Means: "the public endpoint was reached and refuses this client"}}
	}
	if v.path != nil {
		return []diagnosis.Evidence{pathEvidence(v.path, "the public endpoint does not serve this client")}
	}
	return nil
}

func withoutPrivateLink(host string) string { return strings.Replace(host, ".privatelink.", ".", 1) }
