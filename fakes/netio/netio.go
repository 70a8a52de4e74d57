// Package netio is the small interface through which every fake reaches the
// network, so that the same server runs in a namespace, a container or a test.
package netio

import (
	"context"
	"net"
)

// Net is the network as one host sees it.
type Net interface {
	// Listen accepts TCP connections on addr ("20.62.128.38:443").
	Listen(ctx context.Context, network, addr string) (net.Listener, error)
	// ListenPacket receives UDP datagrams on addr.
	ListenPacket(ctx context.Context, network, addr string) (net.PacketConn, error)
	// DialContext connects from this host. Addresses are IP:port: fakes that
	// need a name resolve it themselves.
	DialContext(ctx context.Context, network, addr string) (net.Conn, error)
}

// Server is a running fake.
type Server interface {
	// Close stops accepting, ends connections and waits for its goroutines.
	Close() error
}

// Host is the machine's own network.
type Host struct{}

// Listen implements [Net].
func (Host) Listen(ctx context.Context, network, addr string) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, network, addr)
}

// ListenPacket implements [Net].
func (Host) ListenPacket(ctx context.Context, network, addr string) (net.PacketConn, error) {
	return new(net.ListenConfig).ListenPacket(ctx, network, addr)
}

// DialContext implements [Net].
func (Host) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, addr)
}
