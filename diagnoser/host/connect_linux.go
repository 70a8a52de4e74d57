package host

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pollEvery is how often a connecting socket's TCP_INFO is read.
const pollEvery = 20 * time.Millisecond

// connect dials and watches the socket while it waits. The kernel's own limit
// for an unanswered SYN is about two minutes (tcp_syn_retries); that nobody
// answers shows much earlier, in the count of retransmissions.
func connect(ctx context.Context, to netip.AddrPort, o ConnectOptions) (net.Conn, Connection) {
	began := time.Now()
	w := &watch{fd: -1, v6: to.Addr().Unmap().Is6()}
	defer w.close()

	dialCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	dialer := net.Dialer{ControlContext: func(_ context.Context, _, _ string, raw syscall.RawConn) error {
		if err := w.take(raw, o); err != nil {
			return err
		}
		go w.poll(dialCtx, cancel)
		return nil
	}}
	conn, err := dialer.DialContext(dialCtx, "tcp", to.String())
	silent := errors.Is(context.Cause(dialCtx), errSilence)
	cancel(nil)
	w.wait()

	c := Connection{Took: time.Since(began), Retransmissions: w.retransmissions()}
	if err == nil {
		c.Outcome, c.Local = Connected, addrPort(conn.LocalAddr())
		w.forgetErrors()
		return conn, c
	}
	c.Local, c.Err, c.ICMP = w.local(), err.Error(), w.icmp()
	c.Outcome = classify(err)
	switch {
	case silent:
		c.Outcome, c.Err = Silence, errSilence.Error()
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) && c.Retransmissions > 0:
		c.Outcome = Silence
	case (c.Outcome == NetUnreach || c.Outcome == HostUnreach || c.Outcome == Other) && ctx.Err() == nil && c.ICMP == nil && !hasRoute(to):
		c.Outcome = NoRoute
	}
	if c.ICMP != nil {
		c.Err += "; " + c.ICMP.String()
	}
	return nil, c
}

// watch holds a duplicate of the socket's descriptor, since net.Dialer gives
// the connection out only once it stands. The duplicate is closed before the
// connection is handed on: an open one would hold back the FIN of a Close.
type watch struct {
	fd      int
	v6      bool
	polling chan struct{}
}

func (w *watch) take(raw syscall.RawConn, o ConnectOptions) error {
	var err error
	if cerr := raw.Control(func(fd uintptr) {
		if o.MSS > 0 {
			if err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, o.MSS); err != nil {
				err = os.NewSyscallError("setting TCP_MAXSEG", err)
				return
			}
		}
		// ICMP errors of a SYN go to the error queue with their sender
		// (Linux 5.8 and later). Where that fails only the detail is missing.
		_ = w.recvErr(int(fd), 1)
		w.fd, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	}); cerr != nil {
		return cerr
	}
	if err != nil {
		return err
	}
	w.polling = make(chan struct{})
	return nil
}

func (w *watch) recvErr(fd, on int) error {
	if w.v6 {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVERR, on)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVERR, on)
}

// poll ends the dial once two retransmissions have gone unanswered for
// silenceGrace, or MaxSilence has passed.
func (w *watch) poll(ctx context.Context, give func(error)) {
	defer close(w.polling)
	limit := time.NewTimer(MaxSilence)
	defer limit.Stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var second time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-limit.C:
			give(errSilence)
			return
		case now := <-tick.C:
			if w.retransmissions() < 2 {
				continue
			}
			if second.IsZero() {
				second = now
			}
			if now.Sub(second) >= silenceGrace {
				give(errSilence)
				return
			}
		}
	}
}

func (w *watch) wait() {
	if w.polling != nil {
		<-w.polling
	}
}

func (w *watch) retransmissions() int {
	if w.fd < 0 {
		return 0
	}
	info, err := unix.GetsockoptTCPInfo(w.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0
	}
	return int(max(uint32(info.Retransmits), info.Total_retrans))
}

func (w *watch) local() netip.AddrPort {
	if w.fd < 0 {
		return netip.AddrPort{}
	}
	sa, err := unix.Getsockname(w.fd)
	if err != nil {
		return netip.AddrPort{}
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// forgetErrors restores the ordinary treatment of ICMP for a connection that
// stands: a stray error must not end it.
func (w *watch) forgetErrors() { _ = w.recvErr(w.fd, 0) }

func (w *watch) close() {
	if w.fd >= 0 {
		unix.Close(w.fd)
		w.fd = -1
	}
}

// hasRoute asks the routing table by connecting a UDP socket, which sends
// nothing. It fails where there is no route (ENETUNREACH) and where the route
// itself is of the type unreachable, prohibit or blackhole.
func hasRoute(to netip.AddrPort) bool {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return false
	}
	c.Close()
	return true
}
