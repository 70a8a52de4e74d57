package plan

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/acrlab/acrlab/harness/state"
	"github.com/acrlab/acrlab/harness/topology"
)

// site is where the client stands, with every address read.
type site struct {
	kind    siteKind
	client  netip.Addr
	public  netip.Addr // where connections leave from, outside Azure
	vpn     *network
	subnet  *subnet // of a client in Azure
	nic     state.NetworkInterface
	resolve netip.Addr   // the resolver of a client outside Azure
	dns     []netip.Addr // what resolv.conf says
	// ownResolver says that the resolver is a host of the site.
	ownResolver bool
	proxy       *siteProxy
	// onPremises are the prefixes that a gateway announces to Azure.
	onPremises []netip.Prefix
}

type siteKind int

const (
	inAzure siteKind = iota
	onPremises
	onInternet
)

type siteProxy struct {
	*topology.Proxy
	name    string
	address netip.Addr
	port    uint16
	public  netip.Addr
	// subnet holds a proxy that is a virtual machine.
	subnet *subnet
	nic    state.NetworkInterface
}

func (w *world) readSite() error {
	s, out := w.in.Site, &w.site
	var err error
	switch s.At {
	case topology.OnPremises:
		out.kind = onPremises
		out.client, err = addrOr(s.Address, onPremClient)
	case topology.Internet:
		out.kind = onInternet
		out.client, err = addrOr(s.Address, internetClient)
	case "":
		return fmt.Errorf("the site does not say where the client stands")
	default:
		err = w.readClientNIC()
	}
	if err != nil {
		return fmt.Errorf("the client's address: %w", err)
	}
	fallback := sitePublic
	if out.kind == onInternet {
		fallback = out.client
	}
	if out.public, err = addrOr(s.PublicIPAddress, fallback); err != nil {
		return fmt.Errorf("the site's public address: %w", err)
	}
	if err := w.readResolver(); err != nil {
		return err
	}
	if err := w.readProxy(); err != nil {
		return err
	}
	return w.readVPN()
}

func (w *world) readClientNIC() error {
	nic, ok := w.interfaces[state.Key(state.ClientNIC())]
	if !ok || len(nic.Properties.IPConfigurations) == 0 {
		return fmt.Errorf("the network interface %s is missing", state.ClientNIC())
	}
	p := nic.Properties.IPConfigurations[0].Properties
	a, err := parseAddr(p.PrivateIPAddress)
	if err != nil {
		return err
	}
	w.site.kind, w.site.nic, w.site.client, w.site.subnet = inAzure, nic, a, w.subnets[state.Key(p.Subnet.ID)]
	if w.site.subnet == nil {
		return fmt.Errorf("there is no subnet %q", p.Subnet.ID)
	}
	return nil
}

func addrOr(s string, fallback netip.Addr) (netip.Addr, error) {
	if s == "" {
		return fallback, nil
	}
	return parseAddr(s)
}

func (w *world) readResolver() error {
	out := &w.site
	if out.kind == inAzure {
		out.dns = w.networkDNS(out.subnet.network, out.nic)
		return nil
	}
	// The second address of the client's /24 unless the site says otherwise.
	p, _ := out.client.Prefix(24)
	address := gatewayOf(p).Next()
	if r := w.in.Site.Resolver; r != nil && r.Address != "" {
		var err error
		if address, err = parseAddr(r.Address); err != nil {
			return fmt.Errorf("the resolver's address: %w", err)
		}
	}
	out.resolve, out.dns = address, []netip.Addr{address}
	known := []netip.Addr{googleDNS, cloudflare, platformDNS}
	out.ownResolver = !slices.Contains(known, address) && !w.inAnyNetwork(address)
	return nil
}

// networkDNS is what DHCP tells a virtual machine.
func (w *world) networkDNS(n *network, nic state.NetworkInterface) []netip.Addr {
	if s := nic.Properties.DNSSettings; s != nil && len(s.DNSServers) > 0 {
		var own []netip.Addr
		for _, x := range s.DNSServers {
			if a, err := parseAddr(x); err == nil {
				own = append(own, a)
			} else if x == "AzureProvidedDNS" {
				own = append(own, platformDNS)
			}
		}
		return own
	}
	if len(n.dns) > 0 {
		return slices.Clone(n.dns)
	}
	return []netip.Addr{platformDNS}
}

func (w *world) inAnyNetwork(a netip.Addr) bool {
	return slices.ContainsFunc(w.networks, func(n *network) bool { return within(n.prefixes, a) })
}

func (w *world) readProxy() error {
	p := w.in.Site.Proxy
	if p == nil {
		return nil
	}
	out := &siteProxy{Proxy: p, name: p.Name, port: uint16(p.Port)}
	if p.Port < 0 || p.Port > 65535 {
		return fmt.Errorf("the proxy's port %d is not a port", p.Port)
	}
	if out.port == 0 {
		out.port = defaultProxyPort
	}
	if out.name == "" {
		out.name = defaultProxyName
	}
	fallback := onPremProxy
	if w.site.kind == onInternet {
		fallback = internetProxy
	}
	var err error
	if out.address, err = addrOr(p.Address, fallback); err != nil {
		return fmt.Errorf("the proxy's address: %w", err)
	}
	if out.public, err = addrOr(p.PublicIPAddress, w.site.public); err != nil {
		return fmt.Errorf("the proxy's public address: %w", err)
	}
	if nic, ok := w.interfaces[state.Key(state.ProxyNIC())]; ok && w.site.kind == inAzure && len(nic.Properties.IPConfigurations) > 0 {
		c := nic.Properties.IPConfigurations[0].Properties
		if out.address, err = parseAddr(c.PrivateIPAddress); err != nil {
			return fmt.Errorf("the proxy's address: %w", err)
		}
		out.nic, out.subnet = nic, w.subnets[state.Key(c.Subnet.ID)]
	}
	w.site.proxy = out
	return nil
}

// readVPN works out what lies behind the gateways of virtual networks.
func (w *world) readVPN() error {
	s := &w.site
	switch s.kind {
	case onPremises:
		lan, _ := s.client.Prefix(24)
		s.onPremises = []netip.Prefix{lan}
		if s.ownResolver && !within(s.onPremises, s.resolve) {
			s.onPremises = append(s.onPremises, host(s.resolve))
		}
		if s.proxy != nil && !within(s.onPremises, s.proxy.address) {
			s.onPremises = append(s.onPremises, host(s.proxy.address))
		}
		if w.in.Site.VPN == "" {
			return nil
		}
		i := slices.IndexFunc(w.networks, func(n *network) bool { return n.name == w.in.Site.VPN })
		if i < 0 {
			return fmt.Errorf("the site's VPN: there is no virtual network %q", w.in.Site.VPN)
		}
		s.vpn = w.networks[i]
	case inAzure:
		// A proxy that is no virtual machine stands behind a private line to
		// the client's network.
		if s.proxy == nil || s.proxy.subnet != nil {
			return nil
		}
		s.onPremises, s.vpn = hosts(s.proxy.address), s.subnet.network
	default:
		return nil
	}
	s.vpn.onPremises = s.onPremises
	for _, n := range w.peers(s.vpn) {
		if w.peering(n, s.vpn).Properties.UseRemoteGateways && w.peering(s.vpn, n).Properties.AllowGatewayTransit {
			n.onPremises = s.onPremises
		}
	}
	return nil
}
