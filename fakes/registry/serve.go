package registry

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/fakes/pki"
)

// Server is a front of a registry on real sockets.
type Server struct {
	http  *http.Server
	front atomic.Pointer[Front]
	addrs []netip.AddrPort

	accepting sync.WaitGroup // one per listener
	conns     sync.WaitGroup // one per connection
	closed    sync.Once
	closeErr  error
}

var _ netio.Server = (*Server)(nil)

// Serve listens on every address with TLS and serves front until Close. ctx
// bounds the listening alone. ca signs the certificates.
func Serve(ctx context.Context, n netio.Net, listen []netip.AddrPort, front Front, reg *Registry, ca *pki.Authority) (*Server, error) {
	if len(listen) == 0 {
		return nil, fmt.Errorf("serving registry %q: no address to listen on", front.Registry)
	}
	s := &Server{}
	if err := s.Update(front); err != nil {
		return nil, err
	}
	var listeners []net.Listener
	for _, a := range listen {
		l, err := n.Listen(ctx, "tcp", a.String())
		if err != nil {
			for _, l := range listeners {
				_ = l.Close()
			}
			return nil, fmt.Errorf("serving registry %q: listening on %s: %w", front.Registry, a, err)
		}
		listeners = append(listeners, l)
		if at, err := netip.ParseAddrPort(l.Addr().String()); err == nil {
			s.addrs = append(s.addrs, at)
		}
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		// Only HTTP/1.1, though clients offer h2 (docs/fidelity.md, TLS).
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return ca.Leaf(certificateNames(*s.front.Load(), hello.ServerName)...)
		},
	}
	s.http = &http.Server{
		Handler:           &handler{reg: reg, front: func() Front { return *s.front.Load() }},
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		// Clients that give up on a certificate are the point of some scenarios.
		ErrorLog:  log.New(io.Discard, "", 0),
		ConnState: s.count,
	}
	for _, l := range listeners {
		s.accepting.Go(func() { _ = s.http.Serve(tls.NewListener(l, config)) })
	}
	return s, nil
}

// Update changes what the listeners serve. Connections of before go on.
func (s *Server) Update(front Front) error {
	if len(front.Roles) == 0 {
		return fmt.Errorf("serving registry %q: the front answers for no name", front.Registry)
	}
	for name, role := range front.Roles {
		switch role {
		case Login, Data, Storage:
		default:
			return fmt.Errorf("serving registry %q: %q has the unknown role %q", front.Registry, name, role)
		}
	}
	front = front.normalize()
	s.front.Store(&front)
	return nil
}

// Addrs are the addresses listened on, in the order given to [Serve].
func (s *Server) Addrs() []netip.AddrPort { return slices.Clone(s.addrs) }

// Close stops accepting, ends connections and waits for their goroutines.
func (s *Server) Close() error {
	s.closed.Do(func() {
		if err := s.http.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			s.closeErr = fmt.Errorf("closing the registry server: %w", err)
		}
		s.accepting.Wait()
		// Whatever a listener accepted while it was being closed.
		_ = s.http.Close()
		s.conns.Wait()
	})
	return s.closeErr
}

// count follows connections, since http.Server.Close does not wait for them.
func (s *Server) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.conns.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.conns.Done()
	}
}

// CertificateNames are the names on the certificate that a client gets which
// asks for serverName.
func (f Front) CertificateNames(serverName string) []string {
	return certificateNames(f.normalize(), serverName)
}

// RoleOf is what the front is under a name; empty when it does not answer for it.
func (f Front) RoleOf(name string) Role {
	return f.normalize().Roles[strings.ToLower(strings.TrimSuffix(name, "."))]
}

// certificateNames are the names on the certificate shown to a client that asks
// for sni. The service presents wildcards: *.azurecr.io for login servers
// (docs/fidelity.md, TLS); a wildcard covers one label, so data endpoints have
// *.<region>.data.azurecr.io (an assumption). A client that asks for another
// name, such as R.privatelink.azurecr.io, gets the login server's certificate
// and refuses it.
func certificateNames(front Front, sni string) []string {
	name := strings.ToLower(strings.TrimSuffix(sni, "."))
	if _, ok := front.Roles[name]; !ok {
		names := slices.SortedFunc(maps.Keys(front.Roles), func(a, b string) int {
			return cmp.Or(rank(front.Roles[a])-rank(front.Roles[b]), cmp.Compare(a, b))
		})
		name = names[0]
	}
	_, parent, ok := strings.Cut(name, ".")
	if !ok {
		return []string{name}
	}
	return []string{"*." + parent}
}

func rank(r Role) int { return slices.Index([]Role{Login, Data, Storage}, r) }
