// Package host is the one door through which the diagnoser reaches the world:
// sockets, files, the environment, programs, the trust store and the clock.
//
// It knows the operating system and nothing of registries. Another
// implementation of [Host] lets the same probes run in one process, against a
// simulated network.
package host

import (
	"context"
	"crypto/x509"
	"net"
	"net/netip"
	"time"
)

// Host is the place that a diagnosis is made in.
//
// Timers are not part of it: probes use package time and contexts, which a
// testing/synctest bubble turns into virtual time. All methods are safe for
// concurrent use.
type Host interface {
	// Connect opens a TCP connection to an address. The facts are always
	// filled; the connection is nil unless they say Connected. It concludes
	// silence by itself, after a little more than two unanswered
	// retransmissions and never later than [MaxSilence].
	Connect(ctx context.Context, to netip.AddrPort, o ConnectOptions) (net.Conn, Connection)
	// DialUDP makes a connected UDP socket. No packet leaves. With no route to
	// the address it fails at once with ENETUNREACH (Linux); its LocalAddr is
	// the address that packets there leave from.
	DialUDP(ctx context.Context, to netip.AddrPort) (net.Conn, error)
	// ReadFile reads a file of the place by absolute path, at most
	// [MaxFile] bytes.
	ReadFile(path string) ([]byte, error)
	// Glob lists the paths that match a pattern of package path/filepath.
	Glob(pattern string) ([]string, error)
	// Readlink reads a symbolic link.
	Readlink(path string) (string, error)
	// Environ is the environment of the shell there, as "KEY=value".
	Environ() []string
	// Run runs a program and gives its standard output.
	Run(ctx context.Context, argv ...string) ([]byte, error)
	// Roots are the certificate authorities that programs there trust. A nil
	// pool without an error means the operating system's own verification.
	Roots() (*x509.CertPool, error)
	// Now is the wall clock there.
	Now() time.Time
}

// MaxFile bounds what ReadFile returns.
const MaxFile = 1 << 20

// MaxSilence bounds a connect that nothing answers. Kernels before 6.5
// retransmit a SYN 1 s and 3 s after the first, later ones after 1, 2, 3 and
// 4 s (net.ipv4.tcp_syn_linear_timeouts): both have sent a second
// retransmission by then.
const MaxSilence = 3200 * time.Millisecond

// silenceGrace is what the answer to the second retransmission is given.
const silenceGrace = 300 * time.Millisecond

// ConnectOptions vary a connect. The zero value is an ordinary one.
type ConnectOptions struct {
	// MSS caps the segments that the peer may send, in bytes (TCP_MAXSEG). Zero
	// leaves the kernel's. Other systems than Linux ignore it.
	MSS int
}

// Outcome is what became of a connect.
type Outcome string

const (
	Connected   Outcome = "connected"
	Silence     Outcome = "silence"   // nothing came back
	Reset       Outcome = "reset"     // RST to the SYN
	HostUnreach Outcome = "icmp-host" // EHOSTUNREACH
	NetUnreach  Outcome = "icmp-net"  // ENETUNREACH although there is a route
	NoRoute     Outcome = "no-route"  // ENETUNREACH and no packet left
	Other       Outcome = "other"     // Err says
)

// Connection is what was seen while connecting.
type Connection struct {
	Outcome         Outcome
	Local           netip.AddrPort
	Retransmissions int // of the SYN
	Took            time.Duration
	// ICMP is the error that a router or the peer sent, if the kernel told.
	ICMP *ICMP
	Err  string
}

// ICMP is one error message as the kernel reported it.
type ICMP struct {
	From       netip.Addr // who sent it
	Type, Code uint8      // of RFC 792, or of RFC 4443 for IPv6
	V6         bool
}

// String names the message as its RFC does, e.g. "ICMP type 3 code 13
// (communication administratively prohibited) from 10.0.0.1".
func (i *ICMP) String() string {
	if i == nil {
		return ""
	}
	return icmpText(*i)
}
