//go:build !linux

package middlebox

import (
	"errors"
	"net"
	"net/netip"
)

// originalDestination needs netfilter; elsewhere use [WithOriginalDestination].
func originalDestination(net.Conn) (netip.AddrPort, error) {
	return netip.AddrPort{}, errors.ErrUnsupported
}
