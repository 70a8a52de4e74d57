package host

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

var errSilence = errors.New("nothing answered the connection request or its retransmissions")

// classify maps the error of a dial. Timeouts are silence: where the kernel
// gave up (ETIMEDOUT) it did so because nothing came back.
func classify(err error) Outcome {
	var timeout net.Error
	switch {
	case IsRefused(err), IsReset(err):
		return Reset
	case isAny(err, hostUnreach):
		return HostUnreach
	case isAny(err, netUnreach):
		return NetUnreach
	case errors.Is(err, syscall.ETIMEDOUT), errors.As(err, &timeout) && timeout.Timeout():
		return Silence
	}
	return Other
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
