package infer

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/diagnoser/inventory"
	"github.com/acrlab/acrlab/diagnoser/probe"
	"github.com/acrlab/acrlab/diagnosis"
)

type causes = []diagnosis.Cause

var (
	sharedPrivate = causes{diagnosis.PENSGBlock, diagnosis.UDRBlackhole, diagnosis.VNetPeeringMissing, diagnosis.PEDeletedZoneLeft, diagnosis.DNSZoneRecordOverwritten, diagnosis.PENotApproved, diagnosis.NSGOutboundDeny}
	sharedRules   = causes{diagnosis.RegistryIPRule, diagnosis.PublicAccessDisabled, diagnosis.EgressIPChanged, diagnosis.ServiceEndpointNotEnabled}
	outsideRules  = causes{diagnosis.RegistryIPRule, diagnosis.PublicAccessDisabled, diagnosis.EgressIPChanged}
	sharedZone    = causes{diagnosis.DNSPrivateZoneMissing, diagnosis.DNSZoneNotLinked}
	sharedSilence = causes{diagnosis.FirewallDropsRest, diagnosis.NSGOutboundDeny, diagnosis.UDRBlackhole}
	sharedRecord  = causes{diagnosis.DNSZoneMissingRegistryRecord, diagnosis.PEDeletedZoneLeft}
	sharedData    = causes{diagnosis.FirewallDropsData, diagnosis.NSGOutboundDeny, diagnosis.UDRBlackhole}
)

func one(c diagnosis.Cause) causes { return causes{c} }

