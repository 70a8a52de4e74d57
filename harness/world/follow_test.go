package world_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/diagnosis"
	"github.com/acrlab/acrlab/harness/fabric"
	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/service"
	"github.com/acrlab/acrlab/harness/state"
	"github.com/acrlab/acrlab/harness/world"
)

// watched is a fabric world that counts reconciliations and can hold them up.
type watched struct {
	fabric.World
	rounds atomic.Int64
	before atomic.Pointer[func(context.Context) error] // of each; nil: nothing
}

func (w *watched) Reconcile(ctx context.Context, n *plan.Network) error {
	w.rounds.Add(1)
	if f := w.before.Load(); f != nil {
		if err := (*f)(ctx); err != nil {
			return err
		}
	}
	return w.World.Reconcile(ctx, n)
}

func (w *watched) set(f func(context.Context) error) { w.before.Store(&f) }

// watchedDriver hands the world that it builds to its maker.
type watchedDriver struct {
	fabric.Driver
	w *watched
}

func (d watchedDriver) Up(ctx context.Context, n *plan.Network) (fabric.World, error) {
	var err error
	d.w.World, err = d.Driver.Up(ctx, n)
	return d.w, err
}

func watch(t *testing.T) (*lab, *watched) {
	t.Helper()
	w := &watched{}
	l := openOn(t, func(set *service.Set) fabric.Driver { return watchedDriver{namespaces(set), w} }, base(t, "public"), world.Options{})
	l.signIn(t)
	return l, w
}

func table(i int) string { return state.ID(state.TypeRouteTable, fmt.Sprintf("t%d", i)) }

const emptyTable = `{"location":"eastus","properties":{}}`

// However many writes come while the network is being changed, one more change
// covers them.
func TestABurstOfWritesIsCoalesced(t *testing.T) {
	l, w := watch(t)
	started, release := make(chan struct{}, 1000), make(chan struct{})
	w.set(func(context.Context) error {
		started <- struct{}{}
		<-release
		return nil
	})
	before := w.rounds.Load()
	var wg sync.WaitGroup
	put := func(i int) {
		status, answer, err := l.arm(t.Context(), "PUT", table(i), emptyTable)
		if err != nil || status != 201 {
			t.Errorf("PUT %d: %d %s %v", i, status, answer, err)
		}
	}
	wg.Go(func() { put(0) })
	<-started
	revision := l.Azure().Revision()
	for i := range 40 {
		wg.Go(func() { put(i + 1) })
	}
	for r := revision; r < revision+40; {
		var err error
		r, err = l.Azure().Wait(t.Context(), r)
		require.NoError(t, err)
	}
	close(release)
	wg.Wait()
	require.EqualValues(t, 2, w.rounds.Load()-before)
}

// What the fabric could not do is said to whoever wrote, and stays to be asked
// for until it is mended by another write.
func TestAnErrorOfTheFabricIsToldAndKept(t *testing.T) {
	l, w := watch(t)
	w.set(func(context.Context) error { return errors.New("the kernel is out of routes") })
	status, answer, err := l.arm(t.Context(), "PUT", table(1), emptyTable)
	require.NoError(t, err)
	require.Equal(t, 500, status)
	require.Contains(t, answer, "the kernel is out of routes")
	require.ErrorContains(t, l.Err(), "the kernel is out of routes")
	require.ErrorContains(t, l.Settle(t.Context()), "the kernel is out of routes")
	w.before.Store(nil)
	l.write(t, "PUT", table(2), emptyTable)
	require.NoError(t, l.Settle(t.Context()))
}

// A write that nobody waits for is followed as well.
func TestTheNetworkFollowsWritesPastTheServer(t *testing.T) {
	l, _ := watch(t)
	old := l.Network()
	existed, err := l.Azure().Delete(registryID)
	require.NoError(t, err)
	require.True(t, existed)
	require.Eventually(t, func() bool { return l.Network() != old }, 10*time.Second, time.Millisecond)
	require.NoError(t, l.Err())
	code, out := l.pull(t)
	require.NotZero(t, code, out)
}

// Closing does not wait for a change that is under way, and whoever waits for
// it is released.
func TestCloseEndsAChangeThatIsUnderWay(t *testing.T) {
	l, w := watch(t)
	started := make(chan struct{})
	w.set(func(ctx context.Context) error {
		close(started)
		<-ctx.Done()
		return ctx.Err()
	})
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		_, _, _ = l.arm(context.Background(), "PUT", table(1), emptyTable)
	}()
	<-started
	require.NoError(t, l.Close())
	<-answered
	require.Error(t, l.Settle(t.Context()))
	require.Error(t, l.Become(t.Context(), base(t, "public")))
}

// Held rules: a pull goes on by the old ones, a remedy waits for its own.
func TestRegistryRulesAreDelayedWhereTheWorldSaysSo(t *testing.T) {
	l := open(t, base(t, "public"), world.Options{RegistryRuleDelay: time.Second})
	l.signIn(t)
	l.write(t, "PATCH", registryID, `{"properties":{"publicNetworkAccess":"Disabled"}}`)
	began := time.Now()
	pulls(t, l)
	require.Less(t, time.Since(began), time.Second, "this machine is too slow to tell")
	require.Eventually(t, func() bool { code, _ := l.pull(t); return code != 0 }, 20*time.Second, 10*time.Millisecond)
	require.NoError(t, l.Apply(t.Context(), []diagnosis.Change{{ARM: &diagnosis.ARMRequest{
		Method: "PATCH", ID: registryID, Body: []byte(`{"properties":{"publicNetworkAccess":"Enabled"}}`)}}}))
	pulls(t, l)
	l.write(t, "PATCH", registryID, `{"properties":{"publicNetworkAccess":"Disabled"}}`)
	require.NoError(t, l.Become(t.Context(), base(t, "public")))
	pulls(t, l)
}

// Changes of the site and writes to Azure at the same time are all carried out;
// a change that the site cannot take is refused and changes nothing.
func TestSiteAndAzureChangeAtTheSameTime(t *testing.T) {
	l, _ := watch(t)
	resolver := []diagnosis.Change{{Resolver: &diagnosis.Resolver{Servers: []string{"8.8.8.8"}}}}
	require.ErrorContains(t, l.Apply(t.Context(), resolver), "a client in a virtual network has the network's")
	environment := func(proxy string) []diagnosis.Change {
		return []diagnosis.Change{{Environment: &diagnosis.Environment{Scope: diagnosis.Shell, Set: map[string]string{"HTTPS_PROXY": proxy}}}}
	}
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() { assertNoError(t, l.Apply(t.Context(), environment("http://198.51.100.99:3128"))) })
		wg.Go(func() { assertNoError(t, l.Apply(t.Context(), environment(""))) })
		wg.Go(func() {
			status, answer, err := l.arm(t.Context(), "PUT", table(3), emptyTable)
			if err != nil || status >= 300 {
				t.Errorf("%d %s %v", status, answer, err)
			}
		})
	}
	wg.Wait()
	require.NoError(t, l.Apply(t.Context(), environment("")))
	pulls(t, l)
}

func assertNoError(t *testing.T, err error) {
	if err != nil {
		t.Error(err)
	}
}
