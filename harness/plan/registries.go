package plan

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/fakes/registry"
	"github.com/acrlab/acrlab/harness/state"
)

const (
	mcrRegistry     = "mcr"
	controlRegistry = "control"
)

// dataName is a registry's dedicated data endpoint in a region.
func (a *acr) dataName(region string) string {
	name, suffix, ok := strings.Cut(a.login, ".")
	if !ok {
		return a.login + "." + region + ".data"
	}
	return name + "." + region + ".data." + suffix
}

// storageName is the storage account that holds a replica's layers. The
// pattern is observed ("weumanaged15").
func (a *acr) storageName(region string) string {
	return regions[region].short + "managed" + itoa(15+a.index) + ".blob.core.windows.net"
}

func (b *builder) registryConfig(a *acr) registry.Config {
	c := registry.Config{
		Name: a.name, LoginServer: a.login, DataEndpoints: a.data, AnonymousPull: a.anonymous,
		Public: registry.Access{Default: a.access, Allow: a.allow}, Repositories: map[string][]string{},
		Users:  map[string]string{state.TokenName: state.TokenPassword},
		Tenant: b.in.State.Tenant, Clients: b.clients(),
	}
	for _, r := range a.regions {
		c.Regions = append(c.Regions, registry.Region{Name: r, Storage: a.storageName(r)})
	}
	for _, name := range keys(b.in.Content) {
		if strings.EqualFold(name, a.name) {
			c.Repositories = maps.Clone(b.in.Content[name])
		}
	}
	return c
}

// publicFronts are a registry's listeners on the internet: the login server,
// and the data endpoint or the storage account, in every region.
func (b *builder) publicFronts(h *Host, a *acr) error {
	for _, name := range a.regions {
		r, err := regionOf(name)
		if err != nil {
			return err
		}
		front := func(what string, address netip.Addr, server string, role registry.Role) {
			h.Loopback = append(h.Loopback, address)
			h.serve(Service{
				Name: "registry-" + a.name + "-" + name + "-" + what, Listen: listen(443, address),
				Registry: &registry.Front{Registry: a.name, Region: name, Roles: map[string]registry.Role{server: role}},
			})
		}
		front("login", r.login(a.index), a.login, registry.Login)
		// The storage account exists either way: it refuses what it did not sign.
		front("storage", r.blob(a.index), a.storageName(name), registry.Storage)
		if a.data {
			front("data", r.data(a.index), a.dataName(name), registry.Data)
		}
	}
	return nil
}

// buildEndpoints puts the registry's private side behind its endpoints.
func (b *builder) buildEndpoints() error {
	for _, e := range b.endpoints {
		h := b.hosts[endpointHost(e.subnet)]
		if !e.approved || h == nil {
			continue
		}
		for _, m := range e.members {
			region, role := nearest(e.subnet.network.location, e.registry.regions), registry.Login
			if data, ok := strings.CutPrefix(m.name, "registry_data_"); ok {
				region, role = data, registry.Data
			}
			if !slices.Contains(e.registry.regions, region) {
				continue // a replica that is gone
			}
			roles := map[string]registry.Role{}
			for _, f := range m.fqdns {
				roles[f] = role
			}
			h.serve(Service{
				Name: "endpoint-" + e.name + "-" + m.name, Listen: listen(443, m.address),
				Registry: &registry.Front{Registry: e.registry.name, Region: region, Roles: roles, Private: true},
			})
		}
	}
	return nil
}

// mcrConfig is Microsoft Artifact Registry: without tokens, its layers at the data
// endpoint of the region.
func mcrConfig() registry.Config {
	return registry.Config{
		Name: mcrRegistry, LoginServer: mcrName, Open: true, Public: registry.Access{Default: true},
		Regions:      []registry.Region{{Name: "eastus", Storage: mcrDataName}},
		Repositories: map[string][]string{"mcr/hello-world": {"latest"}, "hello-world": {"latest"}, "acr/acr-cli": {"latest"}},
	}
}

// controlConfig is a TLS host that has nothing to do with Azure.
func controlConfig() registry.Config {
	return registry.Config{
		Name: controlRegistry, LoginServer: controlName, AnonymousPull: true, Public: registry.Access{Default: true},
		Regions: []registry.Region{{Name: "eastus", Storage: "static." + controlName}}, Repositories: map[string][]string{},
	}
}
