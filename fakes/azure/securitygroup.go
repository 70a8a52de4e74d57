package azure

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// securityGroupKind is Microsoft.Network/networkSecurityGroups with its rules.
// https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview
type securityGroupKind struct{ plain }

func (securityGroupKind) check(w *write) error {
	p, err := w.properties()
	if err != nil {
		return invalidContent(err)
	}
	p["provisioningState"] = "Succeeded"
	p.keep(w.before(), "resourceGuid")
	p.fill("resourceGuid", guid(w.id.String()))
	p.fill("securityRules", []any{})
	for _, key := range []string{"defaultSecurityRules", "subnets", "networkInterfaces"} {
		delete(p, key) // shown, not stored
	}
	for _, rule := range changedElements(p, w.before(), "securityRules") {
		if err := checkRule(w.id, rule); err != nil {
			return err
		}
		props := rule.bag("properties")
		priority, _ := props.number("priority")
		for _, other := range p.bags("securityRules") {
			n, _ := other.bag("properties").number("priority")
			if !strings.EqualFold(other.text("name"), rule.text("name")) && n == priority &&
				strings.EqualFold(other.text("properties", "direction"), props.text("direction")) {
				return badRequest("SecurityRuleConflict", "Security rule %s conflicts with rule %s. Rules cannot have the same Priority and Direction. To learn more, see aka.ms/nsgrules.",
					other.text("name"), rule.text("name"))
			}
		}
	}
	return w.setProperties(p)
}