// faults are seen once without Azure and once with it. A nil inventory skips
// the second. without nil: the same cause, proven.
var faults = []struct {
	name    string
	report  func() *probe.Report
	azure   func() *inventory.Inventory
	without causes
	want    causes
}{
	{"a misspelt name", nameWrong, func() *inventory.Inventory {
		inv := publicAzure()
		inv.Registry, inv.Others = nil, []string{"myregistry.azurecr.io", "other.azurecr.io"}
		return inv
	}, nil, one(diagnosis.DNSNameWrong)},
	{"a dead resolver in a virtual network", deadResolver, func() *inventory.Inventory {
		inv := azure()
		inv.Networks[0].DNSServers = []netip.Addr{corpDNS}
		return inv
	}, nil, one(diagnosis.DNSResolverUnreachable)},
	{"no private zone", publicByMistake, func() *inventory.Inventory {
		inv := azure()
		inv.Zones = nil
		return inv
	}, sharedZone, one(diagnosis.DNSPrivateZoneMissing)},
	{"a zone without link", publicByMistake, func() *inventory.Inventory {
		inv := azure()
		inv.Zones[0].Links = nil
		return inv
	}, sharedZone, one(diagnosis.DNSZoneNotLinked)},
	{"a zone linked to another network", publicByMistake, func() *inventory.Inventory {
		inv := azure()
		inv.Zones[0].Links[0].NetworkID = sub + "Microsoft.Network/virtualNetworks/elsewhere"
		return inv
	}, sharedZone, one(diagnosis.DNSZoneNotLinked)},
	{"a zone without the registry's record", recordMissing, func() *inventory.Inventory {
		inv := azure()
		delete(inv.Zones[0].Records, "myregistry")
		return inv
	}, sharedRecord, one(diagnosis.DNSZoneMissingRegistryRecord)},
	{"a zone left behind by a private endpoint", recordMissing, func() *inventory.Inventory {
		inv := azure()
		inv.Endpoints, inv.Registry.Connections = nil, nil
		delete(inv.Zones[0].Records, "myregistry")
		return inv
	}, sharedRecord, one(diagnosis.PEDeletedZoneLeft)},
	{"a zone without the data endpoint's record", dataRecordMissing, func() *inventory.Inventory {
		inv := azure()
		delete(inv.Zones[0].Records, "myregistry.eastus.data")
		return inv
	}, nil, one(diagnosis.DNSZoneMissingDataRecord)},
	{"a zone without one replica's record", replicaRecordMissing, nil, nil, one(diagnosis.DNSReplicaRecordMissing)},
	{"a data endpoint that resolves publicly", dataPublic, azure, nil, one(diagnosis.DNSDataRecordPublicFallback)},
	{"a DNS server that does not forward", customDNS, func() *inventory.Inventory {
		inv := azure()
		inv.Networks[0].DNSServers = []netip.Addr{corpDNS}
		return inv
	}, nil, one(diagnosis.CustomDNSNoForwarder)},
	{"a pinned address", hostsFile, azure, nil, one(diagnosis.DNSStalePublicIP)},
	{"the privatelink name", privateLinkName, nil, nil, one(diagnosis.PrivateLinkNameUsed)},

	{"drops on-premises", func() *probe.Report { return loginCut(false, probe.Silence) }, nil, nil, one(diagnosis.FirewallDropsRest)},
	{"drops in a virtual network that Azure did not make", func() *probe.Report { return loginCut(true, probe.Silence) }, publicAzure, sharedSilence, one(diagnosis.FirewallDropsRest)},
	{"an outbound rule", func() *probe.Report { return loginCut(true, probe.Silence) }, func() *inventory.Inventory {
		return withGroup(publicAzure(), 0, denyRule("Outbound", "AzureContainerRegistry"))
	}, sharedSilence, one(diagnosis.NSGOutboundDeny)},
	{"an outbound rule against the internet", func() *probe.Report { return loginCut(true, probe.Silence) }, func() *inventory.Inventory {
		return withGroup(publicAzure(), 0, denyRule("Outbound", "Internet"))
	}, sharedSilence, one(diagnosis.NSGOutboundDeny)},
	{"a route to nowhere", func() *probe.Report { return loginCut(true, probe.Silence) }, func() *inventory.Inventory {
		return withRoute(publicAzure(), "20.62.0.0/16", "None", netip.Addr{})
	}, sharedSilence, one(diagnosis.UDRBlackhole)},
	{"a route by service tag to nowhere", func() *probe.Report { return loginCut(true, probe.Silence) }, func() *inventory.Inventory {
		return withRoute(publicAzure(), "AzureContainerRegistry", "None", netip.Addr{})
	}, sharedSilence, one(diagnosis.UDRBlackhole)},
	{"a rule and a route", func() *probe.Report { return loginCut(true, probe.Silence) }, func() *inventory.Inventory {
		return withRoute(withGroup(publicAzure(), 0, denyRule("Outbound", "*")), "0.0.0.0/0", "None", netip.Addr{})
	}, sharedSilence, causes{diagnosis.NSGOutboundDeny, diagnosis.UDRBlackhole}},
	{"a reject", func() *probe.Report { return loginCut(false, probe.Reset) }, nil, nil, one(diagnosis.FirewallRejectsRest)},
	{"an ICMP prohibition in a virtual network", func() *probe.Report { return loginCut(true, probe.HostUnreach) }, publicAzure, nil, one(diagnosis.FirewallRejectsRest)},
	{"a name filter that resets", func() *probe.Report { return nameFilter(probe.TLSReset, true) }, publicAzure, nil, one(diagnosis.SNIBlocked)},
	{"a name filter that is silent", func() *probe.Report { return nameFilter(probe.TLSSilence, true) }, nil, nil, one(diagnosis.SNIBlocked)},
	{"a name filter that allows a list", func() *probe.Report { return nameFilter(probe.TLSClosed, false) }, func() *inventory.Inventory { return withFirewall(publicAzure(), "mcr.microsoft.com") }, nil, one(diagnosis.SNIBlocked)},
	{"packets too large", tooLarge, publicAzure, nil, one(diagnosis.MTUBlackhole)},

	{"drops to the data endpoint on-premises", func() *probe.Report { return layerCut(false, data, publicData, probe.Silence) }, nil, nil, one(diagnosis.FirewallDropsData)},
	{"drops to the data endpoint in a virtual network", func() *probe.Report { return layerCut(true, data, publicData, probe.Silence) }, publicAzure, sharedData, one(diagnosis.FirewallDropsData)},
	{"an outbound rule against the data endpoint", func() *probe.Report { return layerCut(true, data, publicData, probe.Silence) }, func() *inventory.Inventory {
		return withGroup(publicAzure(), 0, denyRule("Outbound", "20.62.130.0/24"))
	}, sharedData, one(diagnosis.NSGOutboundDeny)},
	{"a storage account that is dropped on-premises", func() *probe.Report { return layerCut(false, storage, publicBlob, probe.Silence) }, nil, nil, one(diagnosis.FirewallBlobWildcardMissing)},
	{"a storage account that is rejected", func() *probe.Report { return layerCut(true, storage, publicBlob, probe.Reset) }, publicAzure, nil, one(diagnosis.FirewallBlobWildcardMissing)},
	{"a storage account that a name filter refuses", layerFiltered(storage, publicBlob), func() *inventory.Inventory { return withFirewall(publicAzure(), login) }, nil, one(diagnosis.FirewallBlobWildcardMissing)},
	{"a data endpoint that a name filter refuses", layerFiltered(data, publicData), publicAzure, causes{diagnosis.FirewallDataAfterEnable, diagnosis.FirewallDropsData}, one(diagnosis.FirewallDropsData)},
	{"data endpoints that came after the firewall", layerFiltered(data, publicData), func() *inventory.Inventory {
		inv := withFirewall(publicAzure(), login, "*.blob.core.windows.net")
		inv.Registry.DataEndpointEnabled = true
		return inv
	}, causes{diagnosis.FirewallDataAfterEnable, diagnosis.FirewallDropsData}, one(diagnosis.FirewallDataAfterEnable)},
	{"one replica's data endpoint", replicaCut, nil, nil, one(diagnosis.GeoReplicaDataBlocked)},
	{"a storage account that refuses the network", storagePolicy, nil, nil, one(diagnosis.StorageServiceEndpointPolicy)},

	{"a rule on the private endpoint's subnet", privateSilence, func() *inventory.Inventory {
		inv := withGroup(azure(), 1, denyRule("Inbound", "*"))
		inv.Networks[0].Subnets[1].PrivateEndpointPolicies = "Enabled"
		return inv
	}, sharedPrivate, one(diagnosis.PENSGBlock)},
	{"a route to nowhere for the private endpoint", privateSilence, func() *inventory.Inventory {
		return withRoute(azure(), "10.0.2.5/32", "None", netip.Addr{})
	}, sharedPrivate, one(diagnosis.UDRBlackhole)},
	{"no peering", farSilence, func() *inventory.Inventory { return spoke(azure(), false) }, sharedPrivate, one(diagnosis.VNetPeeringMissing)},
	{"a peering that lost its other half", farSilence, func() *inventory.Inventory {
		inv := spoke(azure(), true)
		inv.Networks[0].Peerings[0].State = "Disconnected"
		inv.Networks[1].Peerings = nil
		return inv
	}, sharedPrivate, one(diagnosis.VNetPeeringMissing)},
	{"a record that points at nothing", privateSilence, func() *inventory.Inventory {
		inv := azure()
		inv.Endpoints, inv.Registry.Connections = nil, nil
		return inv
	}, sharedPrivate, one(diagnosis.PEDeletedZoneLeft)},
	{"a record that points at another network's endpoint", farSilence, func() *inventory.Inventory {
		inv := azure()
		far := spoke(azure(), false)
		far.Endpoints[0].ID, far.Endpoints[0].Name = far.Endpoints[0].ID+"2", "pe2"
		inv.Endpoints = append(inv.Endpoints, far.Endpoints[0])
		inv.Networks = far.Networks
		return inv
	}, sharedPrivate, one(diagnosis.DNSZoneRecordOverwritten)},
	{"an endpoint that waits for approval", publicByMistake, func() *inventory.Inventory {
		inv := azure()
		inv.Endpoints[0].Status, inv.Registry.Connections[0].Status = "Pending", "Pending"
		return inv
	}, sharedZone, one(diagnosis.PENotApproved)},

	{"an address that is not listed", func() *probe.Report { return refused(true) }, func() *inventory.Inventory {
		inv := publicAzure()
		inv.Registry.DefaultAction, inv.Registry.IPRules = "Deny", []string{"198.51.100.7"}
		return inv
	}, sharedRules, one(diagnosis.RegistryIPRule)},
	{"an address that changed", func() *probe.Report { return refused(true) }, func() *inventory.Inventory {
		inv := publicAzure()
		inv.Registry.DefaultAction, inv.Registry.IPRules = "Deny", []string{"203.0.113.11"}
		return inv
	}, sharedRules, one(diagnosis.EgressIPChanged)},
	{"public access off", func() *probe.Report { return refused(false) }, func() *inventory.Inventory {
		inv := publicAzure()
		inv.Registry.PublicNetworkAccess, inv.Registry.DefaultAction = "Disabled", "Deny"
		return inv
	}, outsideRules, one(diagnosis.PublicAccessDisabled)},
	{"a subnet rule without service endpoint", func() *probe.Report { return refused(true) }, func() *inventory.Inventory {
		inv := publicAzure()
		inv.Registry.DefaultAction, inv.Registry.VirtualNetworkRules = "Deny", []string{inv.Networks[0].Subnets[0].ID}
		return inv
	}, sharedRules, one(diagnosis.ServiceEndpointNotEnabled)},
	{"a service endpoint without rule", func() *probe.Report { return refusedAs(clientIP) }, func() *inventory.Inventory {
		inv := publicAzure()
		inv.Registry.DefaultAction = "Deny"
		inv.Networks[0].Subnets[0].ServiceEndpoints = []string{registryService}
		return inv
	}, causes{diagnosis.ServiceEndpointRuleMissing, diagnosis.ServiceEndpointShadowsIPRule, diagnosis.ServiceEndpointDisabledByPublicAccess}, one(diagnosis.ServiceEndpointRuleMissing)},
	{"a service endpoint that hides the listed address", func() *probe.Report { return refusedAs(clientIP) }, func() *inventory.Inventory {
		inv := publicAzure()
		inv.Registry.DefaultAction, inv.Registry.IPRules = "Deny", []string{egressIP.String()}
		inv.Networks[0].Subnets[0].ServiceEndpoints = []string{registryService}
		return inv
	}, causes{diagnosis.ServiceEndpointRuleMissing, diagnosis.ServiceEndpointShadowsIPRule, diagnosis.ServiceEndpointDisabledByPublicAccess}, one(diagnosis.ServiceEndpointShadowsIPRule)},
	{"an IPv6 address that is not listed", func() *probe.Report { return refusedAs(netip.MustParseAddr("2001:db8::7")) }, func() *inventory.Inventory {
		inv := publicAzure()
		inv.Registry.DefaultAction = "Deny"
		return inv
	}, causes{diagnosis.IPv6IPRuleMissing, diagnosis.PublicAccessDisabled}, one(diagnosis.IPv6IPRuleMissing)},
	{"a stranded network that public rules do not list", publicByMistake, func() *inventory.Inventory {
		inv := spoke(azure(), false)
		inv.Zones[0].Links = nil
		inv.Registry.PublicNetworkAccess = "Enabled"
		return inv
	}, sharedZone, one(diagnosis.RegistryIPRule)},

	{"a proxy that refuses the name", func() *probe.Report { return byProxy(403, "answered") }, publicAzure, nil, one(diagnosis.ProxyDenied403)},
	{"a proxy that wants credentials", func() *probe.Report { return byProxy(407, "answered") }, nil, nil, one(diagnosis.ProxyAuth407)},
	{"a proxy that hangs up", func() *probe.Report { return byProxy(0, "closed") }, nil, nil, one(diagnosis.ProxyEOF)},
	{"a proxy that is spoken to in TLS", tlsToProxy, nil, nil, one(diagnosis.ProxyEOF)},
	{"a proxy that is down", deadProxy, nil, nil, one(diagnosis.ProxyUnreachable)},
	{"a container engine without proxy", daemonDirect, nil, nil, one(diagnosis.DaemonIgnoresProxy)},
	{"a proxy exemption without the data endpoint", func() *probe.Report { return splitProxy(true) }, nil, nil, one(diagnosis.NoProxyMissesData)},
	{"a proxy exemption of the data endpoint alone", func() *probe.Report { return splitProxy(false) }, nil, nil, one(diagnosis.NoProxyMissesData)},
	{"a proxy before a private endpoint", proxyForPrivate, nil, nil, one(diagnosis.ProxyUsedForPE)},
	{"a proxy whose address is not listed", proxyEgress, func() *inventory.Inventory {
		inv := publicAzure()
		inv.Registry.DefaultAction = "Deny"
		return inv
	}, causes{diagnosis.ProxyEgressNotAllowed, diagnosis.PublicAccessDisabled}, one(diagnosis.ProxyEgressNotAllowed)},
	{"inspection", intercepted, publicAzure, nil, one(diagnosis.TLSIntercepted)},
	{"a wrong clock", wrongClock, nil, nil, one(diagnosis.ClockSkew)},

	{"refused credentials", badCredentials, nil, nil, one(diagnosis.CredentialsOrRBAC)},
	{"too many requests", throttled, nil, nil, one(diagnosis.Throttled429)},
	{"a silent IPv6 address", silentIPv6, nil, nil, one(diagnosis.IPv6PathBlackholed)},

	{"two faults: refused address and missing data record", func() *probe.Report {
		r := dataRecordMissing()
		r.Lookups[0] = lookup(login, probe.Configured, azureDNS, probe.NoError, chain(login, true)[:1], peLogin)
		return r
	}, nil, nil, one(diagnosis.DNSZoneMissingDataRecord)},
	{"two faults: unlinked zone and a rule on the private endpoint's subnet", publicByMistake, func() *inventory.Inventory {
		inv := withGroup(azure(), 1, denyRule("Inbound", "*"))
		inv.Networks[0].Subnets[1].PrivateEndpointPolicies = "Enabled"
		inv.Zones[0].Links = nil
		return inv
	}, sharedZone, causes{diagnosis.DNSZoneNotLinked, diagnosis.PENSGBlock}},
	{"two faults: a login server out of reach and a filtered data endpoint", loginAndData, nil, nil, causes{diagnosis.FirewallRejectsRest, diagnosis.FirewallDropsData}},
}

