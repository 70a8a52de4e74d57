package plan

import (
	"slices"
	"strings"

	"github.com/acrlab/acrlab/fakes/entra"
	"github.com/acrlab/acrlab/fakes/imds"
	"github.com/acrlab/acrlab/fakes/loganalytics"
	"github.com/acrlab/acrlab/harness/state"
)

// clients are the applications that may do everything where no role assignment
// says otherwise: the lab's own, the managed identities, and the one that users
// sign in with.
func (w *world) clients() []string {
	out := []string{state.ApplicationID, entra.AzureCLI}
	for _, i := range w.identities {
		out = append(out, i.ClientID)
	}
	return out
}

// readIdentities lists machines and managed identities.
func (w *world) readIdentities() error {
	var err error
	if w.machines, err = state.VirtualMachines(w.in.State); err != nil {
		return err
	}
	if w.identities, err = state.UserAssignedIdentities(w.in.State); err != nil {
		return err
	}
	for _, vm := range w.machines {
		for _, i := range vm.Identities {
			if i.System {
				w.identities = append(w.identities, i)
			}
		}
	}
	return nil
}

// directory is the tenant.
func (w *world) directory() *entra.Config {
	c := &entra.Config{
		Tenant: w.in.State.Tenant, Clients: map[string]string{state.ApplicationID: state.ClientSecret},
		Applications: []entra.Application{{ID: state.ApplicationID, Name: "acrlab"}},
		Users:        []entra.User{{Name: state.UserName, DisplayName: "Lab User", ObjectID: state.UserID(), Password: state.UserPassword}},
	}
	for _, i := range w.identities {
		c.Identities = append(c.Identities, entra.Identity{ClientID: i.ClientID, PrincipalID: i.PrincipalID, Name: i.Name, ResourceID: i.ResourceID})
	}
	return c
}

// metadata is what the metadata service tells machines of virtual networks.
// Azure's own, such as firewalls and private endpoints, do not ask.
func (b *builder) metadata() (*imds.Config, error) {
	c := &imds.Config{Machines: map[string]imds.Machine{}}
	for _, key := range keys(b.interfaces) {
		nic := b.interfaces[key]
		if nic.Properties.VirtualMachine == nil {
			continue
		}
		i := slices.IndexFunc(b.machines, func(vm state.VirtualMachine) bool {
			return state.Key(vm.ID) == state.Key(nic.Properties.VirtualMachine.ID)
		})
		if i < 0 {
			continue
		}
		vm := b.machines[i]
		for _, ip := range nic.Properties.IPConfigurations {
			a, err := parseAddr(ip.Properties.PrivateIPAddress)
			if err != nil {
				continue // none was given to it yet
			}
			if _, taken := c.Machines[a.String()]; taken {
				continue // overlapping networks: the first machine has the address
			}
			m := imds.Machine{
				ResourceID: vm.ID, Name: vm.Name, VMID: vm.Properties.VMID, Size: vm.Properties.HardwareProfile.VMSize, Location: vm.Location,
				Subscription: b.in.State.Subscription, ResourceGroup: groupOf(vm.ID), Tenant: b.in.State.Tenant, Tags: vm.Tags,
			}
			if s := b.subnets[state.Key(ip.Properties.Subnet.ID)]; s != nil {
				m.Subnet = s.prefixes[0].String()
			}
			if r := ip.Properties.PublicIPAddress; r != nil && b.publicIPs[state.Key(r.ID)].IsValid() {
				m.PublicAddress = b.publicIPs[state.Key(r.ID)].String()
			}
			for _, i := range vm.Identities {
				id := imds.Identity{ClientID: i.ClientID, PrincipalID: i.PrincipalID}
				if !i.System {
					id.ResourceID = i.ResourceID
				}
				m.Identities = append(m.Identities, id)
			}
			c.Machines[a.String()] = m
		}
	}
	return c, nil
}

// logs says which registries' events go to which workspace.
func (w *world) logs() *loganalytics.Config {
	c := &loganalytics.Config{Tenant: w.in.State.Tenant, Clients: w.clients()}
	for _, ws := range w.workspaces {
		out := loganalytics.Workspace{ID: ws.CustomerID, ResourceID: ws.ID}
		for _, d := range w.diagnostics {
			i := slices.IndexFunc(w.registries, func(a *acr) bool { return state.Key(a.id) == state.Key(d.Resource) })
			if i < 0 || state.Key(d.Workspace) != state.Key(ws.ID) {
				continue
			}
			s := loganalytics.Setting{LoginServer: w.registries[i].login, ResourceID: w.registries[i].id}
			for _, category := range []string{loganalytics.LoginEvents, loganalytics.RepositoryEvents} {
				if d.Sends(category) {
					s.Categories = append(s.Categories, category)
				}
			}
			out.Settings = append(out.Settings, s)
		}
		c.Workspaces = append(c.Workspaces, out)
	}
	return c
}

// readMonitor lists workspaces and diagnostic settings.
func (w *world) readMonitor() error {
	var err error
	if w.workspaces, err = state.Workspaces(w.in.State); err != nil {
		return err
	}
	w.diagnostics, err = state.DiagnosticSettings(w.in.State)
	return err
}

// groupOf is the resource group in an id, spelt as there.
func groupOf(id string) string {
	parts := strings.Split(id, "/")
	for i, p := range parts[:len(parts)-1] {
		if strings.EqualFold(p, "resourceGroups") {
			return parts[i+1]
		}
	}
	return ""
}
