package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/harness/state"
)

// EffectiveRoute is a route as `az network nic show-effective-route-table`
// shows it.
type EffectiveRoute struct {
	Source           string       `json:"source"` // Default, VirtualNetworkGateway or User
	State            string       `json:"state"`  // Active or Invalid
	AddressPrefix    netip.Prefix `json:"addressPrefix"`
	NextHopType      string       `json:"nextHopType"`
	NextHopIPAddress netip.Addr   `json:"nextHopIpAddress,omitzero"`
	Name             string       `json:"name,omitempty"` // of a user-defined route
}

// Next hop types.
const (
	hopLocal           = "VnetLocal"
	hopPeering         = "VNetPeering"
	hopInternet        = "Internet"
	hopNone            = "None"
	hopAppliance       = "VirtualAppliance"
	hopGateway         = "VirtualNetworkGateway"
	hopEndpoint        = "InterfaceEndpoint"
	hopServiceEndpoint = "VirtualNetworkServiceEndpoint"

	fromDefault = "Default"
	fromGateway = "VirtualNetworkGateway"
	fromUser    = "User"

	active  = "Active"
	invalid = "Invalid"
)

// EffectiveRoutes are the routes that apply to a machine in the subnet, system
// routes first, with those that lose marked Invalid. A packet takes the active
// route with the longest prefix.
//
// For equal prefixes a user-defined route wins over one from a gateway, and
// that over a system route.
// https://learn.microsoft.com/azure/virtual-network/virtual-networks-udr-overview#how-azure-selects-a-route
//
// The /32 of a private endpoint yields to a user-defined route only if the
// endpoint's subnet has route table policies, and then to one that is at least
// as specific as the address space of the endpoint's network.
// https://learn.microsoft.com/azure/private-link/disable-private-endpoint-network-policy
func EffectiveRoutes(in Input, subnetID string) ([]EffectiveRoute, error) {
	w, err := read(in)
	if err != nil {
		return nil, err
	}
	s := w.subnets[state.Key(subnetID)]
	if s == nil {
		return nil, fmt.Errorf("there is no subnet %s", subnetID)
	}
	return w.routes(s)
}

func (w *world) routes(s *subnet) ([]EffectiveRoute, error) {
	routes := w.systemRoutes(s)
	user, gateway, err := w.userRoutes(s)
	if err != nil {
		return nil, err
	}
	if gateway {
		for _, p := range s.network.onPremises {
			// Routes of the network itself are preferred even to more specific
			// ones from a gateway.
			if !overlapsAny(s.network.prefixes, p) {
				routes = append(routes, EffectiveRoute{Source: fromGateway, State: active, AddressPrefix: p, NextHopType: hopGateway})
			}
		}
	}
	routes = append(routes, user...)
	w.contestEndpoints(s, routes)
	rank := map[string]int{fromDefault: 0, fromGateway: 1, fromUser: 2}
	best := map[netip.Prefix]int{}
	for i, r := range routes {
		if r.State != active {
			continue
		}
		j, seen := best[r.AddressPrefix]
		switch {
		case !seen:
			best[r.AddressPrefix] = i
		case routes[j].NextHopType != hopEndpoint && rank[r.Source] > rank[routes[j].Source]:
			routes[j].State = invalid
			best[r.AddressPrefix] = i
		default:
			routes[i].State = invalid
		}
	}
	return routes, nil
}

func overlapsAny(list []netip.Prefix, p netip.Prefix) bool {
	return slices.ContainsFunc(list, p.Overlaps)
}

// systemRoutes are those that Azure makes itself.
func (w *world) systemRoutes(s *subnet) []EffectiveRoute {
	var routes []EffectiveRoute
	add := func(hop string, prefixes ...netip.Prefix) {
		for _, p := range prefixes {
			routes = append(routes, EffectiveRoute{Source: fromDefault, State: active, AddressPrefix: p, NextHopType: hop})
		}
	}
	// Endpoints come first: nothing else of the same prefix prevails by rank alone.
	for _, e := range w.endpointsOf(s.network) {
		for _, m := range e.members {
			add(hopEndpoint, host(m.address))
		}
	}
	add(hopLocal, s.network.prefixes...)
	for _, n := range w.peers(s.network) {
		add(hopPeering, n.prefixes...)
	}
	add(hopInternet, everything)
	add(hopNone, privateRanges...)
	for service, tag := range map[string]string{serviceRegistry: "AzureContainerRegistry", serviceStorage: "Storage"} {
		if s.has(service) {
			list, _ := ServiceTag(tag)
			add(hopServiceEndpoint, list...)
		}
	}
	// The map above has no order.
	slices.SortStableFunc(routes, func(a, b EffectiveRoute) int {
		if a.NextHopType != hopServiceEndpoint || b.NextHopType != hopServiceEndpoint {
			return 0
		}
		return a.AddressPrefix.Addr().Compare(b.AddressPrefix.Addr())
	})
	return routes
}

