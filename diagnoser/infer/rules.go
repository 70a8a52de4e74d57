package infer

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/diagnoser/inventory"
	"github.com/acrlab/acrlab/diagnosis"
)

const registryService = "Microsoft.ContainerRegistry"

// rulesTable: the registry answers 403 DENIED. The body is the same whether
// the address is not listed or public access is off.
var rulesTable = []situation{
	{
		name: "the registry refuses an IPv6 address", family: familyRules,
		seen: seesDenied(func(ip addr) bool { return ip.Is6() && !ip.Is4In6() }, "the registry's rules refuse the IPv6 address that this client leaves from"),
		causes: []candidate{
			{
				cause: diagnosis.IPv6IPRuleMissing, azure: azureIPRule,
				decidedBy: ruleRead,
				summary: func(v *view) string {
					ip, _ := v.denied()
					return fmt.Sprintf("The registry's IP rules do not allow %s, the IPv6 address that this client leaves from.", ip)
				},
				remedy: remedyIPRule,
			},
			publicDisabled,
		},
	},
	{
		name: "the registry refuses a private address", family: familyRules,
		seen: seesDenied(func(ip addr) bool { return ip.IsPrivate() }, "the registry saw an address of the virtual network: a service endpoint carries the traffic"),
		causes: []candidate{
			{
				cause: diagnosis.ServiceEndpointRuleMissing, azure: azureSubnetRuleMissing, decidedBy: subnetRuleRead,
				summary: func(v *view) string {
					return fmt.Sprintf("%s reaches the registry by the service endpoint %s, and the registry has no rule for it.", subnetName(v), registryService)
				},
				remedy: remedySubnetRule,
			},
			{
				cause: diagnosis.ServiceEndpointShadowsIPRule, azure: azureShadowed, decidedBy: subnetRuleRead,
				summary: func(v *view) string {
					return fmt.Sprintf("The service endpoint on %s shows the registry a private address, so the IP rule for the public one does not match.", subnetName(v))
				},
				remedy: remedySubnetRule,
			},
			{
				cause: diagnosis.ServiceEndpointDisabledByPublicAccess, azure: azureServiceEndpointOff, decidedBy: ruleRead,
				summary: func(v *view) string {
					return "Public access to the registry is disabled, which disables its service endpoint rules as well."
				},
				remedy: remedyPublicAccess,
			},
		},
	},
	{
		name: "the registry refuses the client's address", family: familyRules,
		seen: seesDenied(func(addr) bool { return true }, "the registry was reached and its network rules refuse this address"),
		causes: []candidate{
			ipRule, egressChanged, publicDisabled, pending,
			{
				cause: diagnosis.ServiceEndpointNotEnabled, azure: azureServiceEndpointMissing,
				applies:   func(v *view) bool { return v.r.Vantage.InAzureVNet != nil && *v.r.Vantage.InAzureVNet },
				decidedBy: subnetRuleRead,
				summary: func(v *view) string {
					if v.subnet == nil {
						return "The registry may have a rule for this client's subnet, which lacks the service endpoint " + registryService + " that the rule needs."
					}
					return fmt.Sprintf("The registry has a rule for %s, but the subnet has no service endpoint %s, so its traffic arrives from a public address that no rule allows.", subnetName(v), registryService)
				},
				remedy: remedyServiceEndpoint,
			},
			{
				cause: diagnosis.ServiceEndpointDisabledByPublicAccess, hidden: true, azure: azureServiceEndpointOffHere,
				summary: func(v *view) string {
					return fmt.Sprintf("The registry has a rule for %s, and public access is disabled, which disables service endpoint rules as well.", subnetName(v))
				},
				remedy: remedyPublicAccess,
			},
		},
	},
}

const (
	ruleRead       = "az acr show -n NAME --query \"{public:publicNetworkAccess,rules:networkRuleSet}\" (publicNetworkAccess, then ipRules)"
	subnetRuleRead = "az acr show -n NAME --query \"{public:publicNetworkAccess,rules:networkRuleSet}\", with api-version 2021-06-01-preview for virtualNetworkRules, and the subnet's serviceEndpoints"
)

var ipRule = candidate{
	cause: diagnosis.RegistryIPRule, azure: azureNotListed, decidedBy: ruleRead,
	summary: func(v *view) string {
		ip, _ := v.denied()
		return fmt.Sprintf("The registry's IP rules do not allow %s, the address that this client leaves from.", orThis(ip))
	},
	remedy: remedyIPRule,
}

var egressChanged = candidate{
	cause: diagnosis.EgressIPChanged, azure: azureEgressChanged, decidedBy: ruleRead + "; do the rules hold an address that this network used to leave from?",
	summary: func(v *view) string {
		ip, _ := v.denied()
		return fmt.Sprintf("This network now leaves from %s; the registry's IP rules allow another address of the same owner.", orThis(ip))
	},
	remedy: remedyIPRule,
}

