//go:build linux

package e2e_test

import (
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/topology"
)

// reachArgument makes this test binary a program that tries to reach what the
// other arguments name: see reach.
const reachArgument = "reach"

// reach dials "network|address" for each argument, all at once, and prints what
// it could read from each. It is run on simulated hosts.
func reach(targets []string) int {
	var wg sync.WaitGroup
	for _, target := range targets {
		network, address, _ := strings.Cut(target, "|")
		wg.Go(func() {
			c, err := net.DialTimeout(network, address, 500*time.Millisecond)
			if err != nil {
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(500 * time.Millisecond))
			if network == "udp" {
				_, _ = c.Write([]byte("let me in"))
			}
			buf := make([]byte, 64)
			if n, _ := c.Read(buf); n > 0 {
				fmt.Printf("%s says %s\n", target, buf[:n])
			}
		})
	}
	wg.Wait()
	fmt.Println("tried", len(targets))
	return 0
}

// machine listens on everything that this machine has and answers everybody
// with the same secret.
func machine(t *testing.T) (targets []string, secret string) {
	t.Helper()
	secret = rand.Text()
	accept := func(l net.Listener) {
		t.Cleanup(func() { require.NoError(t, l.Close()) })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Write([]byte(secret))
				_ = c.Close()
			}
		}()
	}
	tcp, err := net.Listen("tcp", ":0")
	require.NoError(t, err)
	accept(tcp)
	// Abstract names belong to the network namespace (unix(7)).
	abstract, err := net.Listen("unix", "@acrlab-e2e-"+rand.Text())
	require.NoError(t, err)
	accept(abstract)
	udp, err := net.ListenPacket("udp", ":0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, udp.Close()) })
	go func() {
		buf := make([]byte, 64)
		for {
			_, from, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = udp.WriteTo([]byte(secret), from)
		}
	}()
	targets = append(targets, "unix|"+abstract.Addr().String())
	addrs, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range addrs {
		ip := a.(*net.IPNet).IP
		if ip.IsLinkLocalUnicast() {
			continue // means another machine on every interface
		}
		targets = append(targets,
			"tcp|"+net.JoinHostPort(ip.String(), port(tcp.Addr())), "udp|"+net.JoinHostPort(ip.String(), port(udp.LocalAddr())))
	}
	return targets, secret
}

func port(a net.Addr) string {
	_, p, _ := net.SplitHostPort(a.String())
	return p
}

// Not one socket of the machine, be it on its loopback interface, its other
// addresses or an abstract name, is reachable from any host of any base.
func TestNoHostReachesTheMachine(t *testing.T) {
	needsNamespaces(t)
	targets, secret := machine(t)
	self, err := os.Executable()
	require.NoError(t, err)

	out, err := exec.Command(self, append([]string{reachArgument}, targets...)...).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, len(targets), strings.Count(string(out), secret), "out here each must be reachable, or the test proves nothing: %s", out)

	for _, base := range topology.Bases() {
		dir := filepath.Join(t.TempDir(), "base-"+base)
		require.NoError(t, os.Mkdir(dir, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, topology.FileName), []byte("title: The base "+base+"\nbase: "+base+"\n"), 0o644))
		s, err := topology.Load(dir)
		require.NoError(t, err)
		n, err := plan.FromTopology(s.Healthy)
		require.NoError(t, err)
		for _, h := range n.Hosts {
			t.Run(base+"/"+h.Name, func(t *testing.T) {
				t.Parallel()
				args := append([]string{"exec", dir, "--healthy", "--host", h.Name, "--", self, reachArgument}, targets...)
				out, err := exec.CommandContext(t.Context(), acrlab, args...).CombinedOutput()
				require.NoError(t, err, string(out))
				require.Contains(t, string(out), fmt.Sprint("tried ", len(targets)))
				require.NotContains(t, string(out), secret)
			})
		}
	}
}
