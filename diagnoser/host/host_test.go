package host

import (
	"context"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if inChild() {
		return
	}
	goleak.VerifyTestMain(m)
}

func TestConnectToAListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	conn, c := Local().Connect(t.Context(), netip.MustParseAddrPort(l.Addr().String()), ConnectOptions{})
	require.Equal(t, Connected, c.Outcome, c.Err)
	require.NotNil(t, conn)
	require.Equal(t, "127.0.0.1", c.Local.Addr().String())
	require.Zero(t, c.Retransmissions)

	// The watched duplicate is gone: Close must send the FIN.
	peer, err := l.Accept()
	require.NoError(t, err)
	defer peer.Close()
	require.NoError(t, conn.Close())
	peer.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, err = peer.Read(make([]byte, 1))
	require.ErrorContains(t, err, "EOF")
}

func TestAClosedPortIsAReset(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	to := netip.MustParseAddrPort(l.Addr().String())
	l.Close()
	conn, c := Local().Connect(t.Context(), to, ConnectOptions{})
	require.Nil(t, conn)
	require.Equal(t, Reset, c.Outcome, c.Err)
}

func TestACancelledConnectIsNotSilence(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	conn, c := Local().Connect(ctx, netip.MustParseAddrPort("127.0.0.1:9"), ConnectOptions{})
	require.Nil(t, conn)
	require.Equal(t, Other, c.Outcome)
}

func TestProcessReadsThatProcessPlace(t *testing.T) {
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Skip("this system has no /proc")
	}
	h, err := Process(os.Getpid())
	require.NoError(t, err)
	want, err := os.ReadFile("/etc/hosts")
	require.NoError(t, err)
	got, err := h.ReadFile("/etc/hosts")
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
	require.NotEmpty(t, h.Environ())
	found, err := h.Glob("/etc/host?")
	require.NoError(t, err)
	require.Contains(t, found, "/etc/hosts")
	_, err = h.Run(t.Context(), "true")
	require.Error(t, err)

	for _, pid := range []int{-1, 1 << 30} {
		_, err = Process(pid)
		require.Error(t, err, "pid %d", pid)
	}
}

func TestRunBoundsAProgram(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := Local().Run(ctx, "sleep", "60")
	require.Error(t, err)
	_, err = Local().Run(t.Context())
	require.Error(t, err)
}

func TestICMPText(t *testing.T) {
	for want, in := range map[string]*ICMP{
		"": nil,
		"ICMP type 3 code 13 (communication administratively prohibited) from 10.0.0.1": {Type: 3, Code: 13, From: netip.MustParseAddr("10.0.0.1")},
		"ICMPv6 type 1 code 0 (no route to destination)":                                {V6: true, Type: 1},
		"ICMP type 99 code 1": {Type: 99, Code: 1},
	} {
		require.Equal(t, want, in.String())
	}
}
