package stream

import (
	"context"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/acrlab/acrlab/fakes/netio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is a TCP connection: what dials and what accepts.
func pair(t *testing.T) (client, server *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	s, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close(); _ = s.Close() })
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

func spliced(t *testing.T) (client, server *net.TCPConn) {
	t.Helper()
	client, a := pair(t)
	b, server := pair(t)
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { defer close(done); Splice(ctx, a, b) }()
	t.Cleanup(func() { cancel(); <-done })
	return client, server
}

func TestSplicePassesOnHalfCloses(t *testing.T) {
	client, server := spliced(t)
	_, err := client.Write([]byte("question"))
	require.NoError(t, err)
	require.NoError(t, client.CloseWrite())
	got, err := io.ReadAll(server)
	require.NoError(t, err)
	require.Equal(t, "question", string(got))
	_, err = server.Write([]byte("answer after the client's end"))
	require.NoError(t, err)
	require.NoError(t, server.CloseWrite())
	got, err = io.ReadAll(client)
	require.NoError(t, err)
	require.Equal(t, "answer after the client's end", string(got))
}

func TestSplicePassesOnResets(t *testing.T) {
	client, server := spliced(t)
	Reset(server)
	_, err := client.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

func TestFinishSendsFINThoughBytesAreUnread(t *testing.T) {
	client, server := pair(t)
	_, err := client.Write(make([]byte, 4000))
	require.NoError(t, err)
	done := make(chan struct{})
	go func() { defer close(done); Finish(server) }()
	_, err = client.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	for range 200 { // a reset would end this
		_, err = client.Write([]byte("more"))
		require.NoError(t, err)
	}
	require.NoError(t, client.Close())
	<-done
}

func TestServerCloseEndsConnectionsAndHandlers(t *testing.T) {
	started := make(chan struct{})
	s, err := Serve(t.Context(), netio.Host{}, []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, func(ctx context.Context, c net.Conn) {
		close(started)
		Hold(ctx, c)
	})
	require.NoError(t, err)
	c, err := net.Dial("tcp", s.Addrs()[0].String())
	require.NoError(t, err)
	defer c.Close()
	<-started
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "closing twice is harmless")
	_, err = c.Read(make([]byte, 1))
	require.Error(t, err)
}
