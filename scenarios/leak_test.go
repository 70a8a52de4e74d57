package scenarios_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/acrlab/acrlab/harness/fabric"
	"github.com/acrlab/acrlab/harness/topology"
	"github.com/acrlab/acrlab/harness/world"
)

// held counts the descriptors of this process and the namespaces of all
// processes inside, which are this one and what it started.
func held(t testing.TB) (descriptors, namespaces int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, kind := range []string{"net", "mnt", "uts", "pid_for_children"} {
		paths, err := filepath.Glob("/proc/[0-9]*/task/[0-9]*/ns/" + kind)
		require.NoError(t, err)
		for _, p := range paths {
			if ns, err := os.Readlink(p); err == nil {
				seen[ns] = true
			}
		}
	}
	return len(fds), len(seen)
}

// Whole topologies of every base with all their services, four at a time, each
// broken, used and taken down, leave no goroutine, descriptor or namespace.
func TestNothingIsLeftOfManyTopologies(t *testing.T) {
	needsNamespaces(t)
	count := 500
	if testing.Short() {
		count = 40
	}
	list := catalogue(t)
	once := func(s *topology.Scenario) error {
		w, err := world.Open(t.Context(), namespaces, s.Healthy)
		if err != nil {
			return fmt.Errorf("%s: %w", s.ID, err)
		}
		if err := use(t, w, s); err != nil {
			return fmt.Errorf("%s: %w", s.ID, err)
		}
		return w.Close()
	}
	many := func(n int) {
		var g errgroup.Group
		g.SetLimit(4)
		for i := range n {
			g.Go(func() error { return once(list[i%len(list)]) })
		}
		require.NoError(t, g.Wait())
	}
	many(8) // what the runtime opens once stays open
	goroutines := goleak.IgnoreCurrent()
	descriptors, spaces := held(t)
	many(count)
	goleak.VerifyNone(t, goroutines)
	require.Eventually(t, func() bool { // threads end after their goroutines
		nowDescriptors, nowSpaces := held(t)
		return nowDescriptors <= descriptors && nowSpaces <= spaces
	}, 10*time.Second, 10*time.Millisecond, "before: %d descriptors, %d namespaces", descriptors, spaces)
}

// use leaves a connection open, runs a program and puts the fault in.
func use(t *testing.T, w *world.World, s *topology.Scenario) error {
	c, err := w.Dial(t.Context(), "internet", "tcp", "150.171.69.10:443") // mcr.microsoft.com, from itself
	if err != nil {
		return err
	}
	defer c.Close()
	cmd := &fabric.Command{Args: []string{"/bin/true"}}
	if err := w.Run(t.Context(), w.Network().Client, cmd); err != nil {
		return err
	}
	return w.Become(t.Context(), s.Broken)
}
