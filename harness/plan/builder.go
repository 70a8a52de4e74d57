package plan

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"

	"github.com/acrlab/acrlab/fakes/registry"
)

// Host names that others refer to.
const (
	clientHost   = "client"
	azureHost    = "azure"
	internetHost = "internet"
	corpHost     = "corp"
	proxyHost    = "proxy"
	resolverHost = "resolver"
)

// Interface names: a machine has one interface, routers name theirs after the
// other side.
const (
	machineInterface  = "eth0"
	internetInterface = "internet"
	vpnInterface      = "vpn"
)

// builder turns a world into a network.
type builder struct {
	*world
	net   *Network
	hosts map[string]*Host
	order []string
	ports []*port // of Azure's router, in order
	links []Link
}

func (b *builder) build() error {
	for _, step := range []func() error{
		b.buildPorts, b.buildAzure, b.buildInternet, b.buildEndpoints, b.buildDNSServers,
		b.buildFirewalls, b.buildSite, b.buildRegistries, b.buildClient,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	b.internetRoutes()
	for _, name := range b.order {
		h := b.hosts[name]
		slices.SortStableFunc(h.Services, func(x, y Service) int { return compare(x.Name, y.Name) })
		b.net.Hosts = append(b.net.Hosts, *h)
	}
	b.net.Links = b.links
	s := b.in.State
	b.net.Azure = &s
	return nil
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// host is the host of that name, made on first use.
func (b *builder) host(name, role string) *Host {
	if h := b.hosts[name]; h != nil {
		return h
	}
	h := &Host{Name: name, Role: role}
	b.hosts[name] = h
	b.order = append(b.order, name)
	return h
}

func (b *builder) link(a, z End) { b.links = append(b.links, Link{Ends: [2]End{a, z}}) }

// attach gives a machine its interface, with one address or several, on a
// point-to-point link to a router that has the gateway address. The machine
// sends everything to the gateway, its own subnet included: on Azure as here
// no frame goes from machine to machine directly.
func (b *builder) attach(machine, router, routerInterface string, gateway netip.Addr, addresses ...netip.Addr) {
	b.link(
		End{Host: machine, Interface: machineInterface, Addresses: hosts(addresses...)},
		End{Host: router, Interface: routerInterface, Addresses: hosts(gateway)},
	)
	h := b.hosts[machine]
	h.Routes = append(h.Routes,
		Route{Destination: host(gateway), Interface: machineInterface, Why: "the subnet's router"},
		Route{Destination: everything, Via: gateway, Interface: machineInterface, Why: "default route from DHCP"})
}

// serve adds a service to a host.
func (h *Host) serve(s Service) { h.Services = append(h.Services, s) }

func listen(port uint16, addresses ...netip.Addr) []netip.AddrPort {
	var out []netip.AddrPort
	for _, a := range addresses {
		out = append(out, netip.AddrPortFrom(a, port))
	}
	return out
}

// interfaceName fits a name into the 15 bytes of a Linux interface name.
func interfaceName(name string) string {
	if len(name) <= 15 {
		return name
	}
	h := fnv.New32a()
	h.Write([]byte(name))
	return fmt.Sprintf("%.9s-%05x", name, h.Sum32()&0xfffff)
}

func (b *builder) buildRegistries() error {
	for _, a := range b.registries {
		b.net.Registries = append(b.net.Registries, b.registryConfig(a))
	}
	b.net.Registries = append(b.net.Registries, mcrConfig(), controlConfig())
	slices.SortStableFunc(b.net.Registries, func(x, y registry.Config) int { return compare(x.Name, y.Name) })
	return nil
}
