package infer

import (
	"fmt"
	"strings"

	"github.com/acrlab/acrlab/diagnoser/inventory"
	"github.com/acrlab/acrlab/diagnoser/probe"
	"github.com/acrlab/acrlab/diagnosis"
)

// layerNameTable: the login server is sound and the data endpoint's name is not.
var layerNameTable = []situation{
	{
		name: "the private zone denies the data endpoint's name", family: familyName,
		seen: seesDataRecordMissing,
		causes: []candidate{
			{
				cause: diagnosis.DNSReplicaRecordMissing, applies: severalRegions,
				summary: func(v *view) string {
					return fmt.Sprintf("The private DNS zone %s has no record for %s, the data endpoint of the replica in %s; other replicas have theirs.", v.zoneName(), v.host, v.region())
				},
				remedy: remedyRecords,
			},
			{
				cause: diagnosis.DNSZoneMissingDataRecord, applies: func(v *view) bool { return !severalRegions(v) },
				summary: func(v *view) string {
					return fmt.Sprintf("The private DNS zone %s has no record for the data endpoint %s, from which layers come; the login server has its own.", v.zoneName(), v.host)
				},
				remedy: remedyRecords,
			},
		},
	},
	{
		name: "the data endpoint's name leads to its public address", family: familyName,
		seen: seesDataPublic,
		causes: []candidate{{
			cause: diagnosis.DNSDataRecordPublicFallback,
			summary: func(v *view) string {
				return fmt.Sprintf("%s resolves to the private endpoint, the data endpoint %s to its public address, which does not serve this client.", v.login.host, v.host)
			},
			remedy: remedyRecords,
		}},
	},
	{
		name: "the hosts file holds another address of the data endpoint", family: familyName,
		seen: seesHostsFile,
		causes: []candidate{{
			cause: diagnosis.DNSStalePublicIP,
			summary: func(v *view) string {
				return fmt.Sprintf("The hosts file pins %s to %s, which DNS no longer gives.", v.host, addrList(v.dns.hosts.Addrs))
			},
			remedy: remedyHosts,
		}},
	},
}

// layerTable: the endpoint of the layers has an address and does not serve.
var layerTable = []situation{
	{
		name: "the data endpoint's private address does not answer", family: familyPackets,
		seen: seesPrivateSilence, causes: privateCauses,
	},
	{
		name: "the data endpoint of one replica does not answer", family: familyPackets,
		seen: func(v *view) (sighting, bool) {
			if v.otherRegionFine() == "" {
				return sighting{}, false
			}
			return seesDataCut(v)
		},
		causes: []candidate{{
			cause: diagnosis.GeoReplicaDataBlocked,
			summary: func(v *view) string {
				return fmt.Sprintf("The data endpoint %s of the replica in %s does not answer, that of %s does: the firewall's rules leave the replica out.", v.host, v.region(), v.otherRegionFine())
			},
			remedy: remedyFirewall,
		}},
	},
	{
		name: "the data endpoint does not answer", family: familyPackets,
		seen: seesDataCut,
		causes: []candidate{
			{
				cause: diagnosis.FirewallDataAfterEnable, hidden: true, azure: azureBlobRulesOnly,
				summary: summaryAfterEnable, remedy: remedyFirewall,
			},
			{
				cause: diagnosis.FirewallDropsData, azure: azureDataDropped,
				decidedBy: "az network nic list-effective-nsg and az network nic show-effective-route-table of this client's NIC (neither denies: a firewall does)",
				summary: func(v *view) string {
					return fmt.Sprintf("The login server answers, and a firewall does not let packets to the data endpoint %s pass, from which layers come.", v.host)
				},
				remedy: remedyFirewall,
			},
			nsgOutbound.when(mayDropHere), udrBlackhole.when(mayDropHere),
		},
	},
	{
		name: "the storage account does not answer", family: familyPackets,
		seen: seesStorageCut,
		causes: []candidate{
			{
				cause: diagnosis.FirewallBlobWildcardMissing, azure: azureDataDropped,
				decidedBy: "az network nic list-effective-nsg and az network nic show-effective-route-table of this client's NIC (neither denies: a firewall does)",
				summary:   summaryBlob, remedy: remedyFirewall,
			},
			nsgOutbound.when(mayDropHere), udrBlackhole.when(mayDropHere),
		},
	},
}