func TestEachFaultIsJudgedWithAndWithoutAzure(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			j := Judge(f.report(), nil)
			if f.without == nil || len(f.without) == 1 {
				want := f.want
				if f.without != nil {
					want = f.without
				}
				require.Equal(t, want, named(j), "without Azure: %s", explain(j))
				for _, x := range j.Findings {
					require.Equal(t, diagnosis.Proven, x.Certainty, x.Cause)
				}
			} else {
				require.ElementsMatch(t, f.without, named(j), "without Azure: %s", explain(j))
				for _, x := range j.Findings {
					require.Equal(t, diagnosis.Possible, x.Certainty, x.Cause)
					require.NotEmpty(t, x.DecidedBy, x.Cause)
				}
			}
			sane(t, j)
			if f.azure == nil {
				return
			}
			j = Judge(f.report(), f.azure())
			require.Equal(t, f.want, named(j), "with Azure: %s", explain(j))
			for _, x := range j.Findings {
				require.Equal(t, diagnosis.Proven, x.Certainty, "%s: %s", x.Cause, explain(j))
				require.Empty(t, x.DecidedBy)
			}
			sane(t, j)
		})
	}
}

func named(j Judgement) causes {
	out := causes{}
	for _, f := range j.Findings {
		out = append(out, f.Cause)
	}
	return out
}

