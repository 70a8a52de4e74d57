package state

import "github.com/acrlab/acrlab/fakes/azure"

// NetworkInterface is a Microsoft.Network/networkInterfaces resource, of a
// virtual machine or of a private endpoint.
type NetworkInterface = Item[NetworkInterfaceProperties]

// NetworkInterfaceProperties of a network interface.
type NetworkInterfaceProperties struct {
	IPConfigurations     []IPConfiguration `json:"ipConfigurations"`
	NetworkSecurityGroup *Reference        `json:"networkSecurityGroup"`
	EnableIPForwarding   bool              `json:"enableIPForwarding"`
	VirtualMachine       *Reference        `json:"virtualMachine"`
	PrivateEndpoint      *Reference        `json:"privateEndpoint"`
	DNSSettings          *DNSSettings      `json:"dnsSettings"`
}

// DNSSettings of a network interface come before those of its network.
type DNSSettings struct {
	DNSServers []string `json:"dnsServers"`
}

// IPConfiguration is one address of a network interface.
type IPConfiguration struct {
	Name       string                    `json:"name"`
	Properties IPConfigurationProperties `json:"properties"`
}

// IPConfigurationProperties of an address.
type IPConfigurationProperties struct {
	PrivateIPAddress                string       `json:"privateIPAddress"`
	Primary                         bool         `json:"primary"`
	Subnet                          Reference    `json:"subnet"`
	PublicIPAddress                 *Reference   `json:"publicIPAddress"`
	PrivateLinkConnectionProperties *PrivateLink `json:"privateLinkConnectionProperties"`
}

// PrivateLink says what an address of a private endpoint leads to.
type PrivateLink struct {
	GroupID            string   `json:"groupId"`
	RequiredMemberName string   `json:"requiredMemberName"`
	FQDNs              []string `json:"fqdns"`
}

// NetworkInterfaces of the state, by id.
func NetworkInterfaces(s azure.State) ([]NetworkInterface, error) {
	return list[NetworkInterfaceProperties](s, TypeNetworkInterface)
}
