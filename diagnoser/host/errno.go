package host

import (
	"errors"
	"slices"
	"syscall"
)

// Errors of sockets by meaning: Windows has numbers of its own for them.
var (
	refused     = append([]error{syscall.ECONNREFUSED}, winRefused...)
	reset       = append([]error{syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED}, winReset...)
	hostUnreach = append([]error{syscall.EHOSTUNREACH}, winHostUnreach...)
	netUnreach  = append([]error{syscall.ENETUNREACH}, winNetUnreach...)
)

func isAny(err error, of []error) bool {
	return slices.ContainsFunc(of, func(e error) bool { return errors.Is(err, e) })
}

// IsRefused says that err is a refused connection or an ICMP port unreachable.
func IsRefused(err error) bool { return isAny(err, refused) }

// IsReset says that the peer, or somebody in its name, reset the connection.
func IsReset(err error) bool { return isAny(err, reset) }

// IsUnreachable says that there is no way to the host or its network.
func IsUnreachable(err error) bool { return isAny(err, hostUnreach) || isAny(err, netUnreach) }
