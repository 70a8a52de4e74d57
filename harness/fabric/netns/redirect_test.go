//go:build linux

package netns_test

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/harness/fabric/netns"
	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/service"
)

// middlebox tells clients where they wanted to go, and forwards nothing.
type middlebox struct{ greeters }

func (m *middlebox) Start(ctx context.Context, n netio.Net, h plan.Host, s plan.Service) (service.Running, error) {
	if h.Name != "router" {
		return m.greeters.Start(ctx, n, h, s)
	}
	l, err := n.Listen(ctx, "tcp", s.Listen[0].String())
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte(originalDestination(c) + "\n"))
			c.Close()
		}
	}()
	running := &greeting{g: &m.greeters, listeners: []net.Listener{l}}
	running.word.Store("")
	return running, nil
}

func originalDestination(c net.Conn) string {
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return err.Error()
	}
	var out string
	_ = raw.Control(func(fd uintptr) {
		// The answer is a sockaddr_in, which this request has room for.
		m, err := unix.GetsockoptIPv6Mreq(int(fd), unix.SOL_IP, unix.SO_ORIGINAL_DST)
		if err != nil {
			out = err.Error()
			return
		}
		b := m.Multiaddr
		out = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), uint16(b[2])<<8|uint16(b[3])).String()
	})
	return out
}

func TestRedirectHandsTransitToALocalService(t *testing.T) {
	netns.Require(t)
	n := routed()
	router := hostOf(n, "router")
	router.Services = []plan.Service{greeter("middlebox", "", "0.0.0.0:8443")}
	router.Redirect = []plan.RedirectRule{{
		Name: "tls", Port: 8443,
		Match: plan.Match{In: []string{"eth0"}, Ports: []plan.PortRange{{First: 443, Last: 443}}},
	}}
	w, err := (&netns.Driver{Services: &middlebox{}}).Up(t.Context(), n)
	require.NoError(t, err)
	defer w.Close()
	for _, to := range []string{"20.0.0.2:443", "20.9.9.9:443"} {
		_, line, err := dial(t, w, "client", to)
		require.NoError(t, err)
		require.Equal(t, to, line)
	}
	_, _, err = dial(t, w, "client", "10.0.0.1:443")
	require.ErrorIs(t, err, syscall.ECONNREFUSED, "connections to the router itself are not transit")
	hits, err := w.Counter(t.Context(), "router", "tls")
	require.NoError(t, err)
	require.EqualValues(t, 2, hits)

	router.Redirect = nil
	require.NoError(t, w.Reconcile(t.Context(), n))
	_, line, err := dial(t, w, "client", "20.0.0.2:443")
	require.NoError(t, err)
	require.Equal(t, "hello 10.0.0.2", line)
}

func TestCaptureSeesWhatPassedBeforeItStopped(t *testing.T) {
	w := up(t, routed())
	var out bytes.Buffer
	stop, err := w.Capture(t.Context(), "router", &out)
	require.NoError(t, err)
	c, _, err := dial(t, w, "client", "20.0.0.2:443")
	require.NoError(t, err)
	require.NoError(t, c.echo(t, time.Second))
	require.NoError(t, stop())
	require.NoError(t, stop())

	r, err := pcapgo.NewReader(&out)
	require.NoError(t, err)
	require.Equal(t, layers.LinkTypeEthernet, r.LinkType())
	syns := 0
	for {
		data, _, err := r.ReadPacketData()
		if err != nil {
			break
		}
		p := gopacket.NewPacket(data, layers.LinkTypeEthernet, gopacket.Default)
		if tcp, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP); ok && tcp.SYN && !tcp.ACK {
			syns++
			require.EqualValues(t, 443, tcp.DstPort)
		}
	}
	require.Equal(t, 2, syns, "coming in and going out")
	_, err = w.Capture(t.Context(), "moon", &out)
	require.ErrorContains(t, err, `no host "moon"`)
}