func explain(j Judgement) string {
	var b strings.Builder
	for _, f := range j.Findings {
		b.WriteString(string(f.Cause) + " (" + string(f.Certainty) + "): " + f.Summary + "\n")
		for _, e := range f.Evidence {
			b.WriteString("  " + e.Probe + ": " + e.Saw + "\n")
		}
		for _, e := range f.Excluded {
			b.WriteString("  not " + string(e.Cause) + ": " + e.Because + "\n")
		}
	}
	return b.String()
}

// sane is what holds for every judgement.
func sane(t *testing.T, j Judgement) {
	t.Helper()
	require.NotNil(t, j.Findings)
	require.False(t, j.Works && len(j.Findings) > 0)
	for _, f := range j.Findings {
		_, known := diagnosis.Lookup(f.Cause)
		require.True(t, known, f.Cause)
		require.True(t, strings.HasSuffix(f.Summary, "."), "%s: %q", f.Cause, f.Summary)
		require.NotEmpty(t, f.Remedy.Summary, f.Cause)
		require.NotEmpty(t, f.Evidence, f.Cause)
		for _, text := range append([]string{f.Summary, f.Remedy.Summary, f.DecidedBy}, f.Remedy.Commands...) {
			require.NotContains(t, text, "invalid IP", "%s: %s", f.Cause, text)
			require.NotContains(t, text, "%!", "%s: %s", f.Cause, text)
		}
		for _, x := range f.Excluded {
			require.NotEqual(t, f.Cause, x.Cause, "%s is found and excluded: %s", x.Cause, x.Because)
			require.NotEmpty(t, x.Because)
		}
		for _, c := range f.Remedy.Changes {
			n := 0
			for _, set := range []bool{c.ARM != nil, c.Allow != nil, c.Environment != nil, c.Resolver != nil, c.Hosts != nil, c.UseRegistry != ""} {
				if set {
					n++
				}
			}
			require.Equal(t, 1, n)
			if c.ARM != nil {
				require.True(t, strings.HasPrefix(c.ARM.ID, "/subscriptions/"), c.ARM.ID)
				require.NotEmpty(t, c.ARM.APIVersion)
				require.Equal(t, c.ARM.Method != "DELETE", len(c.ARM.Body) > 0)
			}
		}
	}
}

