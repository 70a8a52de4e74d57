package state

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/fakes/azure"
)

// TypeUserAssignedIdentity is a managed identity that is a resource of its own.
const TypeUserAssignedIdentity = "Microsoft.ManagedIdentity/userAssignedIdentities"

// SystemIdentity is the value of site.identity for the machine's own identity.
const SystemIdentity = "system"

// ManagedIdentity is a managed identity with who it is in the tenant.
type ManagedIdentity struct {
	Name                  string
	ClientID, PrincipalID string
	// ResourceID is the identity's own, or the machine's of a system-assigned one.
	ResourceID string
	// System says that it is a machine's own.
	System bool
}

// VirtualMachine is a machine with its managed identities.
type VirtualMachine struct {
	Item[VirtualMachineProperties]
	Tags       map[string]string
	Identities []ManagedIdentity
}

// VirtualMachineProperties of a virtual machine.
type VirtualMachineProperties struct {
	VMID            string `json:"vmId"`
	HardwareProfile struct {
		VMSize string `json:"vmSize"`
	} `json:"hardwareProfile"`
}

// UserID is the object id of UserName.
func UserID() string { return guid("user", UserName) }

// identity gives the client a managed identity: "system" or a name.
func (b *builder) identity(name string) {
	if name == "" {
		return
	}
	vm := ID(TypeVirtualMachine, clientVM)
	r := b.s.Resources[Key(vm)]
	if name == SystemIdentity {
		own := systemIdentity(vm, "")
		r.Identity = mustJSON(object{"type": "SystemAssigned", "principalId": own.PrincipalID, "tenantId": Tenant})
	} else {
		id := ID(TypeUserAssignedIdentity, name)
		who := userIdentity(id, "", "")
		b.put(id, TypeUserAssignedIdentity, r.Location, nil, object{"tenantId": Tenant, "clientId": who.ClientID, "principalId": who.PrincipalID})
		r.Identity = mustJSON(object{"type": "UserAssigned", "userAssignedIdentities": object{
			id: object{"clientId": who.ClientID, "principalId": who.PrincipalID}}})
	}
	b.s.Resources[Key(vm)] = r
}

// systemIdentity is a machine's own identity. ARM shows its principal and not
// its client id.
func systemIdentity(vm, principal string) ManagedIdentity {
	return ManagedIdentity{Name: Name(vm), ClientID: guid("system-client", Key(vm)), ResourceID: vm, System: true,
		PrincipalID: or(principal, guid("system-principal", Key(vm)))}
}

func userIdentity(id, client, principal string) ManagedIdentity {
	return ManagedIdentity{Name: Name(id), ResourceID: id,
		ClientID: or(client, guid("identity-client", Key(id))), PrincipalID: or(principal, guid("identity-principal", Key(id)))}
}

// UserAssignedIdentities are all of a state, by id.
func UserAssignedIdentities(s azure.State) ([]ManagedIdentity, error) {
	list, err := list[struct {
		ClientID    string `json:"clientId"`
		PrincipalID string `json:"principalId"`
	}](s, TypeUserAssignedIdentity)
	if err != nil {
		return nil, err
	}
	var out []ManagedIdentity
	for _, i := range list {
		out = append(out, userIdentity(i.ID, i.Properties.ClientID, i.Properties.PrincipalID))
	}
	return out, nil
}

// VirtualMachines are all of a state, by id. Identities that a machine refers
// to and that do not exist are left out.
func VirtualMachines(s azure.State) ([]VirtualMachine, error) {
	items, err := list[VirtualMachineProperties](s, TypeVirtualMachine)
	if err != nil {
		return nil, err
	}
	users, err := UserAssignedIdentities(s)
	if err != nil {
		return nil, err
	}
	var out []VirtualMachine
	for _, it := range items {
		r := s.Resources[Key(it.ID)]
		vm := VirtualMachine{Item: it, Tags: r.Tags}
		var block struct {
			Type        string         `json:"type"`
			PrincipalID string         `json:"principalId"`
			Users       map[string]any `json:"userAssignedIdentities"`
		}
		if len(r.Identity) > 0 {
			if err := json.Unmarshal(r.Identity, &block); err != nil {
				return nil, fmt.Errorf("virtual machine %s: reading its identity: %w", it.Name, err)
			}
		}
		kind := strings.ToLower(block.Type)
		if strings.Contains(kind, "systemassigned") {
			vm.Identities = append(vm.Identities, systemIdentity(it.ID, block.PrincipalID))
		}
		if strings.Contains(kind, "userassigned") {
			for _, id := range slices.Sorted(maps.Keys(block.Users)) {
				if i := slices.IndexFunc(users, func(u ManagedIdentity) bool { return Key(u.ResourceID) == Key(id) }); i >= 0 {
					vm.Identities = append(vm.Identities, users[i])
				}
			}
		}
		out = append(out, vm)
	}
	return out, nil
}
