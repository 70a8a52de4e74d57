package state

import (
	"fmt"
	"slices"
)

// DefaultFirewallPublicIP is the address that an Azure Firewall leaves from
// when a topology names none.
const DefaultFirewallPublicIP = "20.81.40.10"

func (b *builder) firewalls() error {
	for _, name := range keys(b.t.AzureFirewalls) {
		if err := b.firewall(name); err != nil {
			return fmt.Errorf("azure firewall %s: %w", name, err)
		}
	}
	return nil
}

func (b *builder) firewall(name string) error {
	f := b.t.AzureFirewalls[name]
	subnet, err := b.subnetID(f.Subnet)
	if err != nil {
		return err
	}
	vnet, _, _ := SplitSubnet(f.Subnet)
	location := or(Location(b.t.VirtualNetworks[vnet].Location), b.location)
	address := f.PrivateIPAddress
	if address == "" {
		if address, err = b.free.next(f.Subnet); err != nil {
			return fmt.Errorf("choosing its private address: %w", err)
		}
	}
	id, policy := ID(TypeFirewall, name), ID(TypeFirewallPolicy, name+"-policy")
	ip := ID(TypePublicIPAddress, name+"-ip")
	b.publicIP(ip, location, or(f.PublicIPAddress, DefaultFirewallPublicIP), nil)
	b.put(id, TypeFirewall, location, nil, object{
		"provisioningState": "Succeeded", "threatIntelMode": "Alert", "sku": object{"name": "AZFW_VNet", "tier": "Standard"},
		"firewallPolicy": reference(policy), "networkRuleCollections": []object{}, "applicationRuleCollections": []object{}, "natRuleCollections": []object{},
		"ipConfigurations": []object{{
			"id": id + "/azureFirewallIpConfigurations/ipconfig", "name": "ipconfig",
			"properties": object{"provisioningState": "Succeeded", "privateIPAddress": address, "subnet": reference(subnet), "publicIPAddress": reference(ip)},
		}},
	})
	b.put(policy, TypeFirewallPolicy, location, nil, object{
		"provisioningState": "Succeeded", "sku": object{"tier": "Standard"}, "threatIntelMode": "Alert",
		"firewalls": []object{reference(id)}, "ruleCollectionGroups": []object{reference(ID(TypeRuleCollGroup, name+"-policy", "acrlab"))},
	})
	b.put(ID(TypeRuleCollGroup, name+"-policy", "acrlab"), TypeRuleCollGroup, "", nil, object{
		"provisioningState": "Succeeded", "priority": 1000, "ruleCollections": b.ruleCollections(name),
	})
	return nil
}

// ruleCollections puts every rule into a collection of its own, since a
// collection has one priority and one action.
func (b *builder) ruleCollections(firewall string) []object {
	f := b.t.AzureFirewalls[firewall]
	type collection struct {
		priority int
		body     object
	}
	var all []collection
	add := func(name string, priority int, action string, rule object) {
		rule["name"] = name
		rule["sourceAddresses"] = []string{"*"}
		if priority == 0 {
			priority = 1000
		}
		all = append(all, collection{priority, object{
			"ruleCollectionType": "FirewallPolicyFilterRuleCollection", "name": name, "priority": priority,
			"action": object{"type": or(action, "Allow")}, "rules": []object{rule},
		}})
	}
	for _, name := range keys(f.NetworkRules) {
		r := f.NetworkRules[name]
		add(name, r.Priority, r.Action, object{
			"ruleType": "NetworkRule", "destinationAddresses": anyIfNone(r.DestinationAddresses, "*"),
			"destinationPorts": anyIfNone(r.DestinationPorts, "*"), "ipProtocols": anyIfNone(r.IPProtocols, "Any"),
			"destinationFqdns": []string{}, "sourceIpGroups": []string{}, "destinationIpGroups": []string{},
		})
	}
	for _, name := range keys(f.ApplicationRules) {
		r := f.ApplicationRules[name]
		add(name, r.Priority, r.Action, object{
			"ruleType": "ApplicationRule", "targetFqdns": orEmpty(r.TargetFQDNs), "fqdnTags": []string{}, "webCategories": []string{}, "targetUrls": []string{},
			"protocols": []object{{"protocolType": "Https", "port": 443}}, "terminateTLS": false, "sourceIpGroups": []string{},
		})
	}
	slices.SortStableFunc(all, func(x, y collection) int { return x.priority - y.priority })
	out := []object{}
	for _, c := range all {
		out = append(out, c.body)
	}
	return out
}

func anyIfNone(s []string, wildcard string) []string {
	if len(s) == 0 {
		return []string{wildcard}
	}
	return s
}
