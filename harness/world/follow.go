package world

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/topology"
)

// The network follows in rounds: one plan and one reconciliation for all that
// was written until the round began. Whoever waits takes the turn, and finds
// either that a round since has covered its write or begins the next one, so a
// burst of writes costs two rounds and not one each.

// round is one reconciliation, as far as it got.
type round struct {
	revision uint64 // of the store; a later one may be included
	topology *topology.Topology
	err      error
	due      time.Time // when held registry rules come into effect; zero for none
}

// follow waits until the network shows the store's revision.
func (w *World) follow(ctx context.Context, revision uint64) error {
	return w.catchUp(ctx, revision, false)
}

// answer is follow for the ARM server, which calls it before it answers a
// write. A write that takes away the addresses by which clients reach the
// internet is answered first, as in Azure, where the answer is only that the
// change was accepted: it could not arrive afterwards. The watcher carries it
// out.
func (w *World) answer(ctx context.Context, revision uint64) error {
	if err := w.catchUp(ctx, revision, true); !errors.Is(err, errAnswerFirst) {
		return err
	}
	return nil
}

// errAnswerFirst is that a round would cut the way of answers.
var errAnswerFirst = errors.New("answers must be sent first")

// answerTime is how long answers that are ready may take to arrive.
const answerTime = 30 * time.Millisecond

// catchUp waits for its turn and then, if no round since has covered revision,
// makes one. With spare it does not make one that would cut the way of answers.
func (w *World) catchUp(ctx context.Context, revision uint64, spare bool) error {
	if err := w.takeTurn(ctx); err != nil {
		return err
	}
	defer w.passTurn()
	if r := w.last.Load(); r.revision >= revision && r.topology == w.topology() && !r.isDue(time.Now()) {
		return r.err
	}
	return w.reconcile(spare)
}

// Settle waits until the network shows all that was written before the call,
// held registry rules included.
func (w *World) Settle(ctx context.Context) error {
	for {
		if err := w.follow(ctx, w.store.Revision()); err != nil {
			return err
		}
		due := w.last.Load().due
		if due.IsZero() {
			return nil
		}
		wait := time.NewTimer(time.Until(due))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return context.Cause(ctx)
		case <-w.alive.Done():
			wait.Stop()
			return errClosed
		}
	}
}

// Err is why the network does not show Azure's state, nil if it does as far as
// it got. It is that of the last reconciliation; another write tries again.
func (w *World) Err() error { return w.last.Load().err }

func (r *round) isDue(now time.Time) bool { return !r.due.IsZero() && !now.Before(r.due) }

func (w *World) takeTurn(ctx context.Context) error {
	select {
	case <-w.alive.Done(): // first, should the turn be free as well
		return errClosed
	default:
	}
	select {
	case w.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-w.alive.Done():
		return errClosed
	}
}

func (w *World) passTurn() { <-w.turn }

// reconcile is one round; the caller has the turn. It is not bound to the
// context of who waits for it: others may wait too, and a network that is half
// changed helps nobody.
func (w *World) reconcile(spare bool) error {
	r := &round{revision: w.store.Revision(), topology: w.topology()}
	n, err := w.plan(w.store.Snapshot(), *r.topology)
	if err != nil {
		err = fmt.Errorf("planning the network: %w", err)
	} else {
		if spare && !keepsWaysOut(w.network.Load(), n) {
			return errAnswerFirst
		}
		r.due = w.rules.hold(n, time.Now())
		err = w.Reconcile(w.alive, n)
	}
	if r.err = err; err == nil {
		w.network.Store(n)
	}
	w.last.Store(r)
	return err
}

// watch follows writes for which nobody waits, and held rules.
func (w *World) watch(seen uint64) {
	defer close(w.watched)
	for {
		ctx, cancel := w.alive, context.CancelFunc(func() {})
		if due := w.last.Load().due; !due.IsZero() {
			ctx, cancel = context.WithDeadline(ctx, due)
		}
		revision, _ := w.store.Wait(ctx, seen) // an error is that of ctx: due, or closed
		cancel()
		if w.alive.Err() != nil {
			return
		}
		if err := w.catchUp(w.alive, revision, true); errors.Is(err, errAnswerFirst) {
			select {
			case <-time.After(answerTime):
			case <-w.alive.Done():
				return
			}
			_ = w.follow(w.alive, revision)
		} // any other error is kept for Err
		seen = revision
	}
}

// keepsWaysOut says whether every address that a host of before translates to
// is still one of that host's.
func keepsWaysOut(before, after *plan.Network) bool {
	have := waysOut(after)
	for way := range waysOut(before) {
		if !have[way] {
			return false
		}
	}
	return true
}

// wayOut is an address that a host gives to what it sends on.
type wayOut struct {
	host string
	to   netip.Addr
}

// waysOut leaves out translations of addresses that only answer: registries'
// and routers'.
func waysOut(n *plan.Network) map[wayOut]bool {
	links := map[string]int{}
	for _, l := range n.Links {
		for _, e := range l.Ends {
			links[e.Host]++
		}
	}
	sends := map[string]bool{}
	for _, h := range n.Hosts {
		sends[h.Name] = links[h.Name] == 1 && !slices.ContainsFunc(h.Services, func(s plan.Service) bool { return s.Registry != nil })
	}
	var senders []netip.Addr
	for _, l := range n.Links {
		for _, e := range l.Ends {
			for _, a := range e.Addresses {
				if sends[e.Host] {
					senders = append(senders, a.Addr())
				}
			}
		}
	}
	out := map[wayOut]bool{}
	for _, h := range n.Hosts {
		for _, r := range h.NAT {
			from := r.Match.Source
			used := len(from) == 0 || slices.ContainsFunc(from, func(p netip.Prefix) bool { return slices.ContainsFunc(senders, p.Contains) })
			if r.To.IsValid() && used {
				out[wayOut{h.Name, r.To}] = true
			}
		}
	}
	return out
}