func TestAHealthyReportGivesNoFinding(t *testing.T) {
	healthy := map[string]func() (*probe.Report, *inventory.Inventory){
		"public from outside":            func() (*probe.Report, *inventory.Inventory) { return reportFor(false), nil },
		"public from a virtual network":  func() (*probe.Report, *inventory.Inventory) { return reportFor(true), publicAzure() },
		"private":                        func() (*probe.Report, *inventory.Inventory) { return privateReport(), azure() },
		"private without access":         func() (*probe.Report, *inventory.Inventory) { return privateReport(), nil },
		"private endpoint used publicly": usedPublicly,
		"far replica out of reach": func() (*probe.Report, *inventory.Inventory) {
			r := privateReport()
			r.Paths = append(r.Paths, broken(sound(data2, probe.RoleData, publicData), probe.Silence))
			return r, azure()
		},
		"Microsoft Artifact Registry out of reach": func() (*probe.Report, *inventory.Inventory) {
			r := reportFor(false)
			r.Control[0] = broken(r.Control[0], probe.Silence)
			return r, nil
		},
	}
	for name, make := range healthy {
		t.Run(name, func(t *testing.T) {
			r, inv := make()
			j := Judge(r, inv)
			require.Empty(t, j.Findings, explain(j))
			require.True(t, j.Works)
		})
	}
}

func usedPublicly() (*probe.Report, *inventory.Inventory) {
	r := publicByMistake()
	healthyAPI(r, data, publicData)
	return r, nil
}

func TestARuleThatDoesNotApplyToPrivateEndpointsIsNotTheCause(t *testing.T) {
	// privateEndpointNetworkPolicies is Disabled: the group is no obstacle, the route is.
	inv := withRoute(withGroup(azure(), 1, denyRule("Inbound", "*")), "10.0.2.5/32", "None", netip.Addr{})
	j := Judge(privateSilence(), inv)
	require.Equal(t, one(diagnosis.UDRBlackhole), named(j), explain(j))
}

func TestADenyAtTheLowestNumberIsMovedFirst(t *testing.T) {
	rule := denyRule("Inbound", "*")
	rule.Priority, rule.ID = 100, "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/networkSecurityGroups/nsg/securityRules/deny"
	rule.Raw = []byte(`{"name":"deny","properties":{"priority":100,"access":"Deny"}}`)
	inv := withGroup(azure(), 1, rule)
	inv.Networks[0].Subnets[1].PrivateEndpointPolicies = "Enabled"
	j := Judge(privateSilence(), inv)
	require.Equal(t, one(diagnosis.PENSGBlock), named(j), explain(j))
	changes := j.Findings[0].Remedy.Changes
	require.Len(t, changes, 2)
	require.JSONEq(t, `{"name":"deny","properties":{"priority":101,"access":"Deny"}}`, string(changes[0].ARM.Body))
	require.Contains(t, string(changes[1].ARM.Body), `"priority":100`)
}

func TestWithoutLayersItIsUndecided(t *testing.T) {
	r := reportFor(false)
	r.API.Token, r.API.Manifest, r.API.Blob = &probe.Token{Source: "anonymous"}, nil, nil
	j := Judge(r, nil)
	require.Empty(t, j.Findings, explain(j))
	require.False(t, j.Works)
	require.NotEmpty(t, j.NotChecked)
}

