package infer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/diagnoser/inventory"
	"github.com/acrlab/acrlab/diagnoser/probe"
	"github.com/acrlab/acrlab/diagnosis"
)

// object is a JSON object in the making.
type object = map[string]any

func put(id, version string, body any) diagnosis.Change {
	return arm("PUT", id, version, body)
}

func arm(method, id, version string, body any) diagnosis.Change {
	r := &diagnosis.ARMRequest{Method: method, ID: id, APIVersion: version}
	if body != nil {
		raw, err := json.Marshal(body)
		if err == nil { // maps, slices and strings always marshal
			r.Body = raw
		}
	}
	return diagnosis.Change{ARM: r}
}

func allow(d diagnosis.Device, hosts []string) diagnosis.Change {
	return diagnosis.Change{Allow: &diagnosis.Allow{Device: d, Hosts: hosts, Port: 443}}
}

func mergeChanges(have, add []diagnosis.Change) []diagnosis.Change {
	for _, c := range add {
		same := func(h diagnosis.Change) bool {
			a, err1 := json.Marshal(h)
			b, err2 := json.Marshal(c)
			return err1 == nil && err2 == nil && string(a) == string(b)
		}
		if slices.ContainsFunc(have, same) {
			continue
		}
		if c.Allow != nil {
			if i := slices.IndexFunc(have, func(h diagnosis.Change) bool {
				return h.Allow != nil && h.Allow.Device == c.Allow.Device && h.Allow.Port == c.Allow.Port
			}); i >= 0 {
				merged := *have[i].Allow
				merged.Hosts = union(merged.Hosts, c.Allow.Hosts)
				have[i].Allow = &merged
				continue
			}
		}
		have = append(have, c)
	}
	return have
}

func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// names are the DNS names that a name-based device must let pass so that a
// pull succeeds: the login server's, and those that layers come from
// (https://learn.microsoft.com/azure/container-registry/container-registry-firewall-access-rules).
func (v *view) names() []string {
	switch v.role {
	case probe.RoleStorage:
		return union([]string{"*" + v.blobSuffix()}, []string{v.host})
	case probe.RoleData:
		out := []string{v.host}
		for _, h := range v.dataHosts() {
			if roleOf(h) == probe.RoleData {
				out = union(out, []string{h})
			}
		}
		return out
	}
	out := []string{v.host}
	data := v.dataHosts()
	if reg := v.registry(); reg != nil && !reg.DataEndpointEnabled {
		data = slices.DeleteFunc(data, func(h string) bool { return roleOf(h) == probe.RoleData })
		data = union(data, []string{"*" + v.blobSuffix()})
	}
	if len(data) == 0 {
		data = []string{"*.data." + v.suffix(), "*" + v.blobSuffix()}
	}
	return union(out, data)
}

// packetNames are names that a packet filter can resolve to addresses.
func (v *view) packetNames() []string {
	if v.role != probe.RoleLogin {
		return v.names()
	}
	out := []string{v.host}
	for _, l := range v.lanes {
		for _, d := range l.data {
			if d.path != nil && d.path.TCP != nil && d.path.TCP.Outcome != probe.Connected && d.path.Addr.IsValid() {
				out = union(out, []string{d.host})
			}
		}
	}
	return out
}

func group(id string) string { return inventory.Segment(id, "resourceGroups") }

// az builds a command; arguments with spaces or brackets are quoted.
func az(args ...string) string {
	for i, a := range args {
		if a == "" || strings.ContainsAny(a, " []{}'*$") {
			args[i] = `"` + a + `"`
		}
	}
	return "az " + strings.Join(args, " ")
}

