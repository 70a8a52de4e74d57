//go:build linux

package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/acrlab/acrlab/fakes/netio"
)

// sockets is the network as one host sees it. A socket belongs for good to the
// namespace in which it was made, so only the making happens there; reading,
// writing and waiting happen on any thread.
type sockets struct {
	host     string
	home, ns int
}

var _ netio.Net = sockets{}

// Listen implements [netio.Net]. addr is IP:port.
func (s sockets) Listen(ctx context.Context, network, addr string) (l net.Listener, err error) {
	if err := s.literal("listen", network, addr); err != nil {
		return nil, err
	}
	err = within(s.home, s.ns, func() error {
		// Azure's services and their clients speak plain TCP, not RFC 8684.
		var lc net.ListenConfig
		lc.SetMultipathTCP(false)
		l, err = lc.Listen(ctx, network, addr)
		return err
	})
	return l, err
}

// ListenPacket implements [netio.Net]. addr is IP:port.
func (s sockets) ListenPacket(ctx context.Context, network, addr string) (p net.PacketConn, err error) {
	if err := s.literal("listen", network, addr); err != nil {
		return nil, err
	}
	err = within(s.home, s.ns, func() error {
		p, err = new(net.ListenConfig).ListenPacket(ctx, network, addr)
		return err
	})
	return p, err
}

// errAgain ends an attempt of net.Dialer that wants a second socket.
var errAgain = errors.New("a second socket is needed")

// DialContext implements [netio.Net]. addr is IP:port.
func (s sockets) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	if err := s.literal("dial", network, addr); err != nil {
		return nil, err
	}
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	dial := func() (r result) {
		v, err := enterNetns(s.home, s.ns)
		if err != nil {
			return result{err: err}
		}
		made := 0
		d := net.Dialer{
			FallbackDelay: -1,
			// Control runs on the goroutine that has just made the socket. From
			// here on the thread is not needed in the namespace any more.
			Control: func(string, string, syscall.RawConn) error {
				made++
				if made > 1 {
					return errAgain // net.Dialer tries anew after a self-connect
				}
				return v.leave()
			},
		}
		d.SetMultipathTCP(false)
		r.conn, r.err = d.DialContext(ctx, network, addr)
		if err := v.leave(); err != nil && r.err == nil {
			r.conn.Close()
			r = result{err: err}
		}
		return r
	}
	for try := 0; ; try++ {
		go func() { done <- dial() }()
		r := <-done
		if !errors.Is(r.err, errAgain) {
			return r.conn, r.err
		}
		if try == 2 {
			return nil, &net.OpError{Op: "dial", Net: network, Err: unix.EADDRNOTAVAIL}
		}
	}
}

// literal refuses names: there is no resolver here, and a lookup would run on
// another thread, outside the host.
func (s sockets) literal(op, network, addr string) error {
	if _, err := netip.ParseAddrPort(addr); err != nil {
		return &net.OpError{Op: op, Net: network,
			Err: fmt.Errorf("address %q on host %q must be IP:port: %w", addr, s.host, err)}
	}
	return nil
}
