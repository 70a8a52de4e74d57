package plan

import "net/netip"

// buildSite makes what lies between a client outside Azure and Azure.
func (b *builder) buildSite() error {
	switch b.site.kind {
	case onPremises:
		return b.buildCorp()
	case onInternet:
		return b.buildOutside()
	}
	p := b.site.proxy
	if p == nil {
		return nil
	}
	if p.subnet == nil {
		b.besideProxy()
	}
	return b.proxyService(b.hosts[proxyHost])
}

// buildCorp makes a corporate network: a router that is the firewall, the
// client, the resolver and the proxy on interfaces of their own.
func (b *builder) buildCorp() error {
	h := b.host(corpHost, "corporate router and firewall")
	h.Forward = true
	b.link(
		End{Host: corpHost, Interface: internetInterface, Addresses: []netip.Prefix{corpLink[1]}},
		End{Host: internetHost, Interface: corpHost, Addresses: []netip.Prefix{corpLink[0]}},
	)
	lan, _ := b.site.client.Prefix(24)
	gateway := gatewayOf(lan)
	b.corpMachine(clientHost, "client", b.site.client)
	if b.site.ownResolver {
		b.corpMachine(resolverHost, "resolver", b.site.resolve)
		if err := b.resolverService(b.hosts[resolverHost]); err != nil {
			return err
		}
	}
	if p := b.site.proxy; p != nil {
		b.corpMachine(proxyHost, "HTTPS proxy", p.address)
		if err := b.proxyService(b.hosts[proxyHost]); err != nil {
			return err
		}
		h.NAT = append(h.NAT, NATRule{Match: Match{Out: []string{internetInterface}, Source: hosts(p.address)}, To: p.public})
	}
	h.NAT = append(h.NAT, NATRule{Match: Match{Out: []string{internetInterface}}, To: b.site.public})
	if v := b.site.vpn; v != nil {
		b.vpnTo(h, corpHost, v)
		// The firewall's own connections come from its address in the client's network.
		h.NAT = append(h.NAT, NATRule{Match: Match{Out: []string{azureHost}, Source: []netip.Prefix{vpnLink[1].Masked()}}, To: gateway})
	}
	h.Routes = append(h.Routes, Route{Destination: everything, Via: corpLink[0].Addr(), Interface: internetInterface, Why: "default route"})
	internet := b.hosts[internetHost]
	for _, a := range b.sitePublicAddresses() {
		internet.Routes = append(internet.Routes, Route{Destination: host(a), Via: corpLink[1].Addr(), Interface: corpHost, Why: "public address of the site"})
	}
	return b.corpFirewall(h)
}

func (b *builder) sitePublicAddresses() []netip.Addr {
	out := []netip.Addr{b.site.public}
	if p := b.site.proxy; p != nil && p.public != b.site.public {
		out = append(out, p.public)
	}
	return out
}

// corpMachine puts a machine behind the corporate router.
func (b *builder) corpMachine(name, role string, a netip.Addr) {
	b.host(name, role)
	lan, _ := a.Prefix(24)
	b.attach(name, corpHost, name, gatewayOf(lan), a)
	h := b.hosts[corpHost]
	h.Routes = append(h.Routes, Route{Destination: host(a), Interface: name, Why: role})
}

// vpnTo joins a host to Azure's gateway and routes the networks behind it there.
func (b *builder) vpnTo(h *Host, name string, v *network) {
	b.link(
		End{Host: name, Interface: azureHost, Addresses: []netip.Prefix{vpnLink[1]}},
		End{Host: azureHost, Interface: vpnInterface, Addresses: []netip.Prefix{vpnLink[0]}},
	)
	for _, n := range b.networks {
		if n != v && len(n.onPremises) == 0 {
			continue
		}
		for _, p := range n.prefixes {
			h.Routes = append(h.Routes, Route{Destination: p, Via: vpnLink[0].Addr(), Interface: azureHost, Why: "VPN to " + n.name})
		}
	}
}