// remedyFirewall opens the firewall on the way: the Azure Firewall on the
// route by its rules, any other by asking its owner.
func remedyFirewall(v *view) diagnosis.Remedy {
	hosts := v.names()
	if v.path != nil && v.path.TCP != nil && v.path.TCP.Outcome != probe.Connected && !v.proxied() {
		hosts = v.packetNames()
	}
	if f, pass := v.azureFirewall(); f != nil && !pass.Allow {
		return remedyAzureFirewall(v, f, pass)
	}
	text := fmt.Sprintf("Allow TCP 443 to %s on the firewall", strings.Join(hosts, ", "))
	switch {
	case v.path != nil && v.path.TCP != nil && v.path.TCP.Outcome == probe.Connected || v.proxied():
		text += " (it filters by name)."
	case v.role == probe.RoleLogin:
		text += "; by address, the service tag AzureContainerRegistry covers it. Layers need their endpoint as well: *.data." + v.suffix() + ", or *" + v.blobSuffix() + " without data endpoints."
	case v.role == probe.RoleStorage:
		text += ", or enable data endpoints on the registry and allow those by name."
	default:
		text += "."
	}
	return diagnosis.Remedy{Summary: text, Changes: []diagnosis.Change{allow(diagnosis.Firewall, hosts)}}
}

func remedyOutboundRule(v *view) diagnosis.Remedy {
	g, r := v.outboundRuling()
	if g == nil || r.Rule == nil {
		return diagnosis.Remedy{
			Summary:  "Allow outbound TCP 443 to the service tags AzureContainerRegistry and Storage in the subnet's network security group, before the rule that denies it.",
			Commands: []string{"az network nsg rule create -g GROUP --nsg-name NSG -n AllowContainerRegistry --priority 100 --direction Outbound --access Allow --protocol Tcp --destination-address-prefixes AzureContainerRegistry --destination-port-ranges 443"},
		}
	}
	type target struct{ name, prefix string }
	targets := []target{{"AllowContainerRegistry", "AzureContainerRegistry"}, {"AllowContainerRegistryLayers", "Storage"}}
	if v.isPrivate(v.addr()) {
		targets = []target{{"AllowContainerRegistry", "VirtualNetwork"}}
	}
	out := diagnosis.Remedy{}
	numbers := prioritiesBefore(g, r.Rule, len(targets), &out)
	if numbers == nil {
		return diagnosis.Remedy{Summary: fmt.Sprintf("Move rule %s of %s to a higher priority number and allow outbound TCP 443 to AzureContainerRegistry and Storage before it.", r.Rule.Name, g.Name)}
	}
	var names []string
	for i, t := range targets {
		priority := numbers[i]
		names = append(names, t.prefix)
		out.Changes = append(out.Changes, put(g.ID+"/securityRules/"+t.name, inventory.APINetwork, object{"properties": object{
			"priority": priority, "direction": "Outbound", "access": "Allow", "protocol": "Tcp",
			"sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": t.prefix, "destinationPortRange": "443",
		}}))
		out.Commands = append(out.Commands, az("network", "nsg", "rule", "create", "-g", group(g.ID), "--nsg-name", g.Name, "-n", t.name,
			"--priority", fmt.Sprint(priority), "--direction", "Outbound", "--access", "Allow", "--protocol", "Tcp",
			"--destination-address-prefixes", t.prefix, "--destination-port-ranges", "443"))
	}
	out.Summary = fmt.Sprintf("Allow outbound TCP 443 to %s in %s before rule %s.", strings.Join(names, " and "), g.Name, r.Rule.Name)
	return out
}

