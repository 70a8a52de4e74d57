// Package prove sees whether the fault of a scenario is really there, before
// any diagnoser is judged: it carries out sentences such as "client gets no
// answer from myregistry.azurecr.io:443" on a running network.
//
// It looks with its own lookups and handshakes through [fabric.World.Dial] and
// must know nothing of diagnosers: a mistake that both shared would prove itself.
package prove

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/acrlab/acrlab/harness/fabric"
	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/prove/sentence"
)

const (
	// silence is how long a SYN stays unanswered before that is called silence:
	// longer than Linux waits before it sends the SYN again (1 s), so that one
	// lost packet is no silence.
	silence = 1500 * time.Millisecond
	// patience is how long something that should answer may take.
	patience = 5 * time.Second
	// lookupSilence is longer than [silence]: a resolver whose own upstream is
	// dead says SERVFAIL only after its timeout, and that is an answer.
	lookupSilence = 2500 * time.Millisecond
)

// Observation is a sentence that can be checked.
type Observation struct {
	sentence.Sentence
}

// Parse reads a sentence; see [sentence.Forms] for what can be said. The error
// names the form that comes closest.
func Parse(text string) (Observation, error) {
	s, err := sentence.Parse(text)
	return Observation{s}, err
}

// Check is nil when the observation holds in w, which was built from n.
// Otherwise the error says what was seen instead. It takes at most a few seconds.
func (o Observation) Check(ctx context.Context, w fabric.World, n *plan.Network) error {
	if err := o.check(ctx, w, n); err != nil {
		return fmt.Errorf("%q does not hold: %w", o.Text, err)
	}
	return nil
}

func (o Observation) check(ctx context.Context, w fabric.World, n *plan.Network) error {
	from, err := hostOf(n, o.Host)
	if err != nil {
		return err
	}
	e := eye{world: w, network: n, host: from}
	switch o.Kind {
	case sentence.Resolve:
		return e.resolves(ctx, o.Sentence)
	case sentence.Lookup:
		return e.looksUp(ctx, o.Sentence)
	case sentence.Chain:
		return e.chain(ctx, o.Sentence)
	case sentence.Connect:
		return e.connects(ctx, o.Sentence)
	case sentence.TLS:
		return e.handshakes(ctx, o.Sentence)
	case sentence.HTTP:
		return e.answers(ctx, o.Sentence)
	case sentence.Proxy:
		return e.proxied(ctx, o.Sentence)
	case sentence.Count:
		count, err := w.Counter(ctx, from.Name, o.Rule)
		if err != nil {
			return fmt.Errorf("reading the counter of rule %s on %s: %w", o.Rule, from.Name, err)
		}
		if count == 0 {
			return fmt.Errorf("no packet hit rule %s on %s", o.Rule, from.Name)
		}
		return nil
	}
	return fmt.Errorf("a check of kind %q is not known", o.Kind)
}

// All checks sentences side by side, those about counters last: the others are
// the traffic that they count. The error joins those of all that do not hold.
func All(ctx context.Context, w fabric.World, n *plan.Network, sentences []string) error {
	var looks, counts []Observation
	var errs []error
	for _, text := range sentences {
		o, err := Parse(text)
		switch {
		case err != nil:
			errs = append(errs, err)
		case o.Kind == sentence.Count:
			counts = append(counts, o)
		default:
			looks = append(looks, o)
		}
	}
	errs = append(errs, check(ctx, w, n, looks), check(ctx, w, n, counts))
	return errors.Join(errs...)
}

func check(ctx context.Context, w fabric.World, n *plan.Network, list []Observation) error {
	errs := make([]error, len(list))
	var wg sync.WaitGroup
	for i, o := range list {
		wg.Go(func() { errs[i] = o.Check(ctx, w, n) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// eye looks from one host.
type eye struct {
	world   fabric.World
	network *plan.Network
	host    plan.Host
}

func hostOf(n *plan.Network, name string) (plan.Host, error) {
	if name == "" {
		name = n.Client
	}
	var names []string
	for _, h := range n.Hosts {
		if h.Name == name {
			return h, nil
		}
		names = append(names, h.Name)
	}
	return plan.Host{}, fmt.Errorf("the network has no host %q; it has %v", name, names)
}
