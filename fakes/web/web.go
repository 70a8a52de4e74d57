// Package web serves an HTTP handler, with or without TLS, on several addresses
// and, when it ends, leaves nothing behind. Control-plane fakes share it.
package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/fakes/pki"
)

// Server is a running server.
type Server struct {
	http      *http.Server
	listeners []net.Listener
	accepting sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	idle  *sync.Cond // signalled when conns shrinks
}

// ServeTLS answers on every address of listen with one certificate of ca for
// names, whatever server name a client asks for, as Azure's front ends do.
// ctx governs only the listening.
func ServeTLS(ctx context.Context, n netio.Net, listen []netip.AddrPort, ca *pki.Authority, names []string, h http.Handler) (*Server, error) {
	leaf, err := ca.Leaf(names...)
	if err != nil {
		return nil, err
	}
	return serve(ctx, n, listen, &tls.Config{Certificates: []tls.Certificate{*leaf}, MinVersion: tls.VersionTLS12}, h)
}

// Serve answers in cleartext. ctx governs only the listening.
func Serve(ctx context.Context, n netio.Net, listen []netip.AddrPort, h http.Handler) (*Server, error) {
	return serve(ctx, n, listen, nil, h)
}

func serve(ctx context.Context, n netio.Net, listen []netip.AddrPort, secure *tls.Config, h http.Handler) (*Server, error) {
	s := &Server{conns: map[net.Conn]struct{}{}}
	s.idle = sync.NewCond(&s.mu)
	s.http = &http.Server{
		Handler:           h,
		TLSConfig:         secure,
		ReadHeaderTimeout: 30 * time.Second,
		ConnState:         s.track,
		// Clients that distrust the authority are part of scenarios: not worth a line each.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	for _, addr := range listen {
		l, err := n.Listen(ctx, "tcp", addr.String())
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listening on %s: %w", addr, err), s.Close())
		}
		s.listeners = append(s.listeners, l)
	}
	for _, l := range s.listeners {
		s.accepting.Go(func() {
			if secure == nil {
				_ = s.http.Serve(l)
				return
			}
			_ = s.http.ServeTLS(l, "", "")
		})
	}
	return s, nil
}

// Addrs are the addresses listened on, in the order given.
func (s *Server) Addrs() []netip.AddrPort {
	var out []netip.AddrPort
	for _, l := range s.listeners {
		if a, ok := l.Addr().(*net.TCPAddr); ok {
			out = append(out, a.AddrPort())
		}
	}
	return out
}

// Close implements [netio.Server].
func (s *Server) Close() error {
	err := s.http.Close()
	// A listener that was not being served yet is not http.Server's to close.
	for _, l := range s.listeners {
		_ = l.Close()
	}
	s.accepting.Wait()
	_ = s.http.Close() // whatever was accepted while the listeners were being closed
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.conns) > 0 {
		s.idle.Wait()
	}
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (s *Server) track(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew:
		s.conns[c] = struct{}{}
	case http.StateClosed, http.StateHijacked:
		delete(s.conns, c)
		s.idle.Broadcast()
	}
}
