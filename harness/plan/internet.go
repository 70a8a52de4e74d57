package plan

import (
	"net/netip"
	"slices"

	"github.com/acrlab/acrlab/fakes/azure"
	"github.com/acrlab/acrlab/fakes/dns"
	"github.com/acrlab/acrlab/fakes/graph"
	"github.com/acrlab/acrlab/fakes/registry"
)

// buildInternet makes the host that has every public address.
func (b *builder) buildInternet() error {
	h := b.host(internetHost, "the internet: registries, resolvers, Azure's public services")
	h.Forward = true
	h.Loopback = []netip.Addr{googleDNS, cloudflare, armAddress, entraAddress, graphAddress, logsAddress, mcrAddress, mcrDataAddress, controlAddress}
	h.serve(Service{Name: "dns", Listen: listen(53, googleDNS, cloudflare), DNS: b.publicResolver()})
	h.serve(Service{Name: "arm", Listen: listen(443, armAddress), ARM: &azure.Front{Clients: b.clients()}})
	h.serve(Service{Name: "entra", Listen: listen(443, entraAddress), Entra: b.directory()})
	h.serve(Service{Name: "graph", Listen: listen(443, graphAddress), Graph: &graph.Front{Tenant: b.in.State.Tenant}})
	h.serve(Service{Name: "logs", Listen: listen(443, logsAddress), LogAnalytics: b.logs()})
	h.serve(Service{Name: "mcr", Listen: listen(443, mcrAddress), Registry: &registry.Front{
		Registry: mcrRegistry, Region: "eastus", Roles: map[string]registry.Role{mcrName: registry.Login},
	}})
	h.serve(Service{Name: "mcr-data", Listen: listen(443, mcrDataAddress), Registry: &registry.Front{
		Registry: mcrRegistry, Region: "eastus", Roles: map[string]registry.Role{mcrDataName: registry.Storage},
	}})
	h.serve(Service{Name: "control", Listen: listen(443, controlAddress), Registry: &registry.Front{
		Registry: controlRegistry, Region: "eastus", Roles: map[string]registry.Role{controlName: registry.Login},
	}})
	for _, a := range b.registries {
		if err := b.publicFronts(h, a); err != nil {
			return err
		}
	}
	return nil
}

// publicResolver is 8.8.8.8 and 1.1.1.1. For a name that Traffic Manager
// routes they answer by where the asker is, as resolvers near the asker do.
func (b *builder) publicResolver() *dns.Config {
	c := &dns.Config{Records: b.publicRecords()}
	for _, n := range b.networks {
		zones := b.geoZones(n.location)
		if len(zones) == 0 {
			continue
		}
		var sources []netip.Prefix
		add := func(a netip.Addr) {
			if a.IsValid() && !slices.Contains(sources, host(a)) {
				sources = append(sources, host(a))
			}
		}
		for _, p := range b.ports {
			if p.network() != n || len(p.addresses) == 0 {
				continue
			}
			add(p.public)
			if a, ok := b.egress(p.subnet); ok {
				add(a)
			}
		}
		if len(sources) > 0 {
			c.Views = append(c.Views, dns.View{Source: sources, Zones: zones})
		}
	}
	return c
}

// internetRoutes lead back to whoever has a public address, and, for what
// comes by a service endpoint, to the subnet's private addresses. Every other
// address is silent.
func (b *builder) internetRoutes() {
	h := b.hosts[internetHost]
	done := map[netip.Prefix]bool{}
	toAzure := func(p netip.Prefix, why string) {
		if !done[p] {
			done[p] = true
			h.Routes = append(h.Routes, Route{Destination: p, Via: internetLink[1].Addr(), Interface: azureHost, Why: why})
		}
	}
	for _, p := range b.ports {
		if len(p.addresses) == 0 {
			continue
		}
		if p.public.IsValid() {
			toAzure(host(p.public), "public address of "+p.host)
		}
		if a, ok := b.egress(p.subnet); ok {
			toAzure(host(a), "outbound address of "+p.network().name)
		}
		if p.subnet.has(serviceRegistry) || p.subnet.has(serviceStorage) {
			for _, prefix := range p.subnet.prefixes {
				toAzure(prefix, "service endpoint of "+p.network().name+"/"+p.subnet.name)
			}
		}
	}
	h.Routes = append(h.Routes, Route{Destination: everything, Blackhole: true, Why: "nobody has this address"})
}
