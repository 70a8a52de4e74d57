package probe

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/acrlab/acrlab/diagnoser/host"
)

// Named is what only Azure could name.
type Named struct {
	// DataHosts are the data endpoints of all replicas.
	DataHosts []string
	// Endpoints are addresses of the registry's private endpoints, by the name
	// that they serve.
	Endpoints map[netip.Addr]string
}

// Further probes what Azure named, by the ways that clients here take. It runs
// beside [Run]; [Report.Add] joins both. What had not ended with ctx is omitted.
func Further(ctx context.Context, h host.Host, t Target, o Options, n Named) *Report {
	o = o.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	r := &run{
		h: h, t: t, o: o,
		report:   &Report{Target: t, Began: h.Now()},
		required: newGroup(ctx), optional: newGroup(ctx),
		names: map[string]*resolution{}, probed: map[string]bool{},
	}
	r.lookAround(ctx)
	for _, name := range n.DataHosts {
		name = plain(name)
		if name == "" || !r.claim(name) {
			continue
		}
		for _, w := range r.ways(name) {
			if !w.shell {
				continue
			}
			r.required.start(func(ctx context.Context) {
				for at := range r.approach(ctx, endpoint{host: name, role: roleOf(name), get: "/", once: true}, w) {
					at.close()
					if ctx.Err() != nil && at.path.HTTP == nil {
						r.omitOnce("data endpoint "+name, "it had not answered when the diagnosis was ready")
						continue
					}
					r.addPath(at.path)
				}
			})
		}
	}
	var mu sync.Mutex
	for addr, name := range n.Endpoints {
		r.required.start(func(ctx context.Context) {
			p := Path{Host: name, Port: 443, Role: RoleLogin, Via: Direct, Addr: addr}
			conn, tcp := r.connect(ctx, netip.AddrPortFrom(addr, 443), host.ConnectOptions{})
			if conn != nil {
				conn.Close()
			}
			if p.TCP = tcp; ctx.Err() != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			r.report.Endpoints = append(r.report.Endpoints, p)
		})
	}
	r.required.wait()
	r.optional.wait()
	slices.SortFunc(r.report.Endpoints, func(a, b Path) int { return a.Addr.Compare(b.Addr) })
	return r.report
}

// Add takes over what another report of the same place saw and this one lacks.
func (rep *Report) Add(more *Report) {
	if more == nil {
		return
	}
	for _, l := range more.Lookups {
		if !slices.ContainsFunc(rep.Lookups, func(o Lookup) bool {
			return strings.EqualFold(o.Name, l.Name) && o.Kind == l.Kind && o.Resolver == l.Resolver
		}) {
			rep.Lookups = append(rep.Lookups, l)
		}
	}
	known := map[string]bool{}
	for _, p := range rep.Paths {
		known[p.Host] = known[p.Host] || p.Shell
	}
	for _, p := range more.Paths {
		if !known[p.Host] {
			rep.Paths = append(rep.Paths, p)
		}
	}
	for _, o := range more.Omitted {
		if host, ok := strings.CutPrefix(o.Probe, "data endpoint "); ok && !known[host] {
			rep.Omitted = append(rep.Omitted, o)
		}
	}
	rep.Endpoints = append(rep.Endpoints, more.Endpoints...)
}