func TestPartialRightsLowerCertaintyAndAreNamed(t *testing.T) {
	inv := withGroup(publicAzure(), 0)
	inv.Status[inventory.SecurityGroups] = inventory.Status{Err: "403 AuthorizationFailed"}
	inv.SecurityGroups = nil
	j := Judge(loginCut(true, probe.Silence), inv)
	require.ElementsMatch(t, causes{diagnosis.FirewallDropsRest, diagnosis.NSGOutboundDeny}, named(j), explain(j))
	for _, f := range j.Findings {
		require.Equal(t, diagnosis.Possible, f.Certainty)
	}
	require.Contains(t, j.NotChecked, diagnosis.Omission{Check: string(inventory.SecurityGroups), Because: "403 AuthorizationFailed"})
}

func TestJudgeTakesAnyReport(t *testing.T) {
	// Every fault's report with any one of its parts missing.
	for _, f := range faults {
		for _, strip := range strips {
			for _, inv := range []*inventory.Inventory{nil, {}, {Status: known()}, publicAzure()} {
				r := f.report()
				strip(r)
				require.NotPanics(t, func() { Judge(r, inv) }, f.name)
			}
		}
	}
	require.NotPanics(t, func() { Judge(nil, nil) })
	require.Empty(t, Judge(&probe.Report{}, nil).Findings)
}

var strips = []func(*probe.Report){
	func(r *probe.Report) { r.Lookups = nil },
	func(r *probe.Report) { r.Paths = nil },
	func(r *probe.Report) { r.API = nil },
	func(r *probe.Report) { r.API = &probe.API{} },
	func(r *probe.Report) { r.API = &probe.API{Blob: &probe.Blob{Host: data}} },
	func(r *probe.Report) { r.Vantage = probe.Vantage{} },
	func(r *probe.Report) { r.Target = probe.Target{} },
	func(r *probe.Report) {
		for i := range r.Paths {
			r.Paths[i].TCP = nil
		}
	},
	func(r *probe.Report) {
		for i := range r.Paths {
			r.Paths[i].TLS = nil
		}
	},
	func(r *probe.Report) {
		for i := range r.Paths {
			r.Paths[i].Proxy, r.Paths[i].TLS = nil, &probe.TLS{}
		}
	},
	func(r *probe.Report) {
		for i := range r.Lookups {
			r.Lookups[i].Addrs, r.Lookups[i].Chain = nil, nil
		}
	},
}

func TestEveryCauseOfTheTableIsKnown(t *testing.T) {
	for _, c := range Causes() {
		_, ok := diagnosis.Lookup(c)
		require.True(t, ok, c)
	}
	for _, f := range faults {
		for _, c := range slices.Concat(f.want, f.without) {
			require.Contains(t, Causes(), c)
		}
	}
}

// The reports.

func nameWrong() *probe.Report {
	r := reportFor(true)
	r.Target.Host = "myregistri.azurecr.io"
	r.Lookups = []probe.Lookup{
		lookup(r.Target.Host, probe.Configured, azureDNS, probe.NXDomain, nil),
		lookup(r.Target.Host, probe.PublicDNS, publicDNS, probe.NXDomain, nil),
	}
	r.Paths = nil
	noAPI(r)
	return r
}

func deadResolver() *probe.Report {
	r := privateReport()
	r.Vantage.Resolvers = []netip.Addr{corpDNS}
	r.Lookups = []probe.Lookup{
		lookup(login, probe.Configured, corpDNS, probe.Timeout, nil),
		lookup("mcr.microsoft.com", probe.Configured, corpDNS, probe.Timeout, nil),
		lookup(login, probe.AzureDNS, azureDNS, probe.NoError, chain(login, true)[:1], peLogin),
		lookup(data, probe.Configured, corpDNS, probe.Timeout, nil),
	}
	r.Paths = []probe.Path{{Host: login, Port: 443, Role: probe.RoleLogin, Via: probe.Direct, Shell: true, TCP: &probe.TCP{Outcome: probe.NoAddress}}}
	noAPI(r)
	return r
}

func recordMissing() *probe.Report {
	r := privateReport()
	r.Lookups[0] = lookup(login, probe.Configured, azureDNS, probe.NXDomain, chain(login, true)[:1])
	r.Paths = r.Paths[1:]
	noAPI(r)
	return r
}

func dataRecordMissing() *probe.Report {
	r := privateReport()
	r.Lookups[2] = lookup(data, probe.Configured, azureDNS, probe.NXDomain, chain(data, true)[:1])
	r.Paths = []probe.Path{r.Paths[0], {Host: data, Port: 443, Role: probe.RoleData, Via: probe.Direct, Shell: true, TCP: &probe.TCP{Outcome: probe.NoAddress}}}
	r.API.Blob.OK, r.API.Blob.Path = false, &r.Paths[1]
	return r
}

func replicaRecordMissing() *probe.Report {
	r := dataRecordMissing()
	r.Lookups = append(r.Lookups, lookup(data2, probe.Configured, azureDNS, probe.NoError, chain(data2, true)[:1], netip.MustParseAddr("10.0.2.6")))
	return r
}

