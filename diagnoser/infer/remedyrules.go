package infer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/diagnoser/inventory"
	"github.com/acrlab/acrlab/diagnosis"
)

// ruleSet is networkRuleSet with one more address or subnet. Registries with
// subnet rules are written with the api-version that knows them, or the rules
// would be lost.
func ruleSet(reg *inventory.Registry, ip, subnet string) (object, string) {
	ips := []object{}
	for _, r := range reg.IPRules {
		ips = append(ips, object{"action": "Allow", "value": r})
	}
	if ip != "" {
		ips = append(ips, object{"action": "Allow", "value": ip})
	}
	action := reg.DefaultAction
	if action == "" {
		action = "Deny"
	}
	set := object{"defaultAction": action, "ipRules": ips}
	version := inventory.APIRegistry
	if subnet != "" || len(reg.VirtualNetworkRules) > 0 {
		version = inventory.APIRegistryRules
		nets := []object{}
		for _, id := range reg.VirtualNetworkRules {
			nets = append(nets, object{"action": "Allow", "id": id})
		}
		if subnet != "" {
			nets = append(nets, object{"action": "Allow", "id": subnet})
		}
		set["virtualNetworkRules"] = nets
	}
	return set, version
}

func remedyIPRule(v *view) diagnosis.Remedy {
	ip, _ := v.denied()
	what := "this client's address"
	if ip.IsValid() {
		what = ip.String()
	}
	who := ""
	if v.proxied() {
		who = ", where the proxy leaves from"
	}
	out := diagnosis.Remedy{
		Summary:  fmt.Sprintf("Allow %s%s in the registry's IP rules; see to it that it stays the same (a NAT gateway with a static address).", what, who),
		Commands: []string{az("acr", "network-rule", "add", "--name", v.registryName(), "--ip-address", what)},
	}
	if reg := v.registry(); reg != nil && ip.IsValid() {
		set, version := ruleSet(reg, ip.String(), "")
		out.Changes = []diagnosis.Change{arm("PATCH", reg.ID, version, object{"properties": object{"networkRuleSet": set}})}
	}
	return out
}

func (v *view) registryName() string {
	if reg := v.registry(); reg != nil && reg.Name != "" {
		return reg.Name
	}
	return v.registryLabel()
}

func remedyPublicAccess(v *view) diagnosis.Remedy {
	out := diagnosis.Remedy{
		Summary:  "Reach the registry by a private endpoint, or enable public access to it.",
		Commands: []string{az("acr", "update", "--name", v.registryName(), "--public-network-enabled", "true")},
	}
	reg := v.registry()
	if reg == nil {
		return out
	}
	props := object{"publicNetworkAccess": "Enabled"}
	version := inventory.APIRegistry
	ip, _ := v.denied()
	if strings.EqualFold(reg.DefaultAction, "Deny") && ip.IsValid() && !ip.IsPrivate() {
		if _, ok := covering(reg.IPRules, ip); !ok {
			set, ver := ruleSet(reg, ip.String(), "")
			props["networkRuleSet"], version = set, ver
			out.Commands = append(out.Commands, az("acr", "network-rule", "add", "--name", reg.Name, "--ip-address", ip.String()))
			out.Summary = fmt.Sprintf("Reach the registry by a private endpoint, or enable public access for selected networks and allow %s.", ip)
		}
	}
	out.Changes = []diagnosis.Change{arm("PATCH", reg.ID, version, object{"properties": props})}
	return out
}

func remedySubnetRule(v *view) diagnosis.Remedy {
	if v.subnet == nil {
		return diagnosis.Remedy{
			Summary:  "Add a rule for the client's subnet to the registry.",
			Commands: []string{az("acr", "network-rule", "add", "--name", v.registryName(), "--subnet", "SUBNET-ID")},
		}
	}
	out := diagnosis.Remedy{
		Summary:  fmt.Sprintf("Add a rule for %s to the registry; or remove the service endpoint %s from the subnet, if IP rules are to decide.", subnetName(v), registryService),
		Commands: []string{az("acr", "network-rule", "add", "--name", v.registryName(), "--subnet", v.subnet.ID)},
	}
	if reg := v.registry(); reg != nil {
		set, version := ruleSet(reg, "", v.subnet.ID)
		out.Changes = []diagnosis.Change{arm("PATCH", reg.ID, version, object{"properties": object{"networkRuleSet": set}})}
	}
	return out
}

func remedyServiceEndpoint(v *view) diagnosis.Remedy {
	if v.subnet == nil {
		return diagnosis.Remedy{Summary: "Enable the service endpoint " + registryService + " on the client's subnet."}
	}
	all := append(slices.Clone(v.subnet.ServiceEndpoints), registryService)
	out := diagnosis.Remedy{
		Summary:  fmt.Sprintf("Enable the service endpoint %s on %s.", registryService, subnetName(v)),
		Commands: []string{az("network", "vnet", "subnet", "update", "-g", group(v.network.ID), "--vnet-name", v.network.Name, "-n", v.subnet.Name, "--service-endpoints") + " " + strings.Join(all, " ")},
	}
	list := []object{}
	for _, s := range all {
		list = append(list, object{"service": s})
	}
	if body := withProperty(subnetRaw(v.network.Raw, v.subnet.Name), list, "serviceEndpoints"); body != nil {
		out.Changes = []diagnosis.Change{put(v.subnet.ID, inventory.APINetwork, body)}
	}
	return out
}

// subnetRaw is a subnet's JSON inside its network's.
func subnetRaw(network json.RawMessage, name string) json.RawMessage {
	var n struct {
		Properties struct {
			Subnets []json.RawMessage `json:"subnets"`
		} `json:"properties"`
	}
	if json.Unmarshal(network, &n) != nil {
		return nil
	}
	for _, s := range n.Properties.Subnets {
		var head struct {
			Name string `json:"name"`
		}
		if json.Unmarshal(s, &head) == nil && strings.EqualFold(head.Name, name) {
			return s
		}
	}
	return nil
}
