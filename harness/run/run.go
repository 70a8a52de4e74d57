// Package run leads a scenario through its four phases: healthy, broken and
// proven, diagnosed, healed. See docs/architecture.md.
//
// It decides nothing about Azure and nothing about causes: worlds are package
// world's, observations package prove's, verdicts package verdict's.
package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/acrlab/acrlab/diagnosis"
	"github.com/acrlab/acrlab/harness/az"
	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/prove"
	"github.com/acrlab/acrlab/harness/subject"
	"github.com/acrlab/acrlab/harness/topology"
	"github.com/acrlab/acrlab/harness/verdict"
	"github.com/acrlab/acrlab/harness/world"
)

// Options of a run.
type Options struct {
	Fabric    world.Fabric
	Diagnoser subject.Diagnoser
	// Modes in which the diagnoser is asked; each gives a result. Empty: both.
	Modes []verdict.Mode
	// Puller is the command that pulls an image, to which the image is
	// appended: "acrlab pull". It stands for the client that is always there.
	// Empty: no client pulls, which leaves the symptom unproven; for benchmarks.
	Puller []string
	// AZ carries out remedies that are az commands as they are printed, on the
	// client host. Nil, and for all other remedies: their changes.
	AZ *az.CLI
	// Progress hears of each phase as it begins. It may be called from several
	// goroutines.
	Progress func(scenario, phase string)

	// working holds a place for each scenario that keeps processors busy; see
	// [scenario.work]. Nil: no limit.
	working chan struct{}
}

// crane is the name under which scenarios say what the puller must print: it
// uses the same library as the tool of that name.
const crane = "crane"

// Scenario runs one scenario and returns a result for each mode.
func Scenario(ctx context.Context, s *topology.Scenario, o Options) []verdict.Result {
	r := &scenario{Scenario: s, o: o, began: time.Now()}
	if len(r.o.Modes) == 0 {
		r.o.Modes = []verdict.Mode{verdict.WithAzure, verdict.NetworkOnly}
	}
	for _, m := range r.o.Modes {
		r.asked = append(r.asked, &asked{mode: m})
	}
	err := r.run(ctx)
	return r.results(err)
}

// scenario is one run.
type scenario struct {
	*topology.Scenario
	o      Options
	began  time.Time
	world  *world.World
	asked  []*asked // by mode
	phases []verdict.Phase
	client *verdict.Symptom
}

// asked is what the diagnoser said in one mode, and what became of it.
type asked struct {
	mode    verdict.Mode
	answer  subject.Answer
	verdict *verdict.Verdict
	healed  *verdict.Healing // nil: no remedy was carried out
}

// run ends early with an error of the harness; wrong verdicts are no errors.
func (r *scenario) run(ctx context.Context) error {
	err := r.phase("build", func() (err error) {
		r.world, err = world.Open(ctx, r.o.Fabric, r.Healthy)
		return err
	})
	if err != nil {
		return err
	}
	defer func() {
		// What closing could not take down dies with the process; the verdict stands.
		_ = r.world.Close()
	}()
	if err := r.work(ctx, func() error {
		return r.phase("healthy", func() error { return r.healthy(ctx, "before the fault") })
	}); err != nil || r.IsHealthy() {
		return err
	}
	if err := r.phase("break", func() error { return r.world.Become(ctx, r.Broken) }); err != nil {
		return err
	}
	if err := r.phase("prove", func() error { return r.prove(ctx) }); err != nil {
		return err
	}
	if err := r.phase("diagnose", func() error { return r.diagnose(ctx) }); err != nil {
		return err
	}
	return r.phase("heal", func() error { return r.heal(ctx) })
}

