package probe

import (
	"context"
	"net"
	"net/netip"

	"github.com/acrlab/acrlab/diagnoser/host"
)

// connect is the TCP stage.
func (r *run) connect(ctx context.Context, to netip.AddrPort, o host.ConnectOptions) (net.Conn, *TCP) {
	conn, c := r.h.Connect(ctx, to, o)
	t := &TCP{Outcome: TCPOutcome(c.Outcome), Local: c.Local, Retransmissions: c.Retransmissions, Took: c.Took, Err: c.Err}
	switch c.Outcome {
	case host.Connected, host.Silence, host.Reset, host.HostUnreach, host.NetUnreach, host.NoRoute:
	default:
		t.Outcome = TCPOther
	}
	return conn, t
}

// noAddress is the TCP stage of a name that gave none.
func noAddress(l Lookup) *TCP {
	err := "the lookup of " + l.Name + " ended in " + string(l.RCode)
	if l.Err != "" {
		err += ": " + l.Err
	}
	return &TCP{Outcome: NoAddress, Err: err}
}