var publicDisabled = candidate{
	cause: diagnosis.PublicAccessDisabled, azure: azurePublicDisabled, decidedBy: ruleRead,
	summary: func(v *view) string {
		return "Public access to the registry is disabled, and this client comes to its public endpoint."
	},
	remedy: remedyPublicAccess,
}

func (c candidate) asHidden() candidate {
	c.hidden = true
	return c
}

// outOfReach makes a registry rule a hidden candidate for a client that has no
// way to any private endpoint.
func outOfReach(c candidate) candidate {
	c.hidden = true
	decide := c.azure
	c.azure = func(v *view) ruling {
		if !v.strandedFromEndpoint() {
			return unread
		}
		return decide(v)
	}
	return c
}

func orThis(ip addr) string {
	if !ip.IsValid() {
		return "this client's address"
	}
	return ip.String()
}

func subnetName(v *view) string {
	if v.subnet == nil {
		return "this client's subnet"
	}
	return "subnet " + v.network.Name + "/" + v.subnet.Name
}

func seesDenied(want func(addr) bool, means string) func(*view) (sighting, bool) {
	return func(v *view) (sighting, bool) {
		ip, denied := v.denied()
		if !denied || v.proxied() || !want(ip) {
			return sighting{}, false
		}
		e := []diagnosis.Evidence{{Probe: "challenge", Saw: deniedText(ip), Means: means}}
		if l := v.dns.effective; l != nil {
			e = append(e, dnsEvidence(l, "this is the endpoint that refused"))
		}
		x := []diagnosis.Exclusion{
			{Cause: diagnosis.CredentialsOrRBAC, Because: "credentials are looked at after the network rules; their refusal is a 401"},
			{Cause: diagnosis.ProxyDenied403, Because: "the 403 has the registry's error code and no proxy is on the way"},
		}
		if !v.dns.hasEndpoint() && v.class(v.dns.effective) == public {
			x = append(x, diagnosis.Exclusion{Cause: diagnosis.DNSZoneNotLinked, Because: "the name has no privatelink alias: the registry has no private endpoint"})
		}
		return sighting{evidence: e, excluded: x}, true
	}
}

// registry is the resource, if it was read.
func (v *view) registry() *inventory.Registry {
	if !v.inv.Known(inventory.Registries) {
		return nil
	}
	return v.inv.Registry
}

func disabled(r *inventory.Registry) bool {
	return strings.EqualFold(r.PublicNetworkAccess, "Disabled")
}

func azurePublicDisabled(v *view) ruling {
	reg := v.registry()
	switch {
	case reg == nil:
		return unread
	case !disabled(reg):
		return exclude("publicNetworkAccess is " + reg.PublicNetworkAccess)
	}
	if r := azurePending(v); r.verdict == confirmed {
		return exclude("a private endpoint exists and waits for approval: " + r.saw)
	}
	if v.subnetAllowed() && v.serviceEndpoint() {
		return exclude("the registry has a rule for this subnet, which public access disables with it")
	}
	if v.outside() && azureOnPremDNS(v).verdict == confirmed && v.dns.hasEndpoint() {
		return exclude("a private endpoint is connected to networks outside Azure")
	}
	return confirm("publicNetworkAccess is Disabled")
}

// azureNotListed: public access is on and no rule covers the address.
func azureNotListed(v *view) ruling {
	r := azureIPRule(v)
	if r.verdict != confirmed {
		return r
	}
	if e := azureEgressChanged(v); e.verdict == confirmed {
		return exclude(e.saw)
	}
	if s := azureServiceEndpointMissing(v); s.verdict == confirmed {
		return exclude("the registry means to let this subnet in by a rule of its own: " + s.saw)
	}
	if p := azurePending(v); p.verdict == confirmed {
		return exclude("this network's private endpoint waits for approval: " + p.saw)
	}
	if v.outside() && v.dns.hasEndpoint() && azureOnPremDNS(v).verdict == confirmed {
		return exclude("a private endpoint is connected to networks outside Azure")
	}
	return r
}

// azureEgressChanged: the rules hold a neighbour of the refused address, or the
// registry saw several addresses in this one run.
func azureEgressChanged(v *view) ruling {
	r := azureIPRule(v)
	if r.verdict != confirmed {
		return r
	}
	ip, _ := v.denied()
	if seen := v.deniedAddresses(); len(seen) > 1 {
		for _, a := range seen {
			if a != ip {
				return confirm(fmt.Sprintf("the registry saw %s within one run; its rules hold %s", addrList(seen), listOr(v.inv.Registry.IPRules, "none")))
			}
		}
	}
	for _, rule := range v.inv.Registry.IPRules {
		p, ok := inventory.ParsePrefix(rule)
		if !ok || p.Bits() != p.Addr().BitLen() || p.Addr().Is4() != ip.Is4() {
			continue
		}
		near := 24
		if ip.Is6() {
			near = 64
		}
		if block, err := ip.Prefix(near); err == nil && block.Contains(p.Addr()) {
			return confirm(fmt.Sprintf("ipRules allow the single address %s of the same block %s, not %s", p.Addr(), block, ip))
		}
	}
	return exclude(fmt.Sprintf("ipRules (%s) hold no neighbour of %s that this network could have left from", listOr(v.inv.Registry.IPRules, "empty"), ip))
}

