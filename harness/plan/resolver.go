package plan

import (
	"fmt"

	"github.com/acrlab/acrlab/fakes/dns"
	"github.com/acrlab/acrlab/harness/topology"
)

// resolverService is the resolver of a site. One that is closed has no
// service: the kernel answers that the port is unreachable.
func (b *builder) resolverService(h *Host) error {
	r := b.in.Site.Resolver
	if r == nil {
		r = &topology.Resolver{}
	}
	c := &dns.Config{Records: b.publicRecords()}
	switch r.Behaviour {
	case "", "answer":
	case "silence":
		c.Behaviour = dns.Silence
	case "servfail":
		c.Behaviour = dns.ServFail
	case "refused":
		c.Behaviour = dns.Refused
	case "closed":
		return nil
	default:
		return fmt.Errorf("the resolver: unknown behaviour %q", r.Behaviour)
	}
	var err error
	if c.Forward, err = forwarders(r.Forwarders); err != nil {
		return fmt.Errorf("the resolver: %w", err)
	}
	if p := b.site.proxy; p != nil {
		c.Records = append(c.Records, dns.Record{Name: p.name, TTL: 300, A: p.address})
	}
	h.serve(Service{Name: "dns", Listen: listen(53, b.site.resolve), DNS: c})
	return nil
}