// layerAnswerTable: the endpoint of the layers answers with a refusal.
var layerAnswerTable = []situation{{
	name: "the storage account refuses by a policy", family: familyRules,
	seen: seesStoragePolicy,
	causes: []candidate{{
		cause: diagnosis.StorageServiceEndpointPolicy, azure: azureStoragePolicy,
		decidedBy: "az network vnet subnet show --query serviceEndpointPolicies (does a policy of this subnet leave out the registry's storage account?)",
		summary: func(v *view) string {
			return fmt.Sprintf("%s refuses this network (AuthorizationFailure): a service endpoint policy for storage on %s does not list the registry's account.", v.host, subnetName(v))
		},
		remedy: func(v *view) diagnosis.Remedy {
			r := diagnosis.Remedy{Summary: "Remove the service endpoint policy from the subnet, or enable the registry's data endpoints so that layers no longer come from storage accounts of Azure's own."}
			if v.subnet != nil {
				r.Commands = []string{fmt.Sprintf("az network vnet subnet update --ids %s --remove serviceEndpointPolicies", v.subnet.ID)}
			}
			return r
		},
	}},
}}

func (c candidate) when(applies func(*view) bool) candidate {
	c.applies = applies
	return c
}

// mayDropHere: Azure's filters and routes are silent, so an answer of any kind
// rules them out.
func mayDropHere(v *view) bool {
	return !v.outside() && v.path != nil && v.path.TCP != nil && v.path.TCP.Outcome == probe.Silence
}

// region is that of R.<region>.data.azurecr.io.
func (v *view) region() string {
	parts := strings.Split(v.host, ".")
	if len(parts) > 2 && parts[2] == "data" {
		return parts[1]
	}
	return v.host
}

// dataNames are the registry's data endpoints that any resolver was asked for
// and that exist.
func (s *scene) dataNames() []string {
	var out []string
	seen := map[string]bool{}
	for i := range s.r.Lookups {
		l := &s.r.Lookups[i]
		if roleOf(l.Name) == probe.RoleData && !seen[l.Name] && (len(l.Addrs) > 0 || len(l.Chain) > 0) {
			seen[l.Name] = true
			out = append(out, l.Name)
		}
	}
	return out
}

// severalRegions: another data endpoint of the registry resolves here.
func severalRegions(v *view) bool {
	for _, n := range v.dataNames() {
		if !strings.EqualFold(n, v.host) {
			if c := v.class(v.name(n).effective); c == private {
				return true
			}
		}
	}
	return false
}

// otherRegionFine is the region of another data endpoint that answers.
func (v *view) otherRegionFine() string {
	if v.role != probe.RoleData {
		return ""
	}
	for i := range v.r.Paths {
		p := &v.r.Paths[i]
		if p.Role == probe.RoleData && !strings.EqualFold(p.Host, v.host) && p.TLS != nil && p.TLS.Outcome == probe.Verified {
			return (&view{host: p.Host}).region()
		}
	}
	return ""
}

