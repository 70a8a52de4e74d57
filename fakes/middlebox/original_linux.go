package middlebox

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// originalDestination asks netfilter where a redirected connection was going
// (SO_ORIGINAL_DST of linux/netfilter_ipv4.h, and its IPv6 twin).
func originalDestination(conn net.Conn) (netip.AddrPort, error) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("original destination of %s: not a socket", conn.RemoteAddr())
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("original destination of %s: %w", conn.RemoteAddr(), err)
	}
	v6 := false
	if a, ok := conn.LocalAddr().(*net.TCPAddr); ok {
		v6 = a.IP.To4() == nil
	}
	var to netip.AddrPort
	var sockErr error
	if err := raw.Control(func(fd uintptr) {
		if v6 {
			to, sockErr = original6(int(fd))
		} else {
			to, sockErr = original4(int(fd))
		}
	}); err != nil {
		sockErr = err
	}
	if sockErr != nil {
		return netip.AddrPort{}, fmt.Errorf("original destination of %s: %w", conn.RemoteAddr(), sockErr)
	}
	return to, nil
}

// original4 borrows the getters of x/sys for structures that are as long as
// sockaddr_in (16 bytes, within ipv6_mreq) and sockaddr_in6 (28 bytes, within
// ip6_mtuinfo): there is none for SO_ORIGINAL_DST itself.
func original4(fd int) (netip.AddrPort, error) {
	m, err := unix.GetsockoptIPv6Mreq(fd, unix.IPPROTO_IP, unix.SO_ORIGINAL_DST)
	if err != nil {
		return netip.AddrPort{}, err
	}
	// family (2), port (2, network order), address (4)
	b := m.Multiaddr
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), binary.BigEndian.Uint16(b[2:4])), nil
}

func original6(fd int) (netip.AddrPort, error) {
	const ip6tOriginalDst = 80 // IP6T_SO_ORIGINAL_DST of linux/netfilter_ipv6/ip6_tables.h
	m, err := unix.GetsockoptIPv6MTUInfo(fd, unix.IPPROTO_IPV6, ip6tOriginalDst)
	if err != nil {
		return netip.AddrPort{}, err
	}
	port := (*[2]byte)(unsafe.Pointer(&m.Addr.Port)) // network order
	return netip.AddrPortFrom(netip.AddrFrom16(m.Addr.Addr), binary.BigEndian.Uint16(port[:])), nil
}