// work does what waits for nothing but processors: in a healthy network every
// answer comes at once. Of that, no more is done at the same time than there are
// processors, whatever the schedule: what a busy machine answers late looks like
// silence to a diagnoser. Waiting for silence, which takes most of the time of a
// run, is not limited.
func (r *scenario) work(ctx context.Context, do func() error) error {
	if r.o.working != nil {
		select {
		case r.o.working <- struct{}{}:
			defer func() { <-r.o.working }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return do()
}

func (r *scenario) phase(name string, do func() error) error {
	if r.o.Progress != nil {
		r.o.Progress(r.ID, name)
	}
	began := time.Now()
	err := do()
	p := verdict.Phase{Name: name, Took: time.Since(began)}
	if err != nil {
		p.Error = err.Error()
		err = fmt.Errorf("%s: %w", name, err)
	}
	r.phases = append(r.phases, p)
	return err
}

// healthy demands that every client can pull and that the diagnoser finds
// nothing. A pull that fails is an error of the harness; a finding is a wrong
// verdict.
func (r *scenario) healthy(ctx context.Context, when string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		pulls, err := r.pull(ctx)
		if err != nil {
			return err
		}
		for _, p := range pulls {
			if p.exitCode != 0 {
				return fmt.Errorf("%s %s cannot pull %s: %s", when, p.who, r.world.Image(), p.output)
			}
		}
		return nil
	})
	for _, a := range r.asked {
		g.Go(func() error {
			answer, err := r.ask(ctx, a.mode)
			if err != nil {
				return err
			}
			v := verdict.Judge(topology.Expect{}, a.mode == verdict.WithAzure, answer.Diagnosis, answer.Problem)
			if r.IsHealthy() {
				a.answer, a.verdict = answer, &v
			} else if v.Grade != verdict.Right {
				v.Reason = when + ": " + v.Reason
				a.answer, a.verdict = answer, &v
			}
			return nil
		})
	}
	return g.Wait()
}

// prove demands that the fault is there: every observation of the scenario
// holds.
func (r *scenario) prove(ctx context.Context) error {
	if err := prove.All(ctx, r.world.World, r.world.Network(), r.Prove); err != nil {
		return fmt.Errorf("the fault is not there: %w", err)
	}
	return nil
}

// diagnose asks in all modes while a client tries to pull.
func (r *scenario) diagnose(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.symptom(ctx) })
	for _, a := range r.asked {
		if a.verdict != nil {
			continue // judged already: it cried wolf
		}
		g.Go(func() error {
			answer, err := r.ask(ctx, a.mode)
			if err != nil {
				return err
			}
			v := verdict.Judge(r.Expect, a.mode == verdict.WithAzure, answer.Diagnosis, answer.Problem)
			a.answer, a.verdict = answer, &v
			return nil
		})
	}
	return g.Wait()
}

// symptom demands that a client fails, and with the words of the scenario.
func (r *scenario) symptom(ctx context.Context) error {
	if len(r.o.Puller) == 0 {
		return nil
	}
	pulls, err := r.pull(ctx)
	if err != nil {
		return err
	}
	var failed *pulled
	for i := range pulls {
		if pulls[i].exitCode != 0 {
			failed = &pulls[i]
		}
	}
	if failed == nil {
		return fmt.Errorf("the fault is not there: a client pulls %s all the same", r.world.Image())
	}
	r.client = &verdict.Symptom{Client: crane, ExitCode: failed.exitCode, Output: failed.output}
	return matches(r.Expect.Client, crane, failed.output)
}

// matches holds a client's words against what the scenario promises.
func matches(promised map[string]string, client, output string) error {
	want, ok := promised[client]
	if !ok {
		return nil
	}
	re, err := regexp.Compile(want)
	if err != nil {
		return fmt.Errorf("expect.client[%s]: %w", client, err)
	}
	if !re.MatchString(output) {
		return fmt.Errorf("%s fails with other words than the scenario says: want %q, got %q", client, want, output)
	}
	return nil
}

