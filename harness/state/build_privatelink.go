package state

import (
	"fmt"
	"slices"
	"strings"
)

// member is one address of a private endpoint to a registry.
type member struct {
	name    string // "registry" or "registry_data_<region>"
	fqdn    string // "myregistry.eastus.data.azurecr.io"
	address string
}

// members of a private endpoint, data endpoints first, as the service numbers
// them (observed on a live network interface: data 10.70.4.4, registry 10.70.4.5).
func (b *builder) members(pe string) ([]member, error) {
	if b.t.Registry == nil {
		return nil, nil
	}
	registry := strings.ToLower(b.t.Registry.Name)
	var ms []member
	for _, region := range b.regions() {
		ms = append(ms, member{name: "registry_data_" + region, fqdn: registry + "." + region + ".data." + domain})
	}
	ms = append(ms, member{name: "registry", fqdn: registry + "." + domain})
	given := b.t.PrivateEndpoints[pe].Addresses
	for _, name := range keys(given) {
		if !slices.ContainsFunc(ms, func(m member) bool { return m.name == name }) {
			return nil, fmt.Errorf("the registry has no member %q", name)
		}
	}
	return ms, nil
}

func (b *builder) privateEndpoints() error {
	for _, name := range keys(b.t.PrivateEndpoints) {
		if err := b.privateEndpoint(name); err != nil {
			return fmt.Errorf("private endpoint %s: %w", name, err)
		}
	}
	return nil
}

func (b *builder) privateEndpoint(name string) error {
	pe := b.t.PrivateEndpoints[name]
	subnet, err := b.subnetID(pe.Subnet)
	if err != nil {
		return err
	}
	vnet, _, _ := SplitSubnet(pe.Subnet)
	location := or(Location(b.t.VirtualNetworks[vnet].Location), b.location)
	ms, err := b.members(name)
	if err != nil {
		return err
	}
	id, nic := ID(TypePrivateEndpoint, name), ID(TypeNetworkInterface, name+".nic."+guid(name))
	configs := []object{}
	for i, m := range ms {
		allocation := "Static"
		if m.address = pe.Addresses[m.name]; m.address == "" {
			allocation = "Dynamic"
			if m.address, err = b.free.next(pe.Subnet); err != nil {
				return fmt.Errorf("choosing the address of %s: %w", m.name, err)
			}
		}
		configName := "privateEndpointIpConfig." + guid(name, m.name)
		configs = append(configs, object{
			"id": nic + "/ipConfigurations/" + configName, "name": configName, "type": TypeNetworkInterface + "/ipConfigurations",
			"properties": object{
				"provisioningState": "Succeeded", "privateIPAddress": m.address, "privateIPAddressVersion": "IPv4",
				"privateIPAllocationMethod": allocation, "primary": i == 0, "subnet": reference(subnet),
				"privateLinkConnectionProperties": object{
					"groupId": "registry", "requiredMemberName": m.name, "fqdns": []string{m.fqdn},
				},
			},
		})
	}
	b.put(nic, TypeNetworkInterface, location, nil, object{
		"provisioningState": "Succeeded", "ipConfigurations": configs, "privateEndpoint": reference(id),
		"nicType": "Standard", "enableIPForwarding": false, "dnsSettings": object{"dnsServers": []string{}, "appliedDnsServers": []string{}},
	})

	connection := object{
		"id": id + "/privateLinkServiceConnections/" + name, "name": name,
		"properties": object{
			"provisioningState": "Succeeded", "privateLinkServiceId": ID(TypeRegistry, b.registryName()),
			"groupIds": []string{"registry"}, "privateLinkServiceConnectionState": connectionState(pe.ConnectionState),
		},
	}
	auto, manual := []object{connection}, []object{}
	// Only a connection that awaits approval by hand can be anything but approved at first.
	if s := pe.ConnectionState; s == "Pending" || s == "Rejected" {
		auto, manual = manual, auto
	}
	b.put(id, TypePrivateEndpoint, location, nil, object{
		"provisioningState": "Succeeded", "subnet": reference(subnet), "networkInterfaces": []object{reference(nic)},
		"privateLinkServiceConnections": auto, "manualPrivateLinkServiceConnections": manual,
		"customDnsConfigs": []object{}, "ipConfigurations": []object{}, "customNetworkInterfaceName": "",
	})
	return nil
}
