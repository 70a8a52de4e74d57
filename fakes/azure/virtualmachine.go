package azure

import "strings"

// virtualMachineKind is Microsoft.Compute/virtualMachines, as far as a host in
// a subnet needs it: the machine and its network interfaces know each other.
type virtualMachineKind struct{ plain }

func (virtualMachineKind) check(w *write) error {
	p, err := w.properties()
	if err != nil {
		return invalidContent(err)
	}
	interfaces := p.refs("networkProfile", "networkInterfaces")
	if len(interfaces) == 0 {
		return badRequest("NetworkInterfaceMissing", "The virtual machine %s needs at least one network interface in networkProfile.networkInterfaces.", w.id)
	}
	for _, nic := range interfaces {
		r, err := w.requireReference(nic, "Microsoft.Network/networkInterfaces")
		if err != nil {
			return err
		}
		if err := w.sameRegion(r); err != nil {
			return err
		}
		np, _ := bagOf(r.Properties)
		if vm := np.text("virtualMachine", "id"); vm != "" && !strings.EqualFold(vm, w.id.String()) {
			return badRequest("NicInUse", "Network Interface %s is used by existing resource %s.", nic, vm)
		}
		at, _ := ParseID(nic)
		if err := w.linked(at, "Microsoft.Network/networkInterfaces/join/action"); err != nil {
			return err
		}
	}
	p.keep(w.before(), "vmId", "hardwareProfile", "storageProfile", "osProfile")
	p.fill("vmId", guid(w.id.String()))
	p["provisioningState"] = "Succeeded"
	if os := p.bag("osProfile"); os != nil {
		delete(os, "adminPassword") // never shown again
	}
	return w.setProperties(p)
}

func (virtualMachineKind) stored(w *write) error {
	p, err := w.properties()
	if err != nil {
		return invalidContent(err)
	}
	now := p.refs("networkProfile", "networkInterfaces")
	for _, nic := range w.before().refs("networkProfile", "networkInterfaces") {
		w.attach(nic, "")
	}
	for _, nic := range now {
		w.attach(nic, w.id.String())
	}
	return nil
}

func (virtualMachineKind) left(w *write) error {
	for _, nic := range w.before().refs("networkProfile", "networkInterfaces") {
		w.attach(nic, "")
	}
	return nil
}

func (w *write) attach(nic, vm string) {
	w.rewrite(nic, func(p bag) bool {
		switch {
		case vm != "":
			p["virtualMachine"] = ref(vm)
		case strings.EqualFold(p.text("virtualMachine", "id"), w.id.String()):
			delete(p, "virtualMachine")
		default:
			return false
		}
		return true
	})
}
