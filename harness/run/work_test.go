package run

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A machine that does too much at once answers late, and late looks like silence.
func TestNoMoreIsDoneAtOnceThanThereArePlaces(t *testing.T) {
	const places, all = 2, 12
	r := &scenario{o: Options{working: make(chan struct{}, places)}}
	entered, leave := make(chan struct{}, all), make(chan struct{})
	var wg sync.WaitGroup
	for range all {
		wg.Go(func() {
			if err := r.work(t.Context(), func() error {
				entered <- struct{}{}
				<-leave
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	for range places {
		<-entered
	}
	// Both places are taken: who comes now waits, and gives up when told to.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, r.work(ctx, func() error { t.Error("a third one works"); return nil }), context.Canceled)
	for done := range all {
		require.LessOrEqual(t, len(entered), 0, "more than %d at once, after %d", places, done)
		leave <- struct{}{}
		if done < all-places {
			<-entered
		}
	}
	wg.Wait()
}

func TestWithoutPlacesThereIsNoLimit(t *testing.T) {
	called := false
	require.NoError(t, new(scenario).work(t.Context(), func() error { called = true; return nil }))
	require.True(t, called)
}
