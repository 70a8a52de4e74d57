package probe

import (
	"context"
	"net/netip"
	"strings"
)

// lookAround reads what the place says about itself. It sends nothing.
func (r *run) lookAround(ctx context.Context) {
	v := &r.report.Vantage
	v.Now = r.h.Now()
	if b, err := r.h.ReadFile("/etc/resolv.conf"); err != nil {
		r.omit("vantage", "no resolver is known: "+err.Error())
	} else {
		v.Resolvers = ParseResolvConf(b)
		v.Search, v.NDots = parseSearch(b)
	}
	if b, err := r.h.ReadFile("/etc/hosts"); err == nil {
		v.Hosts = ParseHosts(b)
	}
	r.shell = proxyFromEnviron(r.h.Environ(), "environment")
	v.Shell = r.shell.shown
	if d, settings := findDaemon(ctx, r.h); d != nil {
		d.Proxy = settings.shown
		v.Daemon, r.daemon = d, settings
	}
	// Any address of the internet shows the source; packets are not sent.
	for _, a := range append([]netip.Addr{netip.AddrFrom4([4]byte{8, 8, 8, 8})}, v.Resolvers...) {
		if c, err := r.h.DialUDP(ctx, netip.AddrPortFrom(a, 53)); err == nil {
			if local, err := netip.ParseAddrPort(c.LocalAddr().String()); err == nil {
				v.Source = local.Addr().Unmap()
			}
			c.Close()
		}
		if v.Source.IsValid() {
			break
		}
	}
	r.trust = newTrust(r.h)
}

// concludeVantage fills what the probes learnt of the place.
func (r *run) concludeVantage() {
	v := &r.report.Vantage
	for _, l := range r.report.Lookups {
		if l.Resolver != azureDNS {
			continue
		}
		switch l.RCode {
		case Timeout, Unreachable:
			// Without any route here the silence says nothing about the place.
			if v.InAzureVNet == nil && v.Source.IsValid() {
				v.InAzureVNet = new(bool)
			}
		default:
			yes := true
			v.InAzureVNet = &yes
		}
	}
}

// completions asks for what clients ask before the name itself where resolv.conf
// demands more dots than the name has, as in Kubernetes (ndots:5): a wildcard in
// a search domain would lead them astray.
func (r *run) completions() {
	v := &r.report.Vantage
	if strings.Count(r.t.Host, ".") >= v.NDots || strings.HasSuffix(r.t.Host, ".") {
		return
	}
	for _, d := range v.Search {
		r.required.start(func(ctx context.Context) { r.own(ctx, r.t.Host+"."+d, false) })
	}
}

// learnEgress notes the address that somebody outside saw.
func (r *run) learnEgress(ip netip.Addr, from string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ip.IsValid() && !r.report.Vantage.Egress.IsValid() {
		r.report.Vantage.Egress, r.report.Vantage.EgressFrom = ip, from
	}
}
