package topology

import (
	"fmt"
	"net/netip"
	"strings"
)

const (
	// maxIPRules and maxNetworkRules: container-registry-access-selected-networks
	// and container-registry-vnet, on learn.microsoft.com.
	maxIPRules      = 200
	maxNetworkRules = 100
)

func (c *checker) registry() {
	at := path{"registry"}
	r := c.Registry
	if r == nil {
		c.add(at, "there is no registry")
		return
	}
	if !registryName.MatchString(r.Name) {
		c.add(at.with("name"), "%q is no registry name; it is 5 to 50 letters and digits", r.Name)
	}
	if !regionName.MatchString(r.Location) {
		c.add(at.with("location"), "%q is no region; regions are written like eastus", r.Location)
	}
	if _, ok := r.Replications[r.Location]; ok {
		c.add(at.with("replications", r.Location), "%s is the registry's own region; name the further ones alone", r.Location)
	}
	for _, name := range sortedKeys(r.Repositories) {
		for i, tag := range r.Repositories[name] {
			if !tagName.MatchString(tag) {
				c.add(at.with("repositories", name, fmt.Sprintf("[%d]", i)), "%q is no tag", tag)
			}
		}
	}
	c.premium(at, r)
	if r.NetworkRuleSet != nil {
		c.ruleSet(at.with("networkRuleSet"), *r.NetworkRuleSet)
	}
}

// premium checks that only a Premium registry has what only Premium has.
// https://learn.microsoft.com/azure/container-registry/container-registry-skus
func (c *checker) premium(at path, r *Registry) {
	if r.SKU == "Premium" {
		return
	}
	deny := func(key, what string) {
		c.add(at.with(key), "%s need SKU Premium, the registry is %s", what, r.SKU)
	}
	if len(r.Replications) > 0 {
		deny("replications", "replicas")
	}
	if r.DataEndpointEnabled != nil && *r.DataEndpointEnabled {
		deny("dataEndpointEnabled", "data endpoints")
	}
	if r.PublicNetworkAccess == "Disabled" {
		deny("publicNetworkAccess", "registries without public access")
	}
	if s := r.NetworkRuleSet; s != nil && (s.DefaultAction == "Deny" || len(s.IPRules)+len(s.VirtualNetworkRules) > 0) {
		deny("networkRuleSet", "network rules")
	}
	if len(c.PrivateEndpoints) > 0 {
		deny("sku", "private endpoints")
	}
}

func (c *checker) ruleSet(at path, s NetworkRuleSet) {
	if len(s.IPRules) > maxIPRules {
		c.add(at.with("ipRules"), "%d IP rules; a registry takes %d", len(s.IPRules), maxIPRules)
	}
	if len(s.VirtualNetworkRules) > maxNetworkRules {
		c.add(at.with("virtualNetworkRules"), "%d virtual network rules; a registry takes %d", len(s.VirtualNetworkRules), maxNetworkRules)
	}
	seen := map[string]bool{}
	for i, rule := range s.IPRules {
		sub := at.with("ipRules", fmt.Sprintf("[%d]", i))
		if strings.Contains(rule, "/") {
			if p, err := netip.ParsePrefix(rule); err != nil {
				c.add(sub, "%q is no address or prefix", rule)
			} else if p != p.Masked() {
				c.add(sub, "%s has bits beyond its mask; write %s", rule, p.Masked())
			}
		} else if _, err := netip.ParseAddr(rule); err != nil {
			c.add(sub, "%q is no address or prefix", rule)
		}
		if seen[rule] {
			c.add(sub, "%s is there twice", rule)
		}
		seen[rule] = true
	}
	for i, name := range s.VirtualNetworkRules {
		c.subnetAt(at.with("virtualNetworkRules", fmt.Sprintf("[%d]", i)), name)
	}
}