func seesDataRecordMissing(v *view) (sighting, bool) {
	d := v.dns
	if v.role != probe.RoleData || v.proxied() || v.class(d.effective) != absent || !d.hasEndpoint() {
		return sighting{}, false
	}
	if v.class(v.login.dns.effective) != private && v.class(d.azure) != absent {
		return sighting{}, false
	}
	e := []diagnosis.Evidence{
		dnsEvidence(d.effective, "the private zone is authoritative for this alias and has no such record"),
	}
	if l := v.login.dns.effective; l != nil {
		e = append(e, dnsEvidence(l, "the zone answers for the login server"))
	}
	if v.class(d.public) == public {
		e = append(e, dnsEvidence(d.public, "the data endpoint exists; outside the zone its name resolves"))
	}
	return sighting{evidence: append(e, v.blobEvidence()...), excluded: []diagnosis.Exclusion{
		{Cause: diagnosis.FirewallDropsData, Because: "the name does not resolve, so no packet was sent"},
		{Cause: diagnosis.DNSZoneNotLinked, Because: "a zone that is not linked would leave the public address"},
	}}, true
}

func seesDataPublic(v *view) (sighting, bool) {
	d := v.dns
	if v.role != probe.RoleData || v.proxied() || d.hosts != nil || v.class(d.effective) != public || v.class(v.login.dns.effective) != private || !v.failing() || v.path == nil {
		return sighting{}, false
	}
	e := []diagnosis.Evidence{
		dnsEvidence(d.effective, "layers come from the public side"),
		dnsEvidence(v.login.dns.effective, "the login server is reached privately"),
	}
	return sighting{evidence: append(e, v.refusal()...), excluded: []diagnosis.Exclusion{
		{Cause: diagnosis.FirewallDropsData, Because: "with a private endpoint this address is not to be used at all"},
	}}, true
}

func (v *view) blobEvidence() []diagnosis.Evidence {
	if v.blob == nil {
		return nil
	}
	return []diagnosis.Evidence{{Probe: "layer", Saw: fmt.Sprintf("the login server redirects (%d) layer %s to %s", v.blob.Redirect.Status, short(v.blob.Digest), v.host), Means: "login, token and manifest work; layers come from there"}}
}

func short(digest string) string {
	if len(digest) > 19 {
		return digest[:19]
	}
	return digest
}

// seesDataCut: no TCP to a public data endpoint.
func seesDataCut(v *view) (sighting, bool) {
	if v.role != probe.RoleData {
		return sighting{}, false
	}
	return seesCut(v)
}

// seesStorageCut: no TCP to the storage account.
func seesStorageCut(v *view) (sighting, bool) {
	if v.role != probe.RoleStorage {
		return sighting{}, false
	}
	return seesCut(v)
}

func seesCut(v *view) (sighting, bool) {
	if v.path == nil || v.proxied() || v.path.TCP == nil || v.isPrivate(v.path.Addr) {
		return sighting{}, false
	}
	switch v.path.TCP.Outcome {
	case probe.Silence, probe.Reset, probe.HostUnreach, probe.NetUnreach:
	default:
		return sighting{}, false
	}
	out := sighting{evidence: v.blobEvidence()}
	means := "packets are dropped on the way, there or back"
	if v.path.TCP.Outcome != probe.Silence {
		means = "a device on the way refuses in the endpoint's place"
	}
	out.evidence = append(out.evidence, pathEvidence(v.path, means))
	if v.login.sound() {
		out.evidence = append(out.evidence, diagnosis.Evidence{Probe: "tls", Saw: tlsText(v.login.host, v.login.path.TLS), Means: "the login server is reached: manifests and pushes work, layers do not come"})
		out.excluded = append(out.excluded, diagnosis.Exclusion{Cause: diagnosis.FirewallDropsRest, Because: "the login server answers"})
	}
	if v.path.TCP.Outcome == probe.Silence && v.outside() {
		out.excluded = append(out.excluded,
			diagnosis.Exclusion{Cause: diagnosis.NSGOutboundDeny, Because: "the client is not in a virtual network"},
			diagnosis.Exclusion{Cause: diagnosis.UDRBlackhole, Because: "the client is not in a virtual network"})
	}
	out.excluded = append(out.excluded, diagnosis.Exclusion{Cause: diagnosis.DNSZoneMissingDataRecord, Because: "the name resolves"})
	return out, true
}

