package probe

import (
	"context"
	"regexp"
)

// cloudApp matches the last name of a registry's public alias chain, which
// tells its region: r0318eus-az.eastus.cloudapp.azure.com.
var cloudApp = regexp.MustCompile(`^[^.]+\.([a-z0-9-]+)\.cloudapp\.(?:azure\.com|usgovcloudapi\.net|chinacloudapi\.cn)$`)

// regionOf reads the region from an alias chain; "" if it does not tell.
func regionOf(chain []CNAME) string {
	for _, hop := range chain {
		if m := cloudApp.FindStringSubmatch(hop.Target); m != nil {
			return m[1]
		}
	}
	return ""
}

// dataEndpoint probes a data endpoint without a signature: 403 means alive.
// Each host is probed once, by each way.
func (r *run) dataEndpoint(ep endpoint) {
	ep.role, ep.get, ep.everywhere = roleOf(ep.host), "/", true
	if r.claim(ep.host) {
		r.dataWays(ep, r.ways(ep.host))
	}
}

// claim says whether nobody has begun to probe the host.
func (r *run) claim(host string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.probed[host] {
		return false
	}
	r.probed[host] = true
	return true
}

func (r *run) dataWays(ep endpoint, ways []way) {
	for _, w := range ways {
		g := r.optional
		if w.used() && !ep.guessed {
			g = r.required
		}
		g.start(func(ctx context.Context) { r.record(ctx, ep, w) })
	}
}

// record walks a way and keeps what was seen.
func (r *run) record(ctx context.Context, ep endpoint, w way) {
	for at := range r.approach(ctx, ep, w) {
		at.close()
		if ctx.Err() != nil && at.path.HTTP == nil && r.isSettled() {
			continue // cut short
		}
		r.addPath(at.path)
	}
}

func (r *run) isSettled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.settled
}

// guessData probes the dedicated data endpoints that the registry would have
// in the regions that its alias chain names, since the login server did not
// lead to any. Whoever has a name for it does have data endpoints enabled.
func (r *run) guessData() {
	r.guess.Do(func() { r.optional.start(r.guessDataNow) })
}

func (r *run) guessDataNow(ctx context.Context) {
	seen := map[string]bool{}
	in := func(region string) {
		if region == "" || seen[region] {
			return
		}
		seen[region] = true
		name := r.t.dataHost(region)
		if r.claim(name) {
			r.optional.start(func(ctx context.Context) { r.guessed(ctx, name) })
		}
	}
	in(r.t.region())
	for l := range r.each(ctx, r.t.Host) {
		in(regionOf(l.Chain))
	}
	if len(seen) == 0 {
		r.omitOnce("layer", "no redirect was seen and no alias chain tells the registry's region, so its data endpoint is not known")
	}
}

// guessed probes a name that may not exist. If a resolver of the public
// internet says so, the registry has no dedicated data endpoint there.
func (r *run) guessed(ctx context.Context, name string) {
	for l := range r.each(ctx, name) {
		if len(l.Addrs) > 0 || len(l.Chain) > 0 {
			r.dataWays(endpoint{host: name, role: RoleData, get: "/", everywhere: true, guessed: true}, r.ways(name))
			return
		}
	}
	r.omitOnce("layer", "no redirect was seen and "+name+" does not exist: layers lie in a storage account that only the login server names")
}
