package topology

import (
	"cmp"
	"maps"
	"slices"
)

// defaultSite fills in the client's ground; addresses inside virtual networks
// are chosen later, when everything else has one.
func defaultSite(s *Site, r *Registry) *Site {
	out := Site{}
	if s != nil {
		out = *s
	}
	out.Image = cmp.Or(out.Image, firstImage(r))
	out.Hosts = maps.Clone(out.Hosts)
	switch out.At {
	case OnPremises:
		out.Address = cmp.Or(out.Address, onPremisesAddress)
		out.PublicIPAddress = cmp.Or(out.PublicIPAddress, sitePublicAddress)
		out.Resolver = defaultResolver(out.Resolver, onPremisesResolver)
	case Internet:
		out.Address = cmp.Or(out.Address, internetAddress)
		// A host with a public address leaves from that.
		out.PublicIPAddress = cmp.Or(out.PublicIPAddress, out.Address)
		out.Resolver = defaultResolver(out.Resolver, internetResolver)
	default:
		// In a virtual network the resolver is the network's; one that was
		// given stays, for validation to refuse.
		out.Resolver = copyResolver(out.Resolver)
	}
	out.Firewall = defaultSiteFirewall(out.Firewall)
	if out.Proxy != nil {
		p := *out.Proxy
		p.Name = cmp.Or(p.Name, "proxy.corp.example")
		if out.At == Internet {
			p.Address = cmp.Or(p.Address, internetProxy)
			p.PublicIPAddress = cmp.Or(p.PublicIPAddress, p.Address)
		}
		p.Address = cmp.Or(p.Address, proxyAddress)
		p.Port = cmp.Or(p.Port, 3128) // Squid's, the commonest
		p.Behaviour = cmp.Or(p.Behaviour, "answer")
		p.PublicIPAddress = cmp.Or(p.PublicIPAddress, out.PublicIPAddress, sitePublicAddress)
		p.Allow, p.Deny = slices.Clone(p.Allow), slices.Clone(p.Deny)
		p.Anonymous, p.Exempt = slices.Clone(p.Anonymous), slices.Clone(p.Exempt)
		out.Proxy = &p
	}
	return &out
}

func defaultSiteFirewall(f *Firewall) *Firewall {
	if f == nil {
		return nil
	}
	out := Firewall{Default: cmp.Or(f.Default, "allow"), Rules: map[string]FirewallRule{}}
	for name, r := range f.Rules {
		r.Priority = cmp.Or(r.Priority, defaultPriority)
		r.Action = cmp.Or(r.Action, "allow")
		r.To, r.Ports = slices.Clone(r.To), slices.Clone(r.Ports)
		out.Rules[name] = r
	}
	if f.Names != nil {
		n := *f.Names
		n.Action = cmp.Or(n.Action, "reset")
		n.Block, n.Exempt = slices.Clone(n.Block), slices.Clone(n.Exempt)
		n.Allow = slices.Clone(n.Allow)
		out.Names = &n
	}
	return &out
}

func defaultResolver(r *Resolver, address string) *Resolver {
	if r == nil {
		r = &Resolver{}
	}
	out := copyResolver(r)
	out.Address = cmp.Or(out.Address, address)
	out.Behaviour = cmp.Or(out.Behaviour, "answer")
	return out
}

func copyResolver(r *Resolver) *Resolver {
	if r == nil {
		return nil
	}
	out := *r
	out.Forwarders = maps.Clone(r.Forwarders)
	return &out
}

// firstImage is the first repository in order of name with its first tag.
func firstImage(r *Registry) string {
	for _, name := range slices.Sorted(maps.Keys(r.Repositories)) {
		return LoginServer(r.Name) + "/" + name + ":" + r.Repositories[name][0]
	}
	return ""
}
