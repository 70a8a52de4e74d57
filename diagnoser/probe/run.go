package probe

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/acrlab/acrlab/diagnoser/host"
)

// Run looks at a registry from h. It always gives a report, within
// Options.Timeout: what could not be seen is in Report.Omitted. No plane
// (registry, Entra, container engine) stops another.
func Run(ctx context.Context, h host.Host, t Target, o Options) *Report {
	o = o.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	optional, settle := context.WithCancel(ctx)
	defer settle()

	began := time.Now()
	r := &run{
		h: h, t: t, o: o,
		report:   &Report{Target: t, Began: h.Now()},
		required: newGroup(ctx), optional: newGroup(optional),
		names: map[string]*resolution{}, probed: map[string]bool{},
	}
	r.lookAround(ctx)

	r.required.start(r.registry)
	r.required.start(r.control)
	for _, host := range o.DataHosts {
		r.dataEndpoint(endpoint{host: plain(host)})
	}
	r.required.wait()
	if r.healthy() {
		// The image can be pulled. What is still under way would only explain a
		// failure, and may be waiting for something that never answers.
		r.settle()
		settle()
	}
	r.optional.wait()
	r.required.wait()

	r.finish()
	r.report.Took = time.Since(began)
	return r.report
}

// run is one run of the probes.
type run struct {
	h host.Host
	t Target
	o Options

	// required are the probes that a diagnosis needs in any case; optional are
	// those that explain a failure.
	required, optional *group

	shell, daemon proxySettings // with credentials; daemon counts if report.Vantage.Daemon is set
	trust         trust

	guess sync.Once // the data endpoint was guessed

	mu      sync.Mutex // guards what follows
	report  *Report
	names   map[string]*resolution
	probed  map[string]bool // data endpoints under way
	settled bool
	left    int // optional probes cut short
}

func (r *run) addPath(p *Path) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.settled && !p.Shell && !p.Daemon {
		r.left++
		return
	}
	r.report.Paths = append(r.report.Paths, *p)
}

func (r *run) omit(probe, because string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Omitted = append(r.report.Omitted, Omission{probe, because})
}

func (r *run) omitOnce(probe, because string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o := (Omission{probe, because}); !slices.Contains(r.report.Omitted, o) {
		r.report.Omitted = append(r.report.Omitted, o)
	}
}

func (r *run) settle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settled = true
}

// healthy says that a blob came to the last byte by the shell's way and that
// every way in use works.
func (r *run) healthy() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	api := r.report.API
	if api == nil || api.Blob == nil || !api.Blob.OK {
		return false
	}
	works := func(p Path) bool {
		return !p.Shell && !p.Daemon || p.TLS != nil && p.TLS.Outcome == Verified && p.HTTP != nil && p.HTTP.Status > 0
	}
	for _, p := range slices.Concat(r.report.Paths, r.report.Control) {
		if !works(p) {
			return false
		}
	}
	return true
}

// finish puts the report into an order that does not depend on timing and
// fills what follows from the whole.
func (r *run) finish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	rep := r.report
	slices.SortStableFunc(rep.Lookups, func(a, b Lookup) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		if c := kindOrder[a.Kind] - kindOrder[b.Kind]; c != 0 {
			return c
		}
		return slices.Index(rep.Vantage.Resolvers, a.Resolver) - slices.Index(rep.Vantage.Resolvers, b.Resolver)
	})
	byUse := func(a, b Path) int {
		if c := roleOrder[a.Role] - roleOrder[b.Role]; c != 0 {
			return c
		}
		if c := strings.Compare(a.Host, b.Host); c != 0 {
			return c
		}
		if c := use(a) - use(b); c != 0 {
			return c
		}
		return a.Addr.Compare(b.Addr) // IPv4 before IPv6
	}
	slices.SortStableFunc(rep.Paths, byUse)
	slices.SortStableFunc(rep.Control, byUse)
	slices.SortFunc(rep.Omitted, func(a, b Omission) int {
		return strings.Compare(a.Probe+"\x00"+a.Because, b.Probe+"\x00"+b.Because)
	})
	r.concludeVantage()
	if r.settled {
		rep.Omitted = append(rep.Omitted, Omission{"other ways",
			"a layer was read by the ways in use; resolvers and ways that nobody here uses were not waited for"})
	}
}

var (
	kindOrder = map[ResolverKind]int{HostsFile: 0, Configured: 1, AzureDNS: 2, PublicDNS: 3}
	roleOrder = map[EndpointRole]int{RoleLogin: 0, RoleData: 1, RoleStorage: 2, RoleMCR: 3, RoleEntra: 4, RoleARM: 5}
)

// use orders paths: the shell's first, then the container engine's, then the
// ways that nobody uses, then addresses that clients here do not get.
func use(p Path) int {
	switch {
	case p.Shell:
		return 0
	case p.Daemon:
		return 1
	case p.Resolved == AzureDNS || p.Resolved == PublicDNS:
		return 3
	}
	return 2
}

// group counts goroutines. Unlike a sync.WaitGroup, one may be started while
// another goroutine waits.
type group struct {
	ctx  context.Context
	mu   sync.Mutex
	idle *sync.Cond
	n    int
}

func newGroup(ctx context.Context) *group {
	g := &group{ctx: ctx}
	g.idle = sync.NewCond(&g.mu)
	return g
}

func (g *group) start(f func(context.Context)) {
	g.mu.Lock()
	g.n++
	g.mu.Unlock()
	go func() {
		defer func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			if g.n--; g.n == 0 {
				g.idle.Broadcast()
			}
		}()
		f(g.ctx)
	}()
}

func (g *group) wait() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.n > 0 {
		g.idle.Wait()
	}
}
