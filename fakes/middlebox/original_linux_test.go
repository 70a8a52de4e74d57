package middlebox

import (
	"errors"
	"net"
	"runtime"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// TestOriginalDestination redirects a connection in a network namespace of its
// own, for IPv4 and IPv6:
//
//	nft add rule inet nat output tcp dport 443 redirect to :8443
func TestOriginalDestination(t *testing.T) {
	// Never unlocked: the thread ends with the test, and the namespace with it.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); errors.Is(err, unix.EPERM) {
		t.Skip("a network namespace needs root: run as root or under 'unshare -r'")
	} else {
		require.NoError(t, err)
	}
	ns, err := netns.Get()
	require.NoError(t, err)
	defer ns.Close()
	lo, err := netlink.LinkByName("lo")
	require.NoError(t, err)
	require.NoError(t, netlink.LinkSetUp(lo))
	for _, a := range []string{"20.62.128.38/32", "2001:db8::26/128"} {
		addr, err := netlink.ParseAddr(a)
		require.NoError(t, err)
		addr.Flags = unix.IFA_F_NODAD
		require.NoError(t, netlink.AddrAdd(lo, addr))
	}
	nft, err := nftables.New(nftables.WithNetNSFd(int(ns)))
	require.NoError(t, err)
	table := nft.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "nat"})
	chain := nft.AddChain(&nftables.Chain{Name: "output", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityNATDest})
	nft.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(443)},
		&expr.Immediate{Register: 1, Data: binaryutil.BigEndian.PutUint16(8443)},
		&expr.Redir{RegisterProtoMin: 1},
	}})
	require.NoError(t, nft.Flush())

	for listen, to := range map[string]string{"0.0.0.0:8443": "20.62.128.38:443", "[::]:8443": "[2001:db8::26]:443"} {
		network := map[bool]string{true: "tcp6", false: "tcp4"}[listen[0] == '[']
		l, err := net.Listen(network, listen)
		require.NoError(t, err)
		client, err := net.Dial(network, to)
		require.NoError(t, err)
		server, err := l.Accept()
		require.NoError(t, err)
		got, err := originalDestination(server)
		require.NoError(t, err)
		require.Equal(t, to, got.String())
		require.NoError(t, client.Close())
		require.NoError(t, server.Close())

		// Nothing was redirected here.
		client, err = net.Dial(network, l.Addr().(*net.TCPAddr).AddrPort().String())
		if err == nil {
			server, err = l.Accept()
			require.NoError(t, err)
			if got, err := originalDestination(server); err == nil {
				require.Equal(t, server.LocalAddr().String(), got.String())
			}
			require.NoError(t, client.Close())
			require.NoError(t, server.Close())
		}
		require.NoError(t, l.Close())
	}
}