// prioritiesBefore finds n numbers before a rule's own. Where too few are free
// it moves the rule behind, as the first step of the remedy. Nil: neither is
// possible.
func prioritiesBefore(g *inventory.SecurityGroup, r *inventory.SecurityRule, n int, out *diagnosis.Remedy) []int {
	used := func(p int) bool {
		return slices.ContainsFunc(g.Rules, func(o inventory.SecurityRule) bool {
			return o.Priority == p && strings.EqualFold(o.Direction, r.Direction)
		})
	}
	var free []int
	for p := min(r.Priority, 4097) - 1; p >= 100 && len(free) < n; p-- {
		if !used(p) {
			free = append(free, p)
		}
	}
	if len(free) == n {
		return free
	}
	// The rule's own number becomes free, and those between it and its new place.
	free = append(free, r.Priority)
	for p := r.Priority + 1; p <= 4096; p++ {
		if used(p) {
			return nil // moving behind another rule could change what that one does
		}
		if len(free) < n {
			free = append(free, p)
			continue
		}
		body := withProperty(r.Raw, p, "priority")
		if body == nil {
			return nil
		}
		out.Changes = append(out.Changes, put(r.ID, inventory.APINetwork, body))
		out.Commands = append(out.Commands, az("network", "nsg", "rule", "update", "-g", group(g.ID), "--nsg-name", g.Name, "-n", r.Name, "--priority", fmt.Sprint(p)))
		return free
	}
	return nil
}

func remedyInboundRule(v *view) diagnosis.Remedy {
	r, ok := v.inboundRuling()
	if !ok || r.Rule == nil {
		return diagnosis.Remedy{
			Summary:  "Allow inbound TCP 443 from the client to the private endpoint's addresses in the network security group of its subnet.",
			Commands: []string{"az network nsg rule create -g GROUP --nsg-name NSG -n AllowContainerRegistryIn --priority 100 --direction Inbound --access Allow --protocol Tcp --source-address-prefixes CLIENT --destination-address-prefixes PRIVATE-ADDRESSES --destination-port-ranges 443"},
		}
	}
	out := diagnosis.Remedy{}
	numbers := prioritiesBefore(r.Group, r.Rule, 1, &out)
	if numbers == nil {
		return diagnosis.Remedy{Summary: fmt.Sprintf("Move rule %s of %s to a higher priority number and allow inbound TCP 443 to the private endpoint before it.", r.Rule.Name, r.Group.Name)}
	}
	var to []string
	if e := v.inv.EndpointWith(v.addr()); e != nil {
		for _, m := range e.Members {
			to = append(to, m.Address.String())
		}
	}
	from := []string{v.r.Vantage.Source.String()}
	if v.subnet != nil {
		from = nil
		for _, p := range v.subnet.Prefixes {
			from = append(from, p.String())
		}
	}
	const name = "AllowContainerRegistryIn"
	priority := numbers[0]
	out.Summary = fmt.Sprintf("Allow inbound TCP 443 from %s to the private endpoint (%s) in %s before rule %s.", strings.Join(from, ", "), strings.Join(to, ", "), r.Group.Name, r.Rule.Name)
	command := az("network", "nsg", "rule", "create", "-g", group(r.Group.ID), "--nsg-name", r.Group.Name, "-n", name,
		"--priority", fmt.Sprint(priority), "--direction", "Inbound", "--access", "Allow", "--protocol", "Tcp") +
		" --source-address-prefixes " + strings.Join(from, " ") + " --destination-address-prefixes " + strings.Join(to, " ") + " --destination-port-ranges 443"
	out.Commands = append(out.Commands, command)
	out.Changes = append(out.Changes, put(r.Group.ID+"/securityRules/"+name, inventory.APINetwork, object{"properties": object{
		"priority": priority, "direction": "Inbound", "access": "Allow", "protocol": "Tcp",
		"sourceAddressPrefixes": from, "sourcePortRange": "*", "destinationAddressPrefixes": to, "destinationPortRange": "443",
	}}))
	return out
}

func remedyRoute(v *view) diagnosis.Remedy {
	h, ok := v.hop()
	if !ok || h.Route == nil {
		return diagnosis.Remedy{
			Summary:  "Delete the user-defined route that leads the registry's addresses nowhere, or point it at an appliance that is up.",
			Commands: []string{"az network route-table route delete -g GROUP --route-table-name TABLE -n ROUTE"},
		}
	}
	return diagnosis.Remedy{
		Summary:  fmt.Sprintf("Delete route %s (%s to %s) of route table %s, or point it at an appliance that is up.", h.Route.Name, h.Prefix, hopText(h), h.Table.Name),
		Commands: []string{az("network", "route-table", "route", "delete", "-g", group(h.Table.ID), "--route-table-name", h.Table.Name, "-n", h.Route.Name)},
		Changes:  []diagnosis.Change{arm("DELETE", h.Route.ID, inventory.APINetwork, nil)},
	}
}

