package state

import "fmt"

func (b *builder) dnsServers() error {
	for _, name := range keys(b.t.DNSServers) {
		d := b.t.DNSServers[name]
		if err := b.virtualMachine(name, d.Subnet, d.Address, ""); err != nil {
			return fmt.Errorf("DNS server %s: %w", name, err)
		}
	}
	return nil
}

// site writes the client, and the proxy beside it, when they are virtual machines.
func (b *builder) site() error {
	s := b.t.Site
	if s == nil || s.At == "" || s.At == "on-premises" || s.At == "internet" {
		return nil
	}
	if err := b.virtualMachine(clientVM, s.At, s.Address, ""); err != nil {
		return fmt.Errorf("the client: %w", err)
	}
	b.identity(s.Identity)
	if s.Proxy == nil {
		return nil
	}
	subnet, vnet := s.At, ""
	if vnet, _, _ = SplitSubnet(s.At); s.Proxy.Address != "" {
		in, ok := b.holds(s.Proxy.Address, vnet)
		if !ok {
			return nil // not a virtual machine
		}
		subnet = in
	}
	if err := b.virtualMachine(proxyVM, subnet, s.Proxy.Address, s.Proxy.PublicIPAddress); err != nil {
		return fmt.Errorf("the proxy: %w", err)
	}
	return nil
}

// virtualMachine writes a machine with one network interface.
func (b *builder) virtualMachine(name, subnetName, address, publicIP string) error {
	subnet, err := b.subnetID(subnetName)
	if err != nil {
		return err
	}
	allocation := "Static"
	if address == "" {
		allocation = "Dynamic"
		if address, err = b.free.next(subnetName); err != nil {
			return fmt.Errorf("choosing its address: %w", err)
		}
	}
	vnet, _, _ := SplitSubnet(subnetName)
	location := or(Location(b.t.VirtualNetworks[vnet].Location), b.location)
	vm, nic := ID(TypeVirtualMachine, name), ID(TypeNetworkInterface, name+"-nic")
	config := object{
		"provisioningState": "Succeeded", "privateIPAddress": address, "privateIPAllocationMethod": allocation,
		"privateIPAddressVersion": "IPv4", "primary": true, "subnet": reference(subnet),
	}
	if publicIP != "" {
		ip := ID(TypePublicIPAddress, name+"-ip")
		b.publicIP(ip, location, publicIP, object{"ipConfiguration": reference(nic + "/ipConfigurations/ipconfig1")})
		config["publicIPAddress"] = reference(ip)
	}
	b.put(nic, TypeNetworkInterface, location, nil, object{
		"provisioningState": "Succeeded", "enableIPForwarding": false, "enableAcceleratedNetworking": false, "primary": true,
		"virtualMachine": reference(vm), "dnsSettings": object{"dnsServers": []string{}, "appliedDnsServers": []string{}},
		"ipConfigurations": []object{{
			"id": nic + "/ipConfigurations/ipconfig1", "name": "ipconfig1", "type": TypeNetworkInterface + "/ipConfigurations", "properties": config,
		}},
	})
	b.put(vm, TypeVirtualMachine, location, nil, object{
		"provisioningState": "Succeeded", "vmId": guid("vm", name), "hardwareProfile": object{"vmSize": "Standard_B2s"},
		"osProfile":      object{"computerName": name, "adminUsername": "azureuser"},
		"storageProfile": object{"osDisk": object{"osType": "Linux", "createOption": "FromImage"}},
		"networkProfile": object{"networkInterfaces": []object{{"id": nic, "properties": object{"primary": true}}}},
	})
	return nil
}
