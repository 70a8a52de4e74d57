package stream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/acrlab/acrlab/fakes/netio"
)

// Server accepts connections on several addresses and hands each to a handler.
type Server struct {
	listeners []net.Listener
	handle    func(context.Context, net.Conn)
	ctx       context.Context
	cancel    context.CancelFunc
	wg        sync.WaitGroup
}

// Serve listens on every address of listen and calls handle in a goroutine of
// its own for each connection, which is closed when handle returns. The context
// given to handle ends at Close; ctx itself governs only the listening.
func Serve(ctx context.Context, n netio.Net, listen []netip.AddrPort, handle func(context.Context, net.Conn)) (*Server, error) {
	s := &Server{handle: handle}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for _, addr := range listen {
		l, err := n.Listen(ctx, "tcp", addr.String())
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listening on %s: %w", addr, err), s.Close())
		}
		s.listeners = append(s.listeners, l)
	}
	for _, l := range s.listeners {
		s.wg.Go(func() { s.accept(l) })
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

// Close stops accepting, ends all connections and waits for their handlers.
func (s *Server) Close() error {
	s.cancel()
	var errs []error
	for _, l := range s.listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	s.wg.Wait()
	return errors.Join(errs...)
}

func (s *Server) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			if s.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			// ECONNABORTED, EMFILE: worth another try, but not a busy loop.
			select {
			case <-s.ctx.Done():
				return
			case <-time.After(20 * time.Millisecond):
				continue
			}
		}
		s.wg.Go(func() {
			defer conn.Close()
			defer context.AfterFunc(s.ctx, func() { _ = conn.Close() })()
			s.handle(s.ctx, conn)
		})
	}
}
