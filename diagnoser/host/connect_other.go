//go:build !linux

package host

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// connect knows no retransmissions on this system: silence is concluded from
// the time alone.
func connect(ctx context.Context, to netip.AddrPort, _ ConnectOptions) (net.Conn, Connection) {
	began := time.Now()
	dialer := net.Dialer{Timeout: MaxSilence}
	conn, err := dialer.DialContext(ctx, "tcp", to.String())
	c := Connection{Took: time.Since(began)}
	if err != nil {
		c.Outcome, c.Err = classify(err), err.Error()
		if ctx.Err() != nil && c.Outcome == Silence {
			c.Outcome = Other
		}
		return nil, c
	}
	c.Outcome, c.Local = Connected, addrPort(conn.LocalAddr())
	return conn, c
}
