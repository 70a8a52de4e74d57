package service

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/harness/plan"
)

// running is a server with what it may be changed to.
type running struct {
	netio.Server
	kind   kind
	host   string
	listen []netip.AddrPort
	update func(plan.Service) error
}

// Update implements [Running]. The kind and the listeners cannot change; a
// fabric closes such a service and starts another.
func (r *running) Update(_ context.Context, svc plan.Service) error {
	k, err := kindOf(svc)
	switch {
	case err != nil:
	case k != r.kind:
		err = fmt.Errorf("it is a %s service and cannot become a %s service", r.kind, k)
	case !slices.Equal(listenOf(svc), r.listen):
		err = fmt.Errorf("it listens on %v and cannot move to %v", r.listen, svc.Listen)
	default:
		err = r.update(svc)
	}
	if err != nil {
		return fmt.Errorf("updating service %q on %s: %w", svc.Name, r.host, err)
	}
	return nil
}

func listenOf(svc plan.Service) []netip.AddrPort { return slices.Clone(svc.Listen) }
