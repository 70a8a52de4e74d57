package azure

import (
	"slices"
	"strings"
)

// firewallKind is Microsoft.Network/azureFirewalls, firewallPolicyKind
// …/firewallPolicies and ruleGroupKind their rule collection groups.
// https://learn.microsoft.com/azure/firewall/rule-processing
type (
	firewallKind       struct{ plain }
	firewallPolicyKind struct{ plain }
	ruleGroupKind      struct{ plain }
)

func (firewallKind) check(w *write) error {
	p, err := w.properties()
	if err != nil {
		return invalidContent(err)
	}
	before := w.before()
	if policy := p.text("firewallPolicy", "id"); policy != "" {
		if _, err := w.requireReference(policy, "Microsoft.Network/firewallPolicies"); err != nil {
			return err
		}
		if !strings.EqualFold(policy, before.text("firewallPolicy", "id")) {
			at, _ := ParseID(policy)
			if err := w.linked(at, "Microsoft.Network/firewallPolicies/join/action"); err != nil {
				return err
			}
		}
	}
	taken := map[string]bool{}
	for _, c := range p.bags("ipConfigurations") {
		props := c.bag("properties")
		if props == nil {
			return badRequest("InvalidRequestFormat", "Cannot parse the request. The IP configuration %s of %s has no properties.", c.text("name"), w.id)
		}
		c["id"] = w.id.child("azureFirewallIpConfigurations", c.text("name")).String()
		props["provisioningState"] = "Succeeded"
		subnet := props.text("subnet", "id")
		if subnet == "" {
			continue // only the first has one
		}
		if _, err := w.requireReference(subnet, "Microsoft.Network/virtualNetworks/subnets"); err != nil {
			return err
		}
		at, _ := ParseID(subnet)
		if !strings.EqualFold(at.Name(), "AzureFirewallSubnet") && !strings.EqualFold(elementNamed(before, "ipConfigurations", c.text("name")).text("properties", "subnet", "id"), subnet) {
			return badRequest("AzureFirewallSubnetNameInvalid", "The subnet %s of the firewall %s must be named AzureFirewallSubnet.", subnet, w.id)
		}
		if ip := props.text("publicIPAddress", "id"); ip != "" {
			if _, err := w.requireReference(ip, "Microsoft.Network/publicIPAddresses"); err != nil {
				return err
			}
		}
		address := elementNamed(before, "ipConfigurations", c.text("name")).text("properties", "privateIPAddress")
		if address == "" {
			if address, err = w.freeAddress(at, taken); err != nil {
				return err
			}
		}
		taken[address] = true
		props["privateIPAddress"], props["privateIPAllocationMethod"] = address, "Dynamic"
	}
	p.fill("threatIntelMode", "Alert")
	p.fill("sku", map[string]any{"name": "AZFW_VNet", "tier": "Standard"})
	for _, key := range []string{"networkRuleCollections", "applicationRuleCollections", "natRuleCollections"} {
		p.fill(key, []any{})
	}
	p["provisioningState"] = "Succeeded"
	return w.setProperties(p)
}

func (firewallPolicyKind) check(w *write) error {
	p, err := w.properties()
	if err != nil {
		return invalidContent(err)
	}
	p.keep(w.before(), "sku", "threatIntelMode")
	p.fill("sku", map[string]any{"tier": "Standard"})
	p.fill("threatIntelMode", "Alert")
	p["provisioningState"] = "Succeeded"
	delete(p, "firewalls")
	delete(p, "ruleCollectionGroups")
	return w.setProperties(p)
}

func (firewallPolicyKind) leave(w *write) error {
	if users := w.users(w.old.ID, typeFirewall); len(users) > 0 {
		return badRequest("FirewallPolicyCannotBeDeletedWhenInUse", "Firewall policy %s cannot be deleted because it is in use by the following resources: %s.", w.id, strings.Join(users, ", "))
	}
	return nil
}

func (firewallPolicyKind) show(v view, id ID, _ Resource, p bag) {
	firewalls, groups := []any{}, []any{}
	for _, f := range v.ofType(typeFirewall) {
		fp, _ := bagOf(f.Properties)
		if strings.EqualFold(fp.text("firewallPolicy", "id"), id.String()) {
			firewalls = append(firewalls, ref(f.ID))
		}
	}
	for _, g := range v.children(id, "ruleCollectionGroups") {
		groups = append(groups, ref(g.ID))
	}
	p["firewalls"], p["ruleCollectionGroups"] = firewalls, groups
}

func (ruleGroupKind) check(w *write) error {
	p, err := w.properties()
	if err != nil {
		return invalidContent(err)
	}
	wrong := func(format string, args ...any) error {
		return badRequest("FirewallPolicyRuleCollectionGroupInvalid", "The rule collection group "+w.id.Name()+" is invalid: "+format, args...)
	}
	between := func(n int, ok bool) bool { return ok && n >= 100 && n <= 65000 }
	if n, ok := p.number("priority"); !between(n, ok) {
		return wrong("its priority '%v' is not between 100 and 65000.", p["priority"])
	}
	p.fill("ruleCollections", []any{})
	priorities := map[int]string{}
	for _, c := range p.bags("ruleCollections") {
		name := c.text("name")
		n, ok := c.number("priority")
		if !between(n, ok) {
			return wrong("the priority '%v' of the rule collection %s is not between 100 and 65000.", c["priority"], name)
		}
		if other, twice := priorities[n]; twice {
			return wrong("the rule collections %s and %s have the same priority %d.", other, name, n)
		}
		priorities[n] = name
		if !slices.Contains([]string{"FirewallPolicyFilterRuleCollection", "FirewallPolicyNatRuleCollection"}, c.text("ruleCollectionType")) {
			return wrong("the rule collection %s has the unknown ruleCollectionType '%s'.", name, c.text("ruleCollectionType"))
		}
		if !slices.Contains([]string{"Allow", "Deny", "DNAT"}, c.text("action", "type")) {
			return wrong("the rule collection %s has the unknown action '%s'.", name, c.text("action", "type"))
		}
		types := map[string]bool{}
		for _, r := range c.bags("rules") {
			switch t := r.text("ruleType"); t {
			case "NetworkRule", "ApplicationRule", "NatRule":
				types[t] = true
			default:
				return wrong("the rule %s has the unknown ruleType '%s'.", r.text("name"), t)
			}
		}
		if len(types) > 1 {
			return wrong("the rule collection %s mixes rules of several types.", name)
		}
	}
	p["provisioningState"] = "Succeeded"
	return w.setProperties(p)
}