func azureDataDropped(v *view) ruling {
	if r := azureBlobRulesOnly(v); r.verdict == confirmed && v.role == probe.RoleData {
		return exclude("the firewall's rules are those from before data endpoints were enabled")
	}
	if !mayDropHere(v) {
		return unread
	}
	return azureFirewallDrops(v)
}

func seesStoragePolicy(v *view) (sighting, bool) {
	if v.role != probe.RoleStorage || v.path == nil || v.path.HTTP == nil || v.path.HTTP.Status != 403 || !strings.Contains(v.path.HTTP.Body, "AuthorizationFailure") {
		return sighting{}, false
	}
	return sighting{
		evidence: append(v.blobEvidence(), diagnosis.Evidence{Probe: "layer", Saw: "403 AuthorizationFailure from " + v.host, Means: "the storage account was reached and refuses the network that the request comes from"}),
		excluded: []diagnosis.Exclusion{
			{Cause: diagnosis.FirewallBlobWildcardMissing, Because: "the storage account answers"},
			{Cause: diagnosis.CredentialsOrRBAC, Because: "a bad signature is AuthenticationFailed, not AuthorizationFailure"},
		},
	}, true
}

func azureStoragePolicy(v *view) ruling {
	if v.subnet == nil {
		return unread
	}
	if len(v.subnet.ServiceEndpointPolicies) == 0 {
		return unread
	}
	return confirm(fmt.Sprintf("%s has service endpoint policies: %s", subnetName(v), strings.Join(v.subnet.ServiceEndpointPolicies, ", ")))
}

// foresee looks, where Azure can be read, at what waits behind a name that is
// mended: the way to the private endpoint that the client will then take, and
// the record of its data endpoint.
func (s *scene) foresee(found []diagnosis.Finding) []diagnosis.Finding {
	if !s.inv.Known(inventory.PrivateEndpoints, inventory.Networks) || len(s.lanes) == 0 || s.network == nil {
		return nil
	}
	byName := false
	for _, f := range found {
		switch f.Cause {
		case diagnosis.DNSZoneNotLinked, diagnosis.DNSPrivateZoneMissing, diagnosis.DNSZoneMissingRegistryRecord, diagnosis.CustomDNSNoForwarder, diagnosis.DNSResolverUnreachable,
			diagnosis.DNSZoneMissingDataRecord, diagnosis.DNSReplicaRecordMissing, diagnosis.DNSDataRecordPublicFallback, diagnosis.DNSStalePublicIP:
			byName = byName || f.Certainty == diagnosis.Proven
		}
	}
	e := s.endpoint()
	if !byName || e == nil {
		return nil
	}
	var out []diagnosis.Finding
	for _, m := range e.Members {
		for _, fqdn := range m.FQDNs {
			host := strings.ToLower(fqdn)
			role := roleOf(host)
			if role == probe.RoleLogin && !strings.EqualFold(host, s.r.Target.Host) {
				continue
			}
			v := &view{scene: s, host: host, role: role, path: &probe.Path{Host: host, Port: 443, Via: probe.Direct, Addr: m.Address}}
			v.login = v
			for _, c := range privateCauses {
				if c.cause == diagnosis.DNSZoneRecordOverwritten || c.cause == diagnosis.PEDeletedZoneLeft || c.applies != nil && !c.applies(v) {
					continue
				}
				r := c.azure(v)
				if r.verdict != confirmed {
					continue
				}
				out = merge(out, []diagnosis.Finding{{
					Cause: c.cause, Certainty: diagnosis.Proven, Summary: c.summary(v), Remedy: c.remedy(v),
					Evidence: []diagnosis.Evidence{{Probe: "azure", Saw: r.saw, Means: fmt.Sprintf("once the name resolves to %s this stops the connection", m.Address)}},
				}})
			}
		}
	}
	return out
}
