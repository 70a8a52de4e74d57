package service

import (
	"context"
	"fmt"
	"strings"

	"github.com/acrlab/acrlab/fakes/azure"
	"github.com/acrlab/acrlab/fakes/dns"
	"github.com/acrlab/acrlab/fakes/entra"
	"github.com/acrlab/acrlab/fakes/graph"
	"github.com/acrlab/acrlab/fakes/imds"
	"github.com/acrlab/acrlab/fakes/loganalytics"
	"github.com/acrlab/acrlab/fakes/middlebox"
	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/fakes/proxy"
	"github.com/acrlab/acrlab/fakes/registry"
	"github.com/acrlab/acrlab/harness/plan"
)

// Start starts the service of a host on n, that host's network. When it
// returns, the service answers. ctx bounds starting alone.
func (s *Set) Start(ctx context.Context, n netio.Net, host plan.Host, svc plan.Service) (Running, error) {
	k, err := kindOf(svc)
	if err != nil {
		return nil, fmt.Errorf("starting service %q on %s: %w", svc.Name, host.Name, err)
	}
	server, update, err := s.start(ctx, n, k, svc)
	if err != nil {
		return nil, fmt.Errorf("starting %s service %q on %s: %w", k, svc.Name, host.Name, err)
	}
	return &running{Server: server, kind: k, host: host.Name, listen: listenOf(svc), update: update}, nil
}

// start returns the server and how it takes another configuration.
func (s *Set) start(ctx context.Context, n netio.Net, k kind, svc plan.Service) (netio.Server, func(plan.Service) error, error) {
	switch k {
	case kindDNS:
		srv, err := dns.Serve(ctx, n, svc.Listen, *svc.DNS)
		return srv, func(svc plan.Service) error { return srv.Update(*svc.DNS) }, err
	case kindRegistry:
		reg, err := s.shared.registry(svc.Registry.Registry)
		if err != nil {
			return nil, nil, err
		}
		name := svc.Registry.Registry
		srv, err := registry.Serve(ctx, n, svc.Listen, *svc.Registry, reg, s.Azure)
		return srv, func(svc plan.Service) error {
			if !strings.EqualFold(svc.Registry.Registry, name) {
				return fmt.Errorf("it serves registry %s, not %s: start another", name, svc.Registry.Registry)
			}
			return srv.Update(*svc.Registry)
		}, err
	case kindProxy:
		srv, err := proxy.Serve(ctx, n, svc.Listen, *svc.Proxy, s.Corp, s.Azure.Pool())
		return srv, func(svc plan.Service) error { return srv.Update(*svc.Proxy) }, err
	case kindMiddlebox:
		srv, err := middlebox.Serve(ctx, n, svc.Listen, *svc.Middlebox, s.Corp, s.Azure.Pool())
		return srv, func(svc plan.Service) error { return srv.Update(*svc.Middlebox) }, err
	case kindARM:
		verify := azure.VerifyEntra(s.shared.entraKey)
		srv, err := azure.Serve(ctx, n, svc.Listen, s.shared.store, *svc.ARM, s.Azure, verify)
		if l := s.shared.live; err == nil && l != nil {
			srv.Follow(l.Follow)
		}
		return srv, func(svc plan.Service) error { return srv.Update(*svc.ARM) }, err
	case kindIMDS:
		srv, err := imds.Serve(ctx, n, svc.Listen, *svc.IMDS, s.shared.identityToken)
		return srv, func(svc plan.Service) error { return srv.Update(*svc.IMDS) }, err
	case kindGraph:
		t, err := s.shared.tenantOf(svc.Graph.Tenant)
		if err != nil {
			return nil, nil, err
		}
		srv, err := graph.Serve(ctx, n, svc.Listen, t, s.Azure)
		return srv, func(svc plan.Service) error {
			if !strings.EqualFold(svc.Graph.Tenant, t.ID()) {
				return fmt.Errorf("it serves tenant %s, not %s: start another", t.ID(), svc.Graph.Tenant)
			}
			return nil
		}, err
	case kindLogAnalytics:
		s.shared.logs.Update(*svc.LogAnalytics)
		srv, err := loganalytics.Serve(ctx, n, svc.Listen, s.shared.logs, s.Azure, s.shared.entraKey)
		return srv, func(svc plan.Service) error { return srv.Update(*svc.LogAnalytics) }, err
	default:
		s.shared.mu.Lock()
		t, err := s.shared.tenant(*svc.Entra)
		s.shared.mu.Unlock()
		if err != nil {
			return nil, nil, err
		}
		srv, err := entra.Serve(ctx, n, svc.Listen, t, s.Azure)
		return srv, func(svc plan.Service) error { return srv.Update(*svc.Entra) }, err
	}
}

// kind is which pointer of a plan.Service is set.
type kind string

const (
	kindDNS       kind = "DNS"
	kindRegistry  kind = "registry"
	kindProxy     kind = "proxy"
	kindMiddlebox kind = "middlebox"
	kindARM       kind = "ARM"
	kindEntra     kind = "Entra"
	kindIMDS      kind = "IMDS"
	kindGraph     kind = "Graph"

	kindLogAnalytics kind = "Log Analytics"
)

func kindOf(svc plan.Service) (kind, error) {
	var set []kind
	for k, is := range map[kind]bool{kindDNS: svc.DNS != nil, kindRegistry: svc.Registry != nil, kindProxy: svc.Proxy != nil,
		kindMiddlebox: svc.Middlebox != nil, kindARM: svc.ARM != nil, kindEntra: svc.Entra != nil,
		kindIMDS: svc.IMDS != nil, kindGraph: svc.Graph != nil, kindLogAnalytics: svc.LogAnalytics != nil} {
		if is {
			set = append(set, k)
		}
	}
	if len(set) != 1 {
		return "", fmt.Errorf("exactly one kind of service must be described, not %d", len(set))
	}
	return set[0], nil
}
