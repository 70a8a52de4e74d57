package plan

import (
	"net/netip"
)

// besideProxy is a proxy that a client in Azure reaches by a private line: on
// its other side it has a public address of its own.
func (b *builder) besideProxy() {
	p := b.site.proxy
	h := b.host(proxyHost, "HTTPS proxy")
	h.Loopback = []netip.Addr{p.address, p.public}
	b.vpnTo(h, proxyHost, b.site.vpn)
	b.link(
		End{Host: proxyHost, Interface: internetInterface, Addresses: []netip.Prefix{corpLink[1]}},
		End{Host: internetHost, Interface: proxyHost, Addresses: []netip.Prefix{corpLink[0]}},
	)
	h.Routes = append(h.Routes, Route{Destination: everything, Via: corpLink[0].Addr(), Interface: internetInterface, Why: "default route"})
	h.NAT = append(h.NAT, NATRule{Match: Match{Out: []string{internetInterface}}, To: p.public})
	internet := b.hosts[internetHost]
	internet.Routes = append(internet.Routes, Route{Destination: host(p.public), Via: corpLink[1].Addr(), Interface: proxyHost, Why: "public address of the proxy"})
}

// buildOutside makes a client with a public address.
func (b *builder) buildOutside() error {
	b.outsideMachine(clientHost, "client", b.site.client)
	if b.site.ownResolver {
		b.outsideMachine(resolverHost, "resolver", b.site.resolve)
		if err := b.resolverService(b.hosts[resolverHost]); err != nil {
			return err
		}
	}
	if p := b.site.proxy; p != nil {
		b.outsideMachine(proxyHost, "HTTPS proxy", p.address)
		return b.proxyService(b.hosts[proxyHost])
	}
	return nil
}

func (b *builder) outsideMachine(name, role string, a netip.Addr) {
	b.host(name, role)
	b.attach(name, internetHost, name, outsideHop, a)
	h := b.hosts[internetHost]
	h.Routes = append(h.Routes, Route{Destination: host(a), Interface: name, Why: role})
}