func dataPublic() *probe.Report {
	r := privateReport()
	r.Lookups[2] = lookup(data, probe.Configured, azureDNS, probe.NoError, chain(data, true), publicData)
	p := broken(sound(data, probe.RoleData, publicData), probe.Silence)
	r.Paths[1] = p
	r.API.Blob.OK, r.API.Blob.Path = false, &p
	return r
}

func customDNS() *probe.Report {
	r := publicByMistake()
	r.Vantage.Resolvers = []netip.Addr{corpDNS}
	for i := range r.Lookups {
		if r.Lookups[i].Kind == probe.Configured {
			r.Lookups[i].Resolver = corpDNS
		}
	}
	r.Lookups = append(r.Lookups, lookup(login, probe.AzureDNS, azureDNS, probe.NoError, chain(login, true)[:1], peLogin))
	return r
}

func hostsFile() *probe.Report {
	r := privateReport()
	old := netip.MustParseAddr("20.62.128.99")
	r.Vantage.Hosts = map[string][]netip.Addr{login: {old}}
	r.Lookups = append(r.Lookups, lookup(login, probe.HostsFile, netip.Addr{}, probe.NoError, nil, old))
	r.Paths[0] = broken(sound(login, probe.RoleLogin, old), probe.Silence)
	noAPI(r)
	return r
}

func privateLinkName() *probe.Report {
	r := privateReport()
	name := "myregistry.privatelink.azurecr.io"
	r.Target.Host = name
	r.Lookups = []probe.Lookup{lookup(name, probe.Configured, azureDNS, probe.NoError, nil, peLogin)}
	p := sound(name, probe.RoleLogin, peLogin)
	p.TLS.Outcome, p.TLS.Names = probe.WrongName, []string{"*.azurecr.io"}
	r.Paths = []probe.Path{p}
	noAPI(r)
	return r
}

func loginCut(inVNet bool, o probe.TCPOutcome) *probe.Report {
	r := reportFor(inVNet)
	r.Paths[0] = broken(r.Paths[0], o)
	noAPI(r)
	return r
}

func nameFilter(o probe.TLSOutcome, otherPasses bool) *probe.Report {
	r := reportFor(true)
	p := &r.Paths[0]
	p.HTTP, p.TLS = nil, &probe.TLS{ServerName: login, Outcome: o, Took: 3 * time.Second}
	p.OtherName = &probe.TLS{ServerName: "www.example.com", Outcome: o}
	if otherPasses {
		p.OtherName.Outcome = probe.WrongName
	}
	noAPI(r)
	return r
}

func tooLarge() *probe.Report {
	r := nameFilter(probe.TLSSilence, false)
	r.Paths[0].SmallSegments = &probe.TLS{ServerName: login, Outcome: probe.Verified}
	return r
}

func layerCut(inVNet bool, host string, at netip.Addr, o probe.TCPOutcome) *probe.Report {
	r := reportFor(inVNet)
	r.Lookups = append(r.Lookups, lookup(host, probe.Configured, r.Vantage.Resolvers[0], probe.NoError, nil, at))
	p := broken(sound(host, roleOf(host), at), o)
	r.Paths = append(r.Paths, p)
	r.API.Blob = &probe.Blob{Digest: "sha256:0123456789abcdef0123", Redirect: probe.HTTP{Status: 307}, Host: host, Path: &p}
	return r
}

func layerFiltered(host string, at netip.Addr) func() *probe.Report {
	return func() *probe.Report {
		r := layerCut(true, host, at, probe.Connected)
		p := sound(host, roleOf(host), at)
		p.HTTP, p.TLS = nil, &probe.TLS{ServerName: host, Outcome: probe.TLSClosed}
		p.OtherName = &probe.TLS{ServerName: "www.example.com", Outcome: probe.WrongName}
		r.Paths[1], r.API.Blob.Path = p, &p
		return r
	}
}

func replicaCut() *probe.Report {
	r := layerCut(false, data, publicData, probe.Silence)
	r.Paths = append(r.Paths, sound(data2, probe.RoleData, netip.MustParseAddr("20.50.1.4")))
	return r
}

func storagePolicy() *probe.Report {
	r := layerCut(true, storage, publicBlob, probe.Connected)
	p := sound(storage, probe.RoleStorage, publicBlob)
	p.HTTP = &probe.HTTP{Status: 403, Body: "<?xml version=\"1.0\"?><Error><Code>AuthorizationFailure</Code></Error>"}
	r.Paths[1], r.API.Blob.Path = p, &p
	return r
}

func privateSilence() *probe.Report {
	r := privateReport()
	for i := range r.Paths {
		r.Paths[i] = broken(r.Paths[i], probe.Silence)
	}
	noAPI(r)
	return r
}

// farSilence: names lead to an endpoint in another network.
func farSilence() *probe.Report {
	r := privateSilence()
	far, farData := netip.MustParseAddr("10.9.2.5"), netip.MustParseAddr("10.9.2.4")
	r.Lookups[0].Addrs, r.Lookups[2].Addrs = []netip.Addr{far}, []netip.Addr{farData}
	r.Paths[0].Addr, r.Paths[1].Addr = far, farData
	return r
}

