package plan_test

import (
	"encoding/json"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/fakes/azure"
	"github.com/acrlab/acrlab/fakes/dns"
	"github.com/acrlab/acrlab/fakes/registry"
	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/state"
	"github.com/acrlab/acrlab/harness/topology"
	"github.com/acrlab/acrlab/harness/trace"
)

const (
	login   = "20.62.128.38"  // myregistry.azurecr.io in eastus
	data    = "20.62.128.130" // its data endpoint
	storage = "20.60.0.132"
	mcr     = "150.171.69.10"
	google  = "8.8.8.8"
)

// base is a base topology with a change.
func base(t *testing.T, name string, change func(*topology.Topology)) topology.Topology {
	t.Helper()
	top, err := topology.Base(name)
	require.NoError(t, err)
	if change != nil {
		change(&top)
	}
	return top.WithDefaults()
}

func network(t *testing.T, name string, change func(*topology.Topology)) *plan.Network {
	t.Helper()
	n, err := plan.FromTopology(base(t, name, change))
	require.NoError(t, err)
	return n
}

func input(t *testing.T, top topology.Topology) plan.Input {
	t.Helper()
	s, err := state.Build(top)
	require.NoError(t, err)
	return plan.InputOf(s, top)
}

// tcp follows a connection from the client to a port 443.
func tcp(n *plan.Network, to string) trace.Path {
	return trace.Follow(n, n.Client, trace.Flow{Protocol: "tcp", Destination: netip.MustParseAddr(to), Port: 443})
}

func udp(n *plan.Network, to string) trace.Path {
	return trace.Follow(n, n.Client, trace.Flow{Protocol: "udp", Destination: netip.MustParseAddr(to), Port: 53})
}

func hostOf(t *testing.T, n *plan.Network, name string) plan.Host {
	t.Helper()
	i := slices.IndexFunc(n.Hosts, func(h plan.Host) bool { return h.Name == name })
	require.GreaterOrEqual(t, i, 0, "no host %s", name)
	return n.Hosts[i]
}

func serviceOf(t *testing.T, h plan.Host, name string) plan.Service {
	t.Helper()
	i := slices.IndexFunc(h.Services, func(s plan.Service) bool { return s.Name == name })
	require.GreaterOrEqual(t, i, 0, "host %s has no service %s", h.Name, name)
	return h.Services[i]
}

func registryOf(t *testing.T, n *plan.Network, name string) registry.Config {
	t.Helper()
	i := slices.IndexFunc(n.Registries, func(r registry.Config) bool { return r.Name == name })
	require.GreaterOrEqual(t, i, 0, "no registry %s", name)
	return n.Registries[i]
}

// set changes a resource's properties, as a PUT by az would.
func set(t *testing.T, s azure.State, id string, change func(map[string]any)) {
	t.Helper()
	r, ok := s.Resources[state.Key(id)]
	require.True(t, ok, "no resource %s", id)
	p := map[string]any{}
	require.NoError(t, json.Unmarshal(r.Properties, &p))
	change(p)
	raw, err := json.Marshal(p)
	require.NoError(t, err)
	r.Properties = raw
	s.Resources[state.Key(id)] = r
}

// chain follows a name through a resolver's configuration for an asker, as the
// contract in package dns says, and returns the names and addresses on the way.
func chain(c dns.Config, asker, name string) []string {
	var zones []dns.Zone
	for _, v := range c.Views {
		if slices.ContainsFunc(v.Source, func(p netip.Prefix) bool { return p.Contains(netip.MustParseAddr(asker)) }) {
			zones = v.Zones
			break
		}
	}
	out := []string{name}
	for range 12 {
		records, private, bits := c.Records, false, -1
		for _, z := range zones {
			if (name == z.Name || len(name) > len(z.Name) && name[len(name)-len(z.Name)-1:] == "."+z.Name) && len(z.Name) > bits {
				records, private, bits = z.Records, !z.Fallback, len(z.Name)
			}
		}
		i := slices.IndexFunc(records, func(r dns.Record) bool { return r.Name == name })
		if i < 0 && !private {
			i = slices.IndexFunc(c.Records, func(r dns.Record) bool { return r.Name == name })
			records = c.Records
		}
		if i < 0 {
			return append(out, "NXDOMAIN")
		}
		if a := records[i].A; a.IsValid() {
			return append(out, a.String())
		}
		name = records[i].CNAME
		out = append(out, name)
	}
	return out
}

// azureDNS is the answer of 168.63.129.16 to the client.
func azureDNS(t *testing.T, n *plan.Network, name string) []string {
	t.Helper()
	c := serviceOf(t, hostOf(t, n, "azure"), "dns").DNS
	require.True(t, c.OnlyViews)
	return chain(*c, clientAddress(n), name)
}

func clientAddress(n *plan.Network) string {
	for _, l := range n.Links {
		for _, e := range l.Ends {
			if e.Host == n.Client {
				return e.Addresses[0].Addr().String()
			}
		}
	}
	return ""
}

func publicDNS(t *testing.T, n *plan.Network, asker, name string) []string {
	t.Helper()
	return chain(*serviceOf(t, hostOf(t, n, "internet"), "dns").DNS, asker, name)
}