var serviceTag = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*(\.[A-Za-z0-9]+)*$`)

func checkRule(group ID, rule bag) error {
	id := group.child("securityRules", rule.text("name"))
	p := rule.bag("properties")
	if p == nil {
		return badRequest("InvalidRequestFormat", "Cannot parse the request. The security rule %s has no properties.", id)
	}
	priority, ok := p.number("priority")
	if !ok || priority < 100 || priority > 4096 {
		return badRequest("SecurityRuleInvalidPriority", "Security rule has invalid Priority. Value provided: %v. Priority must be between 100 and 4096. Resource: %s.", p["priority"], id)
	}
	for key, allowed := range map[string][]string{
		"access": {"Allow", "Deny"}, "direction": {"Inbound", "Outbound"}, "protocol": {"*", "Tcp", "Udp", "Icmp", "Esp", "Ah"},
	} {
		value := p.text(key)
		i := slices.IndexFunc(allowed, func(a string) bool { return strings.EqualFold(a, value) })
		if i < 0 {
			return badRequest("SecurityRuleInvalid"+strings.ToUpper(key[:1])+key[1:], "Security rule has invalid %s. Value provided: %s. Allowed values: %s. Resource: %s.", key, value, strings.Join(allowed, ", "), id)
		}
		p[key] = allowed[i]
	}
	for _, side := range []string{"source", "destination"} {
		ports := p.oneOrMany(side+"PortRange", side+"PortRanges")
		if len(ports) == 0 {
			return badRequest("SecurityRuleParameterNotSpecified", "Required security rule parameters are missing for security rule with Id: %s. Security rule must specify %sPortRanges or %sPortRange.", id, side, side)
		}
		for _, r := range ports {
			if !portRange(r) {
				return badRequest("SecurityRuleInvalidPortRange", "Security rule has invalid Port range. Value provided: %s. Value should be an integer OR integer range with '-' delimiter. Valid range 0-65535.", r)
			}
		}
		addresses := p.oneOrMany(side+"AddressPrefix", side+"AddressPrefixes")
		if len(addresses) == 0 && len(p.bags(side+"ApplicationSecurityGroups")) == 0 {
			return badRequest("SecurityRuleParameterNotSpecified", "Required security rule parameters are missing for security rule with Id: %s. Security rule must specify %sAddressPrefixes or %sAddressPrefix or %sApplicationSecurityGroups.", id, side, side, side)
		}
		for _, a := range addresses {
			if !addressOrTag(a) {
				return badRequest("SecurityRuleInvalidAddressPrefix", "Security rule has invalid Address prefix. Value provided: %s.", a)
			}
		}
	}
	p["provisioningState"] = "Succeeded"
	for _, key := range []string{"sourceAddressPrefixes", "destinationAddressPrefixes", "sourcePortRanges", "destinationPortRanges"} {
		p.fill(key, []any{})
	}
	return nil
}

func portRange(s string) bool {
	if s == "*" {
		return true
	}
	from, to, two := strings.Cut(s, "-")
	a, errA := strconv.ParseUint(from, 10, 16)
	if !two {
		return errA == nil
	}
	b, errB := strconv.ParseUint(to, 10, 16)
	return errA == nil && errB == nil && a <= b
}

func addressOrTag(s string) bool {
	if s == "*" || serviceTag.MatchString(s) {
		return true
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	_, err := netip.ParsePrefix(s)
	return err == nil
}

func (securityGroupKind) leave(w *write) error {
	if users := w.users(w.old.ID, typeVirtualNetwork, typeNetworkInterface); len(users) > 0 {
		return badRequest("InUseNetworkSecurityGroupCannotBeDeleted", "Network security group %s cannot be deleted because it is in use by the following resources: %s. In order to delete the Network security group, remove the association with the resource(s). To learn how to do this, see aka.ms/deletensg.",
			w.id, strings.Join(users, ", "))
	}
	return nil
}

// defaultRules are in every security group.
// https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview#default-security-rules
var defaultRules = []struct {
	name, direction, access, from, to string
	priority                          int
}{
	{"AllowVnetInBound", "Inbound", "Allow", "VirtualNetwork", "VirtualNetwork", 65000},
	{"AllowAzureLoadBalancerInBound", "Inbound", "Allow", "AzureLoadBalancer", "*", 65001},
	{"DenyAllInBound", "Inbound", "Deny", "*", "*", 65500},
	{"AllowVnetOutBound", "Outbound", "Allow", "VirtualNetwork", "VirtualNetwork", 65000},
	{"AllowInternetOutBound", "Outbound", "Allow", "*", "Internet", 65001},
	{"DenyAllOutBound", "Outbound", "Deny", "*", "*", 65500},
}

func defaultSecurityRules(group ID) []any {
	var out []any
	for _, r := range defaultRules {
		id := group.child("defaultSecurityRules", r.name)
		out = append(out, map[string]any{"id": id.String(), "name": r.name, "type": id.Type(), "properties": map[string]any{
			"provisioningState": "Succeeded", "priority": r.priority, "direction": r.direction, "access": r.access, "protocol": "*",
			"sourceAddressPrefix": r.from, "destinationAddressPrefix": r.to, "sourcePortRange": "*", "destinationPortRange": "*",
			"sourceAddressPrefixes": []any{}, "destinationAddressPrefixes": []any{}, "sourcePortRanges": []any{}, "destinationPortRanges": []any{},
		}})
	}
	return out
}

func (securityGroupKind) show(v view, id ID, _ Resource, p bag) {
	v.stampElements(id, p, "securityRules")
	p["defaultSecurityRules"] = defaultSecurityRules(id)
	v.showUsers(p, id, "networkSecurityGroup")
}

// showUsers lists the subnets and interfaces that refer to a resource.
func (v view) showUsers(p bag, id ID, property string) {
	var subnets, interfaces []any
	for _, s := range v.ofType("Microsoft.Network/virtualNetworks/subnets") {
		props, _ := bagOf(s.Properties)
		if strings.EqualFold(props.text(property, "id"), id.String()) {
			subnets = append(subnets, ref(s.ID))
		}
	}
	for _, n := range v.ofType(typeNetworkInterface) {
		props, _ := bagOf(n.Properties)
		if strings.EqualFold(props.text(property, "id"), id.String()) {
			interfaces = append(interfaces, ref(n.ID))
		}
	}
	delete(p, "subnets")
	delete(p, "networkInterfaces")
	if subnets != nil {
		p["subnets"] = subnets
	}
	if interfaces != nil {
		p["networkInterfaces"] = interfaces
	}
}
