package arm

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"strings"

	"github.com/acrlab/acrlab/diagnoser/inventory"
)

// The shapes are those of the REST API, reduced to what is read
// (https://learn.microsoft.com/rest/api/containerregistry,
// https://learn.microsoft.com/rest/api/virtualnetwork).

type reference struct {
	ID string `json:"id"`
}

func idOf(r *reference) string {
	if r == nil {
		return ""
	}
	return r.ID
}

func ids(rs []reference) []string {
	var out []string
	for _, r := range rs {
		out = append(out, r.ID)
	}
	return out
}

type registryJSON struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Location string `json:"location"`
	SKU      struct {
		Name string `json:"name"`
	} `json:"sku"`
	Properties struct {
		LoginServer         string `json:"loginServer"`
		PublicNetworkAccess string `json:"publicNetworkAccess"`
		NetworkRuleSet      *struct {
			DefaultAction string `json:"defaultAction"`
			IPRules       []struct {
				Value string `json:"value"`
			} `json:"ipRules"`
			VirtualNetworkRules []struct {
				ID       string `json:"id"`
				SubnetID string `json:"virtualNetworkResourceId"`
			} `json:"virtualNetworkRules"`
		} `json:"networkRuleSet"`
		DataEndpointEnabled        bool             `json:"dataEndpointEnabled"`
		DataEndpointHostNames      []string         `json:"dataEndpointHostNames"`
		AnonymousPullEnabled       bool             `json:"anonymousPullEnabled"`
		PrivateEndpointConnections []connectionJSON `json:"privateEndpointConnections"`
	} `json:"properties"`
}

type connectionJSON struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Properties struct {
		PrivateEndpoint *reference `json:"privateEndpoint"`
		State           struct {
			Status string `json:"status"`
		} `json:"privateLinkServiceConnectionState"`
	} `json:"properties"`
}

func (r *registryJSON) registry() *inventory.Registry {
	p := &r.Properties
	out := &inventory.Registry{
		ID: r.ID, Name: r.Name, Location: r.Location, SKU: r.SKU.Name, LoginServer: strings.ToLower(p.LoginServer),
		PublicNetworkAccess: cmp.Or(p.PublicNetworkAccess, "Enabled"),
		DataEndpointEnabled: p.DataEndpointEnabled, DataEndpointHosts: p.DataEndpointHostNames, AnonymousPull: p.AnonymousPullEnabled,
	}
	if s := p.NetworkRuleSet; s != nil {
		out.DefaultAction = s.DefaultAction
		for _, rule := range s.IPRules {
			out.IPRules = append(out.IPRules, rule.Value)
		}
		for _, rule := range s.VirtualNetworkRules {
			out.VirtualNetworkRules = append(out.VirtualNetworkRules, cmp.Or(rule.ID, rule.SubnetID))
		}
	}
	for _, c := range p.PrivateEndpointConnections {
		out.Connections = append(out.Connections, inventory.Connection{
			ID: c.ID, Name: c.Name, PrivateEndpointID: idOf(c.Properties.PrivateEndpoint), Status: c.Properties.State.Status,
		})
	}
	return out
}

type replicationJSON struct {
	Name       string `json:"name"`
	Location   string `json:"location"`
	Properties struct {
		RegionEndpointEnabled *bool  `json:"regionEndpointEnabled"`
		ProvisioningState     string `json:"provisioningState"`
	} `json:"properties"`
}

type endpointJSON struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Location   string `json:"location"`
	Properties struct {
		Subnet            *reference  `json:"subnet"`
		NetworkInterfaces []reference `json:"networkInterfaces"`
		CustomDNSConfigs  []struct {
			FQDN        string   `json:"fqdn"`
			IPAddresses []string `json:"ipAddresses"`
		} `json:"customDnsConfigs"`
	} `json:"properties"`
}

