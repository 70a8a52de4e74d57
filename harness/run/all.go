package run

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/acrlab/acrlab/harness/topology"
	"github.com/acrlab/acrlab/harness/verdict"
)

// Schedule says how many scenarios run side by side and whether to go on.
type Schedule struct {
	// Parallel is how many at once. Zero: 4.
	Parallel int
	// KeepGoing runs every scenario even after one was not right.
	KeepGoing bool
}

// All runs scenarios and calls each with the results of one as soon as it and
// all before it have ended, so that output is in the order of the list. It
// returns all results. A cancelled context ends the run early: scenarios that
// it cut off or that had not begun are left out.
func All(ctx context.Context, list []*topology.Scenario, sch Schedule, o Options, each func([]verdict.Result)) []verdict.Result {
	parallel := sch.Parallel
	if parallel <= 0 {
		parallel = 4
	}
	var (
		mu      sync.Mutex
		done    = make([][]verdict.Result, len(list))
		next    int // first scenario whose results were not handed on
		stopped bool
		all     []verdict.Result
		wg      sync.WaitGroup
		turn    = make(chan struct{}, parallel)
	)
	o.working = make(chan struct{}, runtime.GOMAXPROCS(0))
	halted := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return stopped || ctx.Err() != nil
	}
	for i, s := range list {
		turn <- struct{}{}
		if halted() {
			break
		}
		wg.Go(func() {
			defer func() { <-turn }()
			results := Scenario(ctx, s, o)
			mu.Lock()
			defer mu.Unlock()
			if ctx.Err() != nil && slices.ContainsFunc(results, func(r verdict.Result) bool { return r.Error != "" }) {
				return
			}
			done[i] = results
			for ; next < len(done) && done[next] != nil; next++ {
				all = append(all, done[next]...)
				if each != nil {
					each(done[next])
				}
			}
			for _, r := range results {
				if r.Outcome() != string(verdict.Right) && !sch.KeepGoing {
					stopped = true
				}
			}
		})
	}
	wg.Wait()
	// A halt leaves gaps: hand on what ended behind them.
	for ; next < len(done); next++ {
		if done[next] != nil {
			all = append(all, done[next]...)
			if each != nil {
				each(done[next])
			}
		}
	}
	return all
}

// Shard keeps the scenarios of part i of n (1 ≤ i ≤ n): every n-th.
func Shard(list []*topology.Scenario, i, n int) ([]*topology.Scenario, error) {
	if n < 1 || i < 1 || i > n {
		return nil, fmt.Errorf("shard %d/%d: want I/N with 1 ≤ I ≤ N", i, n)
	}
	var out []*topology.Scenario
	for k := i - 1; k < len(list); k += n {
		out = append(out, list[k])
	}
	return out, nil
}