func remedyPeering(v *view) diagnosis.Remedy {
	a, b := v.network, v.endpointNetwork()
	if a == nil || b == nil {
		return diagnosis.Remedy{
			Summary: "Peer the client's virtual network with that of the private endpoint, in both directions.",
			Commands: []string{
				"az network vnet peering create -g GROUP --vnet-name CLIENT-VNET -n to-registry --remote-vnet ENDPOINT-VNET-ID --allow-vnet-access",
				"az network vnet peering create -g GROUP --vnet-name ENDPOINT-VNET -n to-client --remote-vnet CLIENT-VNET-ID --allow-vnet-access",
			},
		}
	}
	out := diagnosis.Remedy{Summary: fmt.Sprintf("Peer %s and %s in both directions; each needs a peering of its own before they become Connected.", a.Name, b.Name)}
	var deletes, puts []diagnosis.Change
	for _, dir := range [][2]*inventory.VirtualNetwork{{a, b}, {b, a}} {
		from, to := dir[0], dir[1]
		name := from.Name + "-to-" + to.Name
		props := object{"remoteVirtualNetwork": object{"id": to.ID}, "allowVirtualNetworkAccess": true, "peeringState": "Connected"}
		if i := slices.IndexFunc(from.Peerings, func(p inventory.Peering) bool { return inventory.SameID(p.RemoteID, to.ID) }); i >= 0 {
			p := from.Peerings[i]
			name = p.Name
			if strings.EqualFold(p.State, "Connected") && p.AllowAccess {
				continue
			}
			if strings.EqualFold(p.State, "Disconnected") {
				// A Disconnected peering is not connected again by a write: it must
				// be deleted first
				// (https://learn.microsoft.com/azure/virtual-network/virtual-network-troubleshoot-peering-issues).
				deletes = append(deletes, arm("DELETE", from.ID+"/virtualNetworkPeerings/"+name, inventory.APINetwork, nil))
				out.Commands = append(out.Commands, az("network", "vnet", "peering", "delete", "-g", group(from.ID), "--vnet-name", from.Name, "-n", name))
			}
		}
		puts = append(puts, put(from.ID+"/virtualNetworkPeerings/"+name, inventory.APINetwork, object{"properties": props}))
		out.Commands = append(out.Commands, az("network", "vnet", "peering", "create", "-g", group(from.ID), "--vnet-name", from.Name, "-n", name, "--remote-vnet", to.ID, "--allow-vnet-access"))
	}
	out.Changes = append(deletes, puts...)
	return out
}

func remedyApprove(v *view) diagnosis.Remedy {
	reg := v.registry()
	e := v.unapproved()
	if reg == nil || e == nil {
		return diagnosis.Remedy{Summary: "Let the registry's owner approve the private endpoint's connection.", Commands: []string{"az acr private-endpoint-connection approve --registry-name NAME --name CONNECTION"}}
	}
	out := diagnosis.Remedy{Summary: fmt.Sprintf("Approve the connection of private endpoint %s on the registry.", e.Name)}
	for _, c := range reg.Connections {
		if !inventory.SameID(c.PrivateEndpointID, e.ID) {
			continue
		}
		out.Commands = []string{az("acr", "private-endpoint-connection", "approve", "--registry-name", reg.Name, "--name", c.Name)}
		out.Changes = []diagnosis.Change{put(c.ID, inventory.APIRegistry, object{"properties": object{
			"privateEndpoint":                   object{"id": c.PrivateEndpointID},
			"privateLinkServiceConnectionState": object{"status": "Approved", "description": "Approved"},
		}})}
	}
	return out
}