type interfaceJSON struct {
	Properties struct {
		IPConfigurations []struct {
			Properties struct {
				PrivateIPAddress string `json:"privateIPAddress"`
				PrivateLink      *struct {
					RequiredMemberName string   `json:"requiredMemberName"`
					FQDNs              []string `json:"fqdns"`
				} `json:"privateLinkConnectionProperties"`
			} `json:"properties"`
		} `json:"ipConfigurations"`
	} `json:"properties"`
}

type zoneJSON struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type linkJSON struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Properties struct {
		VirtualNetwork   *reference `json:"virtualNetwork"`
		State            string     `json:"virtualNetworkLinkState"`
		ResolutionPolicy string     `json:"resolutionPolicy"`
	} `json:"properties"`
}

type recordJSON struct {
	Name       string `json:"name"`
	Properties struct {
		ARecords []struct {
			Address string `json:"ipv4Address"`
		} `json:"aRecords"`
	} `json:"properties"`
}

type networkJSON struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Location   string `json:"location"`
	Properties struct {
		AddressSpace struct {
			Prefixes []string `json:"addressPrefixes"`
		} `json:"addressSpace"`
		DHCPOptions struct {
			DNSServers []string `json:"dnsServers"`
		} `json:"dhcpOptions"`
		Subnets  []subnetJSON `json:"subnets"`
		Peerings []struct {
			ID         string `json:"id"`
			Name       string `json:"name"`
			Properties struct {
				State       string     `json:"peeringState"`
				AllowAccess *bool      `json:"allowVirtualNetworkAccess"`
				Remote      *reference `json:"remoteVirtualNetwork"`
			} `json:"properties"`
		} `json:"virtualNetworkPeerings"`
	} `json:"properties"`
}

type subnetJSON struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Properties struct {
		AddressPrefix    string     `json:"addressPrefix"`
		AddressPrefixes  []string   `json:"addressPrefixes"`
		SecurityGroup    *reference `json:"networkSecurityGroup"`
		RouteTable       *reference `json:"routeTable"`
		ServiceEndpoints []struct {
			Service string `json:"service"`
		} `json:"serviceEndpoints"`
		ServiceEndpointPolicies []reference `json:"serviceEndpointPolicies"`
		PrivateEndpointPolicies string      `json:"privateEndpointNetworkPolicies"`
	} `json:"properties"`
}

func parseNetwork(raw json.RawMessage) (inventory.VirtualNetwork, error) {
	var j networkJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return inventory.VirtualNetwork{}, err
	}
	out := inventory.VirtualNetwork{ID: j.ID, Name: j.Name, Location: j.Location, Raw: raw,
		Prefixes: prefixes(j.Properties.AddressSpace.Prefixes), DNSServers: addresses(j.Properties.DHCPOptions.DNSServers)}
	for _, s := range j.Properties.Subnets {
		sub := inventory.Subnet{
			ID: cmp.Or(s.ID, j.ID+"/subnets/"+s.Name), Name: s.Name,
			SecurityGroupID: idOf(s.Properties.SecurityGroup), RouteTableID: idOf(s.Properties.RouteTable),
			ServiceEndpointPolicies: ids(s.Properties.ServiceEndpointPolicies), PrivateEndpointPolicies: s.Properties.PrivateEndpointPolicies,
		}
		if s.Properties.AddressPrefix != "" {
			sub.Prefixes = prefixes([]string{s.Properties.AddressPrefix})
		} else {
			sub.Prefixes = prefixes(s.Properties.AddressPrefixes)
		}
		for _, e := range s.Properties.ServiceEndpoints {
			sub.ServiceEndpoints = append(sub.ServiceEndpoints, e.Service)
		}
		out.Subnets = append(out.Subnets, sub)
	}
	for _, p := range j.Properties.Peerings {
		out.Peerings = append(out.Peerings, inventory.Peering{
			ID: p.ID, Name: p.Name, RemoteID: idOf(p.Properties.Remote), State: cmp.Or(p.Properties.State, "Connected"),
			AllowAccess: p.Properties.AllowAccess == nil || *p.Properties.AllowAccess,
		})
	}
	return out, nil
}

