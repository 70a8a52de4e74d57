package plan

import (
	"fmt"
	"net/netip"

	"github.com/acrlab/acrlab/fakes/proxy"
)

// proxyService is the explicit proxy. It resolves with a public resolver: a
// proxy at the edge knows nothing of private zones, which is what makes a
// private endpoint behind a proxy fail.
func (b *builder) proxyService(h *Host) error {
	p := b.site.proxy
	c := &proxy.Config{
		Allow: p.Allow, Deny: p.Deny, Authenticate: p.Authenticate, Anonymous: p.Anonymous,
		Inspect: p.Inspect, Exempt: p.Exempt, Resolver: netip.AddrPortFrom(googleDNS, 53),
	}
	switch p.Behaviour {
	case "", "answer":
	case "close":
		c.Behaviour = proxy.Close
	case "silence":
		c.Behaviour = proxy.Silence
	case "refuse":
		return nil // nothing listens: the kernel resets
	default:
		return fmt.Errorf("the proxy: unknown behaviour %q", p.Behaviour)
	}
	h.TrustAzure = p.Inspect
	h.serve(Service{Name: "proxy", Listen: listen(p.port, p.address), Proxy: c})
	return nil
}
