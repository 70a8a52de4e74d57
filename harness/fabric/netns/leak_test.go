//go:build linux

package netns_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/acrlab/acrlab/harness/fabric"
	"github.com/acrlab/acrlab/harness/fabric/netns"
	"github.com/acrlab/acrlab/harness/plan"
)

// held counts this process's descriptors and the namespaces of its threads.
func held(t *testing.T) (descriptors int, namespaces map[string]bool) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	namespaces = map[string]bool{}
	for _, kind := range []string{"net", "mnt", "uts"} {
		paths, err := filepath.Glob("/proc/[0-9]*/task/[0-9]*/ns/" + kind)
		require.NoError(t, err)
		for _, p := range paths {
			if ns, err := os.Readlink(p); err == nil {
				namespaces[ns] = true
			}
		}
	}
	return len(fds), namespaces
}

func TestNothingIsLeftOfManyWorlds(t *testing.T) {
	netns.Require(t)
	worlds := 500
	if testing.Short() {
		worlds = 20
	}
	n := routed()
	hostOf(n, "router").Filter = []plan.FilterRule{{Name: "x", Verdict: plan.Accept}}
	once := func() {
		w, err := (&netns.Driver{Services: &greeters{}}).Up(t.Context(), n)
		require.NoError(t, err)
		stop, err := w.Capture(t.Context(), "client", io.Discard)
		require.NoError(t, err)
		c, _, err := dial(t, w, "client", "20.0.0.2:443")
		require.NoError(t, err)
		require.NoError(t, c.Close())
		require.NoError(t, w.Run(t.Context(), "client", &fabric.Command{Args: []string{"true"}}))
		require.NoError(t, stop())
		require.NoError(t, w.Close())
	}
	once()
	goroutines := goleak.IgnoreCurrent()
	fds, namespaces := held(t)
	for range worlds {
		once()
	}
	goleak.VerifyNone(t, goroutines)
	require.Eventually(t, func() bool { // threads end after their goroutines
		nowFds, nowNamespaces := held(t)
		return nowFds <= fds && len(nowNamespaces) <= len(namespaces)
	}, 5*time.Second, 10*time.Millisecond)
}

// TestKilledHarness is run as a child by the next test: it builds worlds and
// runs stubborn programs until it is killed.
func TestKilledHarness(t *testing.T) {
	mark := os.Getenv("ACRLAB_TEST_MARK")
	if mark == "" {
		t.Skip("run by TestNothingIsLeftOfAKilledHarness")
	}
	netns.Require(t)
	for {
		w, err := new(netns.Driver).Up(t.Context(), routed())
		require.NoError(t, err)
		fmt.Println("up")
		go func() {
			_ = w.Run(t.Context(), "client", &fabric.Command{Args: []string{"sh", "-c", "trap '' TERM HUP INT; setsid sleep 1000." + mark + " & sleep 1000." + mark}})
		}()
		_, _, _ = run(t, w, "server", "true")
		require.NoError(t, w.Close())
	}
}

func TestNothingIsLeftOfAKilledHarness(t *testing.T) {
	netns.Require(t)
	rounds := 25
	if testing.Short() {
		rounds = 5
	}
	for i := range rounds {
		mark := fmt.Sprintf("%d%d", os.Getpid(), 1000+i)
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestKilledHarness$", "-test.v")
		cmd.Args[0] = os.Args[0]
		for _, kv := range os.Environ() { // outside again, as a user would start it
			if !strings.HasPrefix(kv, "ACRLAB_") {
				cmd.Env = append(cmd.Env, kv)
			}
		}
		cmd.Env = append(cmd.Env, "ACRLAB_TEST_MARK="+mark, "ACRLAB_REQUIRE=netns")
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		if i%5 != 0 { // the others are killed while they start
			_, err = io.ReadFull(out, make([]byte, 30))
			require.NoError(t, err)
		}
		time.Sleep(time.Duration(rand.Int64N(int64(20 * time.Millisecond)))) // any moment will do
		require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
		_ = cmd.Wait()
		require.Eventually(t, func() bool { return len(processesWith(t, mark)) == 0 }, 5*time.Second, 5*time.Millisecond,
			"survivors: %v", processesWith(t, mark))
	}
}

// processesWith are the living processes, harness or program, whose arguments
// or environment hold mark.
func processesWith(t *testing.T, mark string) []string {
	t.Helper()
	var found []string
	dirs, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	for _, d := range dirs {
		args, _ := os.ReadFile(d + "/cmdline")
		env, _ := os.ReadFile(d + "/environ")
		if strings.Contains(string(args), mark) || strings.Contains(string(env), "ACRLAB_TEST_MARK="+mark) {
			found = append(found, d+" "+strings.ReplaceAll(string(args), "\x00", " "))
		}
	}
	return found
}