type ruleJSON struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Properties struct {
		Priority          int         `json:"priority"`
		Direction         string      `json:"direction"`
		Access            string      `json:"access"`
		Protocol          string      `json:"protocol"`
		Source            string      `json:"sourceAddressPrefix"`
		Sources           []string    `json:"sourceAddressPrefixes"`
		Destination       string      `json:"destinationAddressPrefix"`
		Destinations      []string    `json:"destinationAddressPrefixes"`
		SourcePort        string      `json:"sourcePortRange"`
		SourcePorts       []string    `json:"sourcePortRanges"`
		DestinationPort   string      `json:"destinationPortRange"`
		DestinationPorts  []string    `json:"destinationPortRanges"`
		SourceGroups      []reference `json:"sourceApplicationSecurityGroups"`
		DestinationGroups []reference `json:"destinationApplicationSecurityGroups"`
	} `json:"properties"`
}

func parseGroup(raw json.RawMessage) (inventory.SecurityGroup, error) {
	var j struct {
		ID         string `json:"id"`
		Name       string `json:"name"`
		Properties struct {
			Rules    []json.RawMessage `json:"securityRules"`
			Defaults []json.RawMessage `json:"defaultSecurityRules"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(raw, &j); err != nil {
		return inventory.SecurityGroup{}, err
	}
	out := inventory.SecurityGroup{ID: j.ID, Name: j.Name}
	add := func(rules []json.RawMessage, isDefault bool) error {
		for _, raw := range rules {
			var r ruleJSON
			if err := json.Unmarshal(raw, &r); err != nil {
				return err
			}
			p := r.Properties
			out.Rules = append(out.Rules, inventory.SecurityRule{
				ID: cmp.Or(r.ID, j.ID+"/securityRules/"+r.Name), Name: r.Name, Priority: p.Priority, Direction: p.Direction, Access: p.Access,
				Protocol: cmp.Or(p.Protocol, "*"), Sources: either(p.Source, p.Sources), Destinations: either(p.Destination, p.Destinations),
				DestinationPorts: either(p.DestinationPort, p.DestinationPorts),
				SourceGroups:     len(p.SourceGroups) > 0, DestinationGroups: len(p.DestinationGroups) > 0, Default: isDefault,
				SourcePortRestricted: p.SourcePort != "" && p.SourcePort != "*" || len(p.SourcePorts) > 0,
				Raw:                  raw,
			})
		}
		return nil
	}
	if err := add(j.Properties.Rules, false); err != nil {
		return out, err
	}
	return out, add(j.Properties.Defaults, true)
}

func parseTable(raw json.RawMessage) (inventory.RouteTable, error) {
	var j struct {
		ID         string `json:"id"`
		Name       string `json:"name"`
		Properties struct {
			Routes []struct {
				ID         string `json:"id"`
				Name       string `json:"name"`
				Properties struct {
					Prefix  string `json:"addressPrefix"`
					NextHop string `json:"nextHopType"`
					IP      string `json:"nextHopIpAddress"`
				} `json:"properties"`
			} `json:"routes"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(raw, &j); err != nil {
		return inventory.RouteTable{}, err
	}
	out := inventory.RouteTable{ID: j.ID, Name: j.Name}
	for _, r := range j.Properties.Routes {
		ip, _ := netip.ParseAddr(r.Properties.IP)
		out.Routes = append(out.Routes, inventory.Route{ID: cmp.Or(r.ID, j.ID+"/routes/"+r.Name), Name: r.Name, Prefix: r.Properties.Prefix, NextHop: r.Properties.NextHop, NextHopIP: ip})
	}
	return out, nil
}

// either is ARM's pair of a single value and a list, of which one is set.
func either(one string, many []string) []string {
	if one != "" {
		return append([]string{one}, many...)
	}
	return many
}

func prefixes(list []string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		if p, ok := inventory.ParsePrefix(s); ok {
			out = append(out, p)
		}
	}
	return out
}

func addresses(list []string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		if a, err := netip.ParseAddr(s); err == nil {
			out = append(out, a.Unmap())
		}
	}
	return out
}
