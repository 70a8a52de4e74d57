//go:build linux

package netns_test

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/acrlab/acrlab/harness/fabric"
	"github.com/acrlab/acrlab/harness/fabric/netns"
	"github.com/acrlab/acrlab/harness/plan"
)

const leaves = 7

// star is a router with seven hosts around it and one filter rule.
func star() *plan.Network {
	n := &plan.Network{Hosts: []plan.Host{{Name: "router", Forward: true,
		Filter: []plan.FilterRule{{Name: "rule", Verdict: plan.Drop, Match: plan.Match{Destination: []netip.Prefix{prefix("10.9.0.0/16")}}}}}}}
	for i := range leaves {
		name := fmt.Sprintf("host%d", i)
		n.Hosts = append(n.Hosts, plan.Host{Name: name, Routes: []plan.Route{
			{Destination: prefix("0.0.0.0/0"), Via: addr(fmt.Sprintf("10.0.%d.1", i)), Interface: "eth0"}}})
		n.Links = append(n.Links, link(name, "eth0", fmt.Sprintf("10.0.%d.2/24", i), "router", fmt.Sprintf("eth%d", i), fmt.Sprintf("10.0.%d.1/24", i)))
	}
	return n
}

func BenchmarkUpDown(b *testing.B) {
	netns.Require(b)
	n := star()
	for b.Loop() {
		w, err := new(netns.Driver).Up(b.Context(), n)
		require.NoError(b, err)
		require.NoError(b, w.Close())
	}
}

// BenchmarkRawNetlink is the measure: the same namespaces, links, addresses,
// routes and rule by the plainest calls.
func BenchmarkRawNetlink(b *testing.B) {
	netns.Require(b)
	for b.Loop() {
		done := make(chan error)
		go func() {
			runtime.LockOSThread() // and never unlocked
			done <- rawStar()
		}()
		require.NoError(b, <-done)
	}
}

func rawStar() error {
	var fds []int
	var handles []*netlink.Handle
	defer func() {
		for i, fd := range fds {
			unix.Close(fd)
			handles[i].Close()
		}
	}()
	var nft *nftables.Conn
	for i := range leaves + 1 {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		fds, handles = append(fds, fd), append(handles, h)
		if i == 0 {
			if nft, err = nftables.New(nftables.AsLasting()); err != nil {
				return err
			}
			defer nft.CloseLasting()
		}
	}
	for i := range leaves {
		a, r := handles[i+1], handles[0]
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0", TxQLen: -1}, PeerName: fmt.Sprintf("eth%d", i), PeerNamespace: netlink.NsFd(fds[0]), PeerTxQLen: -1}
		if err := a.LinkAdd(veth); err != nil {
			return err
		}
		peer, err := r.LinkByName(veth.PeerName)
		if err != nil {
			return err
		}
		for _, end := range []struct {
			h    *netlink.Handle
			l    netlink.Link
			host byte
		}{{a, veth, 2}, {r, peer, 1}} {
			ip := &net.IPNet{IP: net.IPv4(10, 0, byte(i), end.host), Mask: net.CIDRMask(24, 32)}
			if err := end.h.AddrAdd(end.l, &netlink.Addr{IPNet: ip}); err != nil {
				return err
			}
			if err := end.h.LinkSetUp(end.l); err != nil {
				return err
			}
		}
		if err := a.RouteAdd(&netlink.Route{Dst: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}, Gw: net.IPv4(10, 0, byte(i), 1)}); err != nil {
			return err
		}
	}
	table := nft.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "raw"})
	chain := nft.AddChain(&nftables.Chain{Name: "forward", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter})
	nft.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}}})
	return nft.Flush()
}

func BenchmarkRun(b *testing.B) {
	w := up(b, routed())
	for b.Loop() {
		require.NoError(b, w.Run(b.Context(), "client", &fabric.Command{Args: []string{"true"}}))
	}
}