func refused(inVNet bool) *probe.Report {
	r := reportFor(inVNet)
	denied(r, egressIP)
	return r
}

func refusedAs(ip netip.Addr) *probe.Report {
	r := reportFor(true)
	denied(r, ip)
	return r
}

const proxyURL = "http://proxy.corp.example:3128"

func byProxy(status int, outcome string) *probe.Report {
	r := reportFor(false)
	r.Vantage.Shell = probe.ProxySettings{HTTPSProxy: proxyURL, From: "environment HTTPS_PROXY"}
	r.Paths[0] = proxied(r.Paths[0], status, outcome)
	if status/100 != 2 {
		noAPI(r)
	}
	return r
}

func tlsToProxy() *probe.Report {
	r := byProxy(0, "not-tls")
	r.Vantage.Shell.HTTPSProxy = "https://proxy.corp.example:3128"
	r.Paths[0].Proxy.URL, r.Paths[0].Proxy.PlainWorks = r.Vantage.Shell.HTTPSProxy, true
	return r
}

func deadProxy() *probe.Report {
	r := byProxy(0, "silence")
	r.Paths[0].TCP = &probe.TCP{Outcome: probe.Reset}
	return r
}

func daemonDirect() *probe.Report {
	r := byProxy(200, "answered")
	r.Paths[0].Daemon = false
	d := broken(sound(login, probe.RoleLogin, publicLogin), probe.Silence)
	d.Shell = false
	layers := broken(sound(storage, probe.RoleStorage, publicBlob), probe.Silence)
	layers.Shell = false
	r.Paths = append(r.Paths, d, layers)
	r.Vantage.Daemon = &probe.DaemonSettings{Engine: "docker", Read: []string{"/etc/docker/daemon.json"}}
	return r
}

func splitProxy(loginDirect bool) *probe.Report {
	r := layerCut(false, data, publicData, probe.Silence)
	r.Vantage.Shell = probe.ProxySettings{HTTPSProxy: proxyURL, NoProxy: login, From: "environment HTTPS_PROXY"}
	if loginDirect {
		p := proxied(sound(data, probe.RoleData, publicData), 403, "answered")
		r.Paths[1], r.API.Blob.Path = p, &p
		return r
	}
	r.Vantage.Shell.NoProxy = ".data.azurecr.io"
	r.Paths[0] = proxied(r.Paths[0], 200, "answered")
	return r
}

func proxyForPrivate() *probe.Report {
	r := privateReport()
	r.Vantage.Shell = probe.ProxySettings{HTTPSProxy: proxyURL, From: "environment HTTPS_PROXY"}
	for i := range r.Paths {
		r.Paths[i] = proxied(r.Paths[i], 200, "answered")
	}
	denied(r, egressIP)
	return r
}

func proxyEgress() *probe.Report {
	r := byProxy(200, "answered")
	denied(r, egressIP)
	return r
}

func intercepted() *probe.Report {
	r := reportFor(true)
	p := &r.Paths[0]
	p.HTTP, p.TLS = nil, &probe.TLS{ServerName: login, Outcome: probe.UnknownCA, Issuer: "CN=Example Corp TLS Inspection CA", IssuerOrg: "Example Corp"}
	noAPI(r)
	return r
}

func wrongClock() *probe.Report {
	r := reportFor(false)
	r.Paths[0].HTTP, r.Paths[0].TLS.Outcome = nil, probe.OutOfTime
	r.Vantage.HasSkew, r.Vantage.ClockSkew = true, 400*24*time.Hour
	noAPI(r)
	return r
}

func badCredentials() *probe.Report {
	r := reportFor(false)
	r.API.Token = &probe.Token{Source: "docker-config", Steps: []probe.HTTP{{Method: "GET", URL: "https://" + login + "/oauth2/token", Status: 401}}}
	r.API.Manifest, r.API.Blob = nil, nil
	return r
}

func throttled() *probe.Report {
	r := reportFor(false)
	r.API.Manifest, r.API.Blob = &probe.Step{HTTP: probe.HTTP{Method: "GET", Status: 429}}, nil
	return r
}

func silentIPv6() *probe.Report {
	r := reportFor(false)
	r.Paths = append(r.Paths, broken(sound(login, probe.RoleLogin, netip.MustParseAddr("2603:1030:210::4")), probe.Silence))
	return r
}

func loginAndData() *probe.Report {
	r := loginCut(false, probe.Reset)
	r.Lookups = append(r.Lookups, lookup(data, probe.Configured, corpDNS, probe.NoError, nil, publicData))
	p := sound(data, probe.RoleData, publicData)
	p.HTTP, p.TLS = nil, &probe.TLS{ServerName: data, Outcome: probe.TLSReset}
	p.OtherName = &probe.TLS{ServerName: "www.example.com", Outcome: probe.WrongName}
	r.Paths = append(r.Paths, p)
	return r
}
