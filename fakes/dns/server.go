package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	mdns "github.com/miekg/dns"
	"golang.org/x/sync/singleflight"

	"github.com/acrlab/acrlab/fakes/netio"
)

// Server is a running resolver.
type Server struct {
	net     netio.Net
	table   atomic.Pointer[table]
	flights singleflight.Group
	ctx     context.Context // ends at Close
	cancel  context.CancelFunc

	mu      sync.Mutex
	servers []*mdns.Server
	addrs   []netip.AddrPort
	running sync.WaitGroup
}

var _ netio.Server = (*Server)(nil)

// Serve answers on UDP and TCP at every address of listen. ctx governs only
// the listening; the server runs until Close.
func Serve(ctx context.Context, n netio.Net, listen []netip.AddrPort, cfg Config) (*Server, error) {
	s := &Server{net: n}
	if err := s.Update(cfg); err != nil {
		return nil, err
	}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for _, addr := range listen {
		if err := s.listen(ctx, addr); err != nil {
			return nil, errors.Join(fmt.Errorf("serving DNS on %s: %w", addr, err), s.Close())
		}
	}
	return s, nil
}

// listen opens both transports of one address. Port 0 takes the same free
// port for both.
func (s *Server) listen(ctx context.Context, addr netip.AddrPort) error {
	l, err := s.net.Listen(ctx, "tcp", addr.String())
	if err != nil {
		return err
	}
	if a, ok := l.Addr().(*net.TCPAddr); ok && addr.Port() == 0 {
		addr = netip.AddrPortFrom(addr.Addr(), uint16(a.Port))
	}
	pc, err := s.net.ListenPacket(ctx, "udp", addr.String())
	if err != nil {
		return errors.Join(err, l.Close())
	}
	s.addrs = append(s.addrs, addr)
	if err := s.start(&mdns.Server{Listener: l, Handler: mdns.HandlerFunc(s.handle), MsgAcceptFunc: s.accept}); err != nil {
		return errors.Join(err, l.Close(), pc.Close())
	}
	if err := s.start(&mdns.Server{PacketConn: pc, UDPSize: maxUDP, Handler: mdns.HandlerFunc(s.handle), MsgAcceptFunc: s.accept}); err != nil {
		return errors.Join(err, pc.Close())
	}
	return nil
}

// start runs one transport and returns when it serves.
func (s *Server) start(srv *mdns.Server) error {
	up, down := make(chan struct{}), make(chan error, 1)
	srv.NotifyStartedFunc = func() { close(up) }
	s.running.Go(func() { down <- srv.ActivateAndServe() })
	select {
	case <-up:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.servers = append(s.servers, srv)
		return nil
	case err := <-down:
		return err
	}
}

// Addrs are the addresses listened on, in the order given to [Serve].
func (s *Server) Addrs() []netip.AddrPort { return append([]netip.AddrPort(nil), s.addrs...) }

// Update takes a new configuration for queries to come, or none if cfg has an
// error.
func (s *Server) Update(cfg Config) error {
	t, err := compile(cfg)
	if err != nil {
		return err
	}
	s.table.Store(t)
	return nil
}

// Close implements [netio.Server].
func (s *Server) Close() error {
	s.cancel()
	s.mu.Lock()
	servers := s.servers
	s.servers = nil
	s.mu.Unlock()
	var errs []error
	for _, srv := range servers {
		errs = append(errs, srv.Shutdown())
	}
	s.running.Wait()
	return errors.Join(errs...)
}

// accept lets the handler see everything that has the form of a query, so that
// one place decides how it is answered.
func (s *Server) accept(h mdns.Header) mdns.MsgAcceptAction {
	const response = 1 << 15
	if h.Bits&response != 0 || s.table.Load().cfg.Behaviour == Silence {
		return mdns.MsgIgnore // an answer to an answer would go back and forth
	}
	if h.Qdcount != 1 {
		return mdns.MsgReject // FORMERR; RFC 9619
	}
	return mdns.MsgAccept
}

func (s *Server) handle(w mdns.ResponseWriter, q *mdns.Msg) {
	from := addrOf(w.RemoteAddr())
	_, stream := w.RemoteAddr().(*net.TCPAddr)
	if r := s.reply(s.ctx, from, q, stream); r != nil {
		_ = w.WriteMsg(r) // an asker that went away misses nothing
	} else if stream && s.table.Load().cfg.Behaviour != Silence {
		_ = w.Close()
	}
}

func addrOf(a net.Addr) netip.Addr {
	switch a := a.(type) {
	case *net.UDPAddr:
		return a.AddrPort().Addr().Unmap()
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
