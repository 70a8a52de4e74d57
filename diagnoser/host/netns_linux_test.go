package host

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// inNewNamespace runs f on a thread in a network namespace of its own, with an
// interface that swallows all packets for 192.0.2.0/24. The thread is given up
// afterwards.
func inNewNamespace(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces take root")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Errorf("making a network namespace: %v", err)
			return
		}
		if err := sink(); err != nil {
			t.Errorf("setting up the namespace: %v", err)
			return
		}
		f()
	}()
	<-done
}

// sink makes 192.0.2.1/24, on which packets for 192.0.2.9 are sent and lost.
func sink() error {
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "sink"}, PeerName: "drain"}
	if err := netlink.LinkAdd(veth); err != nil {
		return err
	}
	drain, err := netlink.LinkByName("drain")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(drain); err != nil {
		return err
	}
	if err := configure("sink", "192.0.2.1/24"); err != nil {
		return err
	}
	link, err := netlink.LinkByName("sink")
	if err != nil {
		return err
	}
	// Without ARP, which would end in "host unreachable".
	return netlink.NeighAdd(&netlink.Neigh{LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT,
		IP: net.ParseIP("192.0.2.9"), HardwareAddr: drain.Attrs().HardwareAddr})
}

func TestSilenceIsConcludedFromRetransmissions(t *testing.T) {
	inNewNamespace(t, func() {
		began := time.Now()
		conn, c := Local().Connect(t.Context(), netip.MustParseAddrPort("192.0.2.9:443"), ConnectOptions{})
		took := time.Since(began)
		if conn != nil || c.Outcome != Silence || c.Retransmissions < 2 {
			t.Errorf("got %+v", c)
		}
		if took > MaxSilence+500*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		if c.Local.Addr() != netip.MustParseAddr("192.0.2.1") {
			t.Errorf("local address %v", c.Local)
		}
	})
}

func TestNoRouteIsToldFromAnICMPError(t *testing.T) {
	inNewNamespace(t, func() {
		_, c := Local().Connect(t.Context(), netip.MustParseAddrPort("198.51.100.9:443"), ConnectOptions{})
		if c.Outcome != NoRoute {
			t.Errorf("without a route: %+v", c)
		}
	})
}

// TestICMPErrorsNameTheirSender lets a router in another namespace refuse.
func TestICMPErrorsNameTheirSender(t *testing.T) {
	for _, test := range []struct {
		name  string
		route int // type of the router's route
		want  Outcome
		text  string
	}{
		{"host unreachable", unix.RTN_UNREACHABLE, HostUnreach, "ICMP type 3 code 1 (host unreachable) from 10.7.0.2"},
		{"administratively prohibited", unix.RTN_PROHIBIT, HostUnreach, "ICMP type 3 code 13 (communication administratively prohibited) from 10.7.0.2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inNewNamespace(t, func() {
				if err := router(test.route); err != nil {
					t.Error(err)
					return
				}
				_, c := Local().Connect(t.Context(), netip.MustParseAddrPort("198.51.100.9:443"), ConnectOptions{})
				if c.Outcome != test.want || c.ICMP.String() != test.text {
					t.Errorf("got %+v, %s", c, c.ICMP)
				}
			})
		})
	}
}

// router connects the current namespace (10.7.0.1) with another one (10.7.0.2)
// that has a route of the given type to 198.51.100.0/24.
func router(routeType int) error {
	var here, there int
	here, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(here)
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	if there, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return err
	}
	defer unix.Close(there)
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return err
	}
	_, to, _ := net.ParseCIDR("198.51.100.0/24")
	if err := netlink.RouteAdd(&netlink.Route{Dst: to, Type: routeType}); err != nil {
		return fmt.Errorf("adding the route: %w", err)
	}
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "down"}, PeerName: "up", PeerNamespace: netlink.NsFd(here)}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("adding the link: %w", err)
	}
	if err := configure("down", "10.7.0.2/24"); err != nil {
		return err
	}
	if err := unix.Setns(here, unix.CLONE_NEWNET); err != nil {
		return err
	}
	if err := configure("up", "10.7.0.1/24"); err != nil {
		return err
	}
	gw := netip.MustParseAddr("10.7.0.2").AsSlice()
	if err := netlink.RouteAdd(&netlink.Route{Dst: to, Gw: gw}); err != nil {
		return err
	}
	// The other namespace lives as long as its end of the link is held by an
	// open descriptor; keep one for the rest of the thread's life.
	_, err = unix.FcntlInt(uintptr(there), unix.F_DUPFD_CLOEXEC, 0)
	return err
}

func configure(name, address string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	addr, err := netlink.ParseAddr(address)
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(link, addr); err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

const childOf = "ACRLAB_TEST_ENTER"

// inChild is the part of TestEnterNamespace that runs in a process of its own.
func inChild() bool {
	path := os.Getenv(childOf)
	if path == "" {
		return false
	}
	if err := EnterNamespace(path, 0); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	ns, _ := os.Readlink("/proc/self/ns/net")
	fmt.Print(ns)
	return true
}

func TestEnterNamespaceMovesTheWholeProcess(t *testing.T) {
	inNewNamespace(t, func() {
		path := fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		want, err := os.Readlink(path)
		if err != nil {
			t.Error(err)
			return
		}
		// The child starts outside: programs are started from another thread.
		out := make(chan string)
		go func() {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), childOf+"="+path)
			b, err := cmd.CombinedOutput()
			if err != nil {
				b = append(b, err.Error()...)
			}
			out <- string(b)
		}()
		if got := <-out; got != want {
			t.Errorf("the process is in %s, not in %s", got, want)
		}
	})
}

func TestEnterNamespaceNamesWhatItCannotOpen(t *testing.T) {
	require.NoError(t, EnterNamespace("", 0))
	require.ErrorContains(t, EnterNamespace(filepath.Join(t.TempDir(), "none"), 0), "none")
	require.ErrorContains(t, EnterNamespace("/proc/self/ns/uts", 0), "uts")
	require.Error(t, EnterNamespace("", 1<<30))
	require.Error(t, EnterNamespace("", -1))
}

func FuzzErrQueue(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, b []byte) { parseErrQueue(b) })
}