// userRoutes are those of the subnet's route table, tags expanded, and whether
// routes from a gateway are let in.
func (w *world) userRoutes(s *subnet) (routes []EffectiveRoute, gateway bool, err error) {
	if s.table == "" {
		return nil, true, nil
	}
	t := w.tables[s.table]
	var tagged []EffectiveRoute
	for _, r := range t.Properties.Routes {
		e := EffectiveRoute{Source: fromUser, State: active, NextHopType: hopType(r.Properties.NextHopType), Name: r.Name}
		if e.NextHopType == "" {
			return nil, false, fmt.Errorf("route table %s: route %s: unknown next hop type %q", t.Name, r.Name, r.Properties.NextHopType)
		}
		if e.NextHopType == hopAppliance {
			if e.NextHopIPAddress, err = parseAddr(r.Properties.NextHopIPAddress); err != nil {
				return nil, false, fmt.Errorf("route table %s: route %s: reading its next hop: %w", t.Name, r.Name, err)
			}
		}
		if p, ok, perr := parsePrefix(r.Properties.AddressPrefix); perr == nil {
			if e.AddressPrefix = p; ok {
				routes = append(routes, e)
			}
			continue
		}
		list, terr := ServiceTag(r.Properties.AddressPrefix)
		if terr != nil {
			return nil, false, fmt.Errorf("route table %s: route %s: %q is neither a prefix nor a known service tag", t.Name, r.Name, r.Properties.AddressPrefix)
		}
		for _, p := range list {
			e.AddressPrefix = p
			tagged = append(tagged, e)
		}
	}
	// An explicit prefix is preferred to the same prefix from a tag.
	return append(routes, tagged...), !t.Properties.DisableBGPRoutePropagation, nil
}

func hopType(s string) string {
	for _, t := range []string{hopLocal, hopInternet, hopNone, hopAppliance, hopGateway} {
		if strings.EqualFold(s, t) {
			return t
		}
	}
	return ""
}

// contestEndpoints decides between the /32 routes of private endpoints and
// user-defined routes.
func (w *world) contestEndpoints(s *subnet, routes []EffectiveRoute) {
	for _, e := range w.endpointsOf(s.network) {
		for _, m := range e.members {
			bits := 0
			for _, p := range e.subnet.network.prefixes {
				if p.Contains(m.address) {
					bits = max(bits, p.Bits())
				}
			}
			overridden := false
			for i, r := range routes {
				if r.Source != fromUser || !r.AddressPrefix.Contains(m.address) {
					continue
				}
				if e.policy("RouteTable") {
					overridden = overridden || r.AddressPrefix.Bits() >= bits
				} else if r.AddressPrefix == host(m.address) {
					routes[i].State = invalid
				}
			}
			if overridden {
				for i, r := range routes {
					if r.NextHopType == hopEndpoint && r.AddressPrefix == host(m.address) {
						routes[i].State = invalid
					}
				}
			}
		}
	}
}

// lookup is the active route with the longest prefix that holds a.
func lookup(routes []EffectiveRoute, a netip.Addr) (EffectiveRoute, bool) {
	best, found := EffectiveRoute{}, false
	for _, r := range routes {
		if r.State == active && r.AddressPrefix.Contains(a) && (!found || r.AddressPrefix.Bits() > best.AddressPrefix.Bits()) {
			best, found = r, true
		}
	}
	return best, found
}

// String says what a route is, for pictures and Route.Why.
func (r EffectiveRoute) String() string {
	s := r.NextHopType
	switch {
	case r.Source == fromUser:
		s = "user-defined route " + r.Name + ": " + s
	case r.Source == fromGateway:
		s = "gateway route: " + s
	default:
		s = "system route: " + s
	}
	if r.NextHopIPAddress.IsValid() {
		s += " " + r.NextHopIPAddress.String()
	}
	return s
}
