// Package imds is the Instance Metadata Service of Azure's virtual machines,
// http://169.254.169.254: what a machine can learn about itself, and tokens for
// its managed identities.
//
// https://learn.microsoft.com/azure/virtual-machines/instance-metadata-service
package imds

// Address is where every virtual machine finds the service.
const Address = "169.254.169.254"

// Config says which machines may ask. They are told apart by their address, as
// Azure's host tells them apart by the interface.
type Config struct {
	// Machines by private address. Others are not answered.
	Machines map[string]Machine `json:"machines"`
}

// Machine is a virtual machine.
type Machine struct {
	ResourceID    string `json:"resourceId"`
	Name          string `json:"name"`
	VMID          string `json:"vmId"`
	Size          string `json:"size,omitempty"`
	Location      string `json:"location"`
	Subscription  string `json:"subscription"`
	ResourceGroup string `json:"resourceGroup"`
	Tenant        string `json:"tenant"`
	OSType        string `json:"osType,omitempty"`
	// PublicAddress of the machine itself, empty for none.
	PublicAddress string `json:"publicAddress,omitempty"`
	// Subnet is the prefix of its subnet, "10.0.1.0/24".
	Subnet     string            `json:"subnet,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"`
	Identities []Identity        `json:"identities,omitempty"`
}

// Identity is a managed identity of a machine.
type Identity struct {
	ClientID    string `json:"clientId"`
	PrincipalID string `json:"principalId"`
	// ResourceID of a user-assigned identity; empty for the machine's own.
	ResourceID string `json:"resourceId,omitempty"`
}