// heal carries out the remedy of every right and proven diagnosis, each on the
// broken network, and demands that it is healthy then.
func (r *scenario) heal(ctx context.Context) error {
	broken := true
	for _, a := range r.asked {
		remedies, ok := remedies(a)
		if !ok {
			continue
		}
		if !broken {
			if err := r.world.Become(ctx, r.Broken); err != nil {
				return err
			}
		}
		broken = false
		how, err := r.carryOut(ctx, remedies)
		if why, ok := errors.AsType[refused](err); ok {
			a.verdict = &verdict.Verdict{Grade: verdict.Wrong, Reason: "the remedy cannot be carried out: " + why.reason}
			continue
		}
		if err != nil {
			return err
		}
		a.healed = &how
		if err := r.work(ctx, func() error { return r.healed(ctx, a) }); err != nil {
			return err
		}
	}
	return nil
}

// remedies are what to carry out for an answer, if there is anything. With Azure
// access a proven cause without an executable remedy does not count as found.
func remedies(a *asked) ([]diagnosis.Remedy, bool) {
	if a.verdict == nil || a.verdict.Grade != verdict.Right || a.answer.Diagnosis == nil {
		return nil, false
	}
	var out []diagnosis.Remedy
	for _, f := range a.answer.Diagnosis.Findings {
		if f.Certainty != diagnosis.Proven {
			return nil, false
		}
		if len(f.Remedy.Changes) == 0 {
			if a.mode == verdict.WithAzure {
				a.verdict = &verdict.Verdict{Grade: verdict.Incomplete,
					Reason: fmt.Sprintf("%s is found, but its remedy names no change that can be carried out", f.Cause)}
			}
			return nil, false
		}
		out = append(out, f.Remedy)
	}
	return out, len(out) > 0
}

func (r *scenario) healed(ctx context.Context, a *asked) error {
	pulls, err := r.pull(ctx)
	if err != nil {
		return err
	}
	for _, p := range pulls {
		if p.exitCode != 0 {
			a.verdict = &verdict.Verdict{Grade: verdict.Wrong,
				Reason: fmt.Sprintf("the remedy does not heal: %s still fails: %s", p.who, p.output)}
			return nil
		}
	}
	after, err := r.ask(ctx, a.mode)
	if err != nil {
		return err
	}
	if v := verdict.Judge(topology.Expect{}, a.mode == verdict.WithAzure, after.Diagnosis, after.Problem); v.Grade != verdict.Right {
		v.Reason = "after its own remedy: " + v.Reason
		a.verdict, a.answer = &v, after
	}
	return nil
}

func (r *scenario) ask(ctx context.Context, m verdict.Mode) (subject.Answer, error) {
	var env map[string]string
	if m == verdict.WithAzure {
		env = r.world.AzureCredentials()
	}
	return r.o.Diagnoser.Ask(ctx, r.world.World, r.world.Network().Client, r.world.Image(), env)
}

// results gives every mode its row.
func (r *scenario) results(err error) []verdict.Result {
	var out []verdict.Result
	for _, a := range r.asked {
		res := verdict.Result{ID: r.ID, Title: r.Title, Mode: a.mode, Diagnoser: r.o.Diagnoser.Name,
			Expected: append([]diagnosis.Cause{}, r.Expect.Causes...), Phases: slices.Clone(r.phases),
			Took: time.Since(r.began), Diagnosis: a.answer.Diagnosis, Client: r.client, Healed: a.healed}
		switch {
		case err != nil:
			res.Error = err.Error()
		case a.verdict == nil:
			res.Error = "the diagnoser was not asked"
		default:
			res.Verdict = a.verdict
		}
		out = append(out, res)
	}
	return out
}

// sameEnvironment says whether shell and daemon of the client see the same.
func (r *scenario) sameEnvironment() bool {
	n := r.world.Network()
	i := slices.IndexFunc(n.Hosts, func(h plan.Host) bool { return h.Name == n.Client })
	return i < 0 || maps.Equal(n.Hosts[i].Env, n.Hosts[i].Daemon)
}

// lastLines are the end of what a program printed, on one line.
func lastLines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], " | ")
}
