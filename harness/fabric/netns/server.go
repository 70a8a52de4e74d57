//go:build linux

package netns

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/service"
)

// runningServer is a running plan.Service.
type runningServer struct {
	have    plan.Service
	running service.Running
}

// reconcileServices closes services that are gone, updates changed ones and
// starts new ones, in the plan's order.
func (h *host) reconcileServices(ctx context.Context, starter Starter, p *plan.Host) error {
	want := map[string]bool{}
	for _, s := range p.Services {
		want[s.Name] = true
	}
	for name, s := range h.services {
		if want[name] {
			continue
		}
		delete(h.services, name)
		if err := s.running.Close(); err != nil {
			return fmt.Errorf("closing service %q: %w", name, err)
		}
	}
	h.have.Services = p.Services
	if starter == nil {
		return nil
	}
	for _, s := range p.Services {
		if err := h.reconcileService(ctx, starter, p, s); err != nil {
			return err
		}
	}
	return nil
}

func (h *host) reconcileService(ctx context.Context, starter Starter, p *plan.Host, s plan.Service) error {
	old := h.services[s.Name]
	if old != nil && reflect.DeepEqual(old.have, s) {
		return nil
	}
	if old != nil && reflect.DeepEqual(norm(old.have.Listen), norm(s.Listen)) && kindOf(old.have) == kindOf(s) {
		if err := old.running.Update(ctx, s); err != nil {
			return fmt.Errorf("changing service %q: %w", s.Name, err)
		}
		old.have = s
		return nil
	}
	if old != nil { // other listeners, or another kind of service
		delete(h.services, s.Name)
		if err := old.running.Close(); err != nil {
			return fmt.Errorf("closing service %q: %w", s.Name, err)
		}
	}
	running, err := starter.Start(ctx, h.sockets(), *p, s)
	if err != nil {
		return fmt.Errorf("starting service %q: %w", s.Name, err)
	}
	h.services[s.Name] = &runningServer{have: s, running: running}
	return nil
}

// kindOf tells which of the pointers of a service is set.
func kindOf(s plan.Service) [9]bool {
	return [9]bool{s.DNS != nil, s.Registry != nil, s.Proxy != nil, s.Middlebox != nil, s.ARM != nil, s.Entra != nil,
		s.IMDS != nil, s.Graph != nil, s.LogAnalytics != nil}
}

func (h *host) closeServices() error {
	var errs []error
	for name, s := range h.services {
		if err := s.running.Close(); err != nil {
			errs = append(errs, fmt.Errorf("closing service %q of host %q: %w", name, h.name, err))
		}
		delete(h.services, name)
	}
	return errors.Join(errs...)
}