// deniedAddresses are all addresses that the registry printed in this run.
func (s *scene) deniedAddresses() []netip.Addr {
	var out []netip.Addr
	a := s.r.API
	if a == nil {
		return nil
	}
	add := func(denied bool, ip netip.Addr) {
		if denied && ip.IsValid() && !slices.Contains(out, ip) {
			out = append(out, ip)
		}
	}
	if a.Challenge != nil {
		add(a.Challenge.Denied, a.Challenge.DeniedIP)
	}
	if a.Token != nil {
		add(a.Token.Denied, a.Token.DeniedIP)
	}
	if a.Manifest != nil {
		add(a.Manifest.Denied, a.Manifest.DeniedIP)
	}
	return out
}

func covering(rules []string, ip addr) (string, bool) {
	for _, r := range rules {
		if p, ok := inventory.ParsePrefix(r); ok && ip.IsValid() && p.Contains(ip.Unmap()) {
			return r, true
		}
	}
	return "", false
}

// serviceEndpoint: the client's subnet has the registry's service endpoint.
func (v *view) serviceEndpoint() bool {
	return v.subnet != nil && slices.ContainsFunc(v.subnet.ServiceEndpoints, func(s string) bool { return strings.EqualFold(s, registryService) })
}

// subnetAllowed: the registry has a rule for the client's subnet.
func (v *view) subnetAllowed() bool {
	if v.subnet == nil || v.inv.Registry == nil {
		return false
	}
	return slices.ContainsFunc(v.inv.Registry.VirtualNetworkRules, func(id string) bool { return inventory.SameID(id, v.subnet.ID) })
}

// rulesKnown: the registry, its virtual network rules and the client's subnet
// were all read.
func (v *view) rulesKnown() bool {
	return v.registry() != nil && v.inv.Known(inventory.RegistryRules) && v.subnet != nil
}

func azureSubnetRuleMissing(v *view) ruling {
	switch {
	case !v.rulesKnown():
		return unread
	case disabled(v.inv.Registry) || v.subnetAllowed() || !v.serviceEndpoint():
		return exclude(v.subnetFacts())
	}
	if r := azureShadowed(v); r.verdict == confirmed {
		return exclude(r.saw)
	}
	return confirm(v.subnetFacts())
}

// azureShadowed: the address that the network would leave from is allowed, the
// subnet is not.
func azureShadowed(v *view) ruling {
	switch {
	case !v.rulesKnown():
		return unread
	case disabled(v.inv.Registry) || v.subnetAllowed() || !v.serviceEndpoint() || len(v.inv.Registry.IPRules) == 0 || len(v.inv.Registry.VirtualNetworkRules) > 0:
		return exclude(v.subnetFacts())
	}
	if eg := v.r.Vantage.Egress; eg.IsValid() && !eg.IsPrivate() {
		if _, ok := covering(v.inv.Registry.IPRules, eg); !ok {
			return exclude(fmt.Sprintf("ipRules do not hold %s, where this network leaves from", eg))
		}
	}
	return confirm(v.subnetFacts() + "; ipRules hold " + strings.Join(v.inv.Registry.IPRules, ", "))
}

func azureServiceEndpointOff(v *view) ruling {
	switch {
	case v.registry() == nil:
		return unread
	case !disabled(v.inv.Registry):
		return exclude("publicNetworkAccess is " + v.inv.Registry.PublicNetworkAccess)
	}
	return confirm("publicNetworkAccess is Disabled")
}

func azureServiceEndpointOffHere(v *view) ruling {
	if !v.subnetAllowed() || !v.serviceEndpoint() {
		return unread
	}
	return azureServiceEndpointOff(v)
}

func azureServiceEndpointMissing(v *view) ruling {
	switch {
	case !v.rulesKnown():
		return unread
	case disabled(v.inv.Registry) || !v.subnetAllowed() || v.serviceEndpoint():
		return exclude(v.subnetFacts())
	}
	return confirm(v.subnetFacts())
}

func (v *view) subnetFacts() string {
	has, rule := "has no", "no rule"
	if v.serviceEndpoint() {
		has = "has the"
	}
	if v.subnetAllowed() {
		rule = "a rule"
	}
	return fmt.Sprintf("%s %s service endpoint %s; the registry (publicNetworkAccess %s) has %s for it", subnetName(v), has, registryService, v.inv.Registry.PublicNetworkAccess, rule)
}
