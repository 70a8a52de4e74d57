package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/harness/state"
)

// endpoint is a private endpoint that leads to a registry.
type endpoint struct {
	name     string
	subnet   *subnet
	registry *acr
	approved bool
	members  []endpointMember
}

// endpointMember is one address of a private endpoint.
type endpointMember struct {
	name    string // "registry" or "registry_data_<region>"
	address netip.Addr
	fqdns   []string
}

// readEndpoints reads private endpoints. What is decided is decided by the
// registry's side of the connection: the owner of the registry approves it.
func (w *world) readEndpoints() error {
	status, err := w.connectionStates()
	if err != nil {
		return err
	}
	list, err := state.PrivateEndpoints(w.in.State)
	if err != nil {
		return err
	}
	for _, pe := range list {
		key := state.Key(pe.ID)
		e := &endpoint{name: pe.Name, approved: strings.EqualFold(status[key], "Approved")}
		if e.subnet = w.subnets[state.Key(pe.Properties.Subnet.ID)]; e.subnet == nil {
			return fmt.Errorf("private endpoint %s: there is no subnet %q", pe.Name, pe.Properties.Subnet.ID)
		}
		for _, target := range pe.Properties.Targets() {
			if a := w.registry(target); a != nil {
				e.registry = a
			}
		}
		if e.registry == nil {
			continue // leads to something else
		}
		if _, connected := status[key]; connected {
			// Whether a pending connection already brings the privatelink alias
			// is not documented; here any connection does.
			e.registry.private, e.registry.data = true, true
		}
		for _, ref := range pe.Properties.NetworkInterfaces {
			nic, ok := w.interfaces[state.Key(ref.ID)]
			if !ok {
				continue
			}
			for _, c := range nic.Properties.IPConfigurations {
				m, err := readMember(c)
				if err != nil {
					return fmt.Errorf("private endpoint %s: network interface %s: %w", pe.Name, nic.Name, err)
				}
				e.members = append(e.members, m)
			}
		}
		w.endpoints = append(w.endpoints, e)
	}
	return nil
}

// connectionStates are the states of private endpoints, by key, as their
// registries hold them.
func (w *world) connectionStates() (map[string]string, error) {
	list, err := state.Connections(w.in.State)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, c := range list {
		if w.registry(state.Parent(c.ID)) != nil {
			out[state.Key(c.Properties.PrivateEndpoint.ID)] = c.Properties.PrivateLinkServiceConnectionState.Status
		}
	}
	return out, nil
}

func readMember(c state.IPConfiguration) (endpointMember, error) {
	a, err := parseAddr(c.Properties.PrivateIPAddress)
	if err != nil {
		return endpointMember{}, err
	}
	m := endpointMember{address: a}
	if l := c.Properties.PrivateLinkConnectionProperties; l != nil {
		m.name = l.RequiredMemberName
		for _, f := range l.FQDNs {
			m.fqdns = append(m.fqdns, strings.ToLower(strings.TrimSuffix(f, ".")))
		}
	}
	return m, nil
}

// policy says whether the subnet of the endpoint applies network policies of a
// kind ("NetworkSecurityGroup" or "RouteTable") to it.
// https://learn.microsoft.com/azure/private-link/disable-private-endpoint-network-policy
func (e *endpoint) policy(kind string) bool { return e.subnet.applies(kind) }

func (s *subnet) applies(kind string) bool {
	return strings.EqualFold(s.policies, "Enabled") || strings.EqualFold(s.policies, kind+"Enabled")
}

// endpointsOf are the private endpoints that a network has a route to: its own
// and those of its peers.
func (w *world) endpointsOf(n *network) []*endpoint {
	peers := w.peers(n)
	var out []*endpoint
	for _, e := range w.endpoints {
		if e.subnet.network == n || slices.Contains(peers, e.subnet.network) {
			out = append(out, e)
		}
	}
	// A network's own come first, should addresses overlap.
	slices.SortStableFunc(out, func(a, b *endpoint) int { return foreign(a.subnet.network, n) - foreign(b.subnet.network, n) })
	return out
}

func foreign(a, b *network) int {
	if a == b {
		return 0
	}
	return 1
}
