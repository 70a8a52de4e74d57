package host

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Layout of struct sock_extended_err in linux/errqueue.h: errno uint32, origin,
// type, code and pad uint8, info and data uint32; the sockaddr of the offender
// follows.
const (
	extendedErrLen = 16
	originICMP     = 2 // SO_EE_ORIGIN_ICMP
	originICMP6    = 3 // SO_EE_ORIGIN_ICMP6
)

// icmp reads the first ICMP error of the socket's error queue.
func (w *watch) icmp() *ICMP {
	if w.fd < 0 {
		return nil
	}
	oob := make([]byte, 512)
	_, n, _, _, err := unix.Recvmsg(w.fd, make([]byte, 512), oob, unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	if err != nil {
		return nil
	}
	return parseErrQueue(oob[:n])
}

func parseErrQueue(oob []byte) *ICMP {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		v4 := m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_RECVERR
		v6 := m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_RECVERR
		if !v4 && !v6 || len(m.Data) < extendedErrLen {
			continue
		}
		origin := m.Data[4]
		if origin != originICMP && origin != originICMP6 {
			continue
		}
		e := &ICMP{Type: m.Data[5], Code: m.Data[6], V6: origin == originICMP6}
		e.From = offender(m.Data[extendedErrLen:])
		return e
	}
	return nil
}

func offender(sa []byte) netip.Addr {
	if len(sa) < 2 {
		return netip.Addr{}
	}
	switch family := binary.NativeEndian.Uint16(sa); {
	case family == unix.AF_INET && len(sa) >= 8:
		return netip.AddrFrom4([4]byte(sa[4:8]))
	case family == unix.AF_INET6 && len(sa) >= 24:
		return netip.AddrFrom16([16]byte(sa[8:24]))
	}
	return netip.Addr{}
}
