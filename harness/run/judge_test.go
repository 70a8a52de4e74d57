package run_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/harness/fabric"
	"github.com/acrlab/acrlab/harness/fabric/netns"
	"github.com/acrlab/acrlab/harness/run"
	"github.com/acrlab/acrlab/harness/service"
	"github.com/acrlab/acrlab/harness/subject"
	"github.com/acrlab/acrlab/harness/topology"
	"github.com/acrlab/acrlab/harness/verdict"
	"github.com/acrlab/acrlab/internal/program"
)

var acrlab string

func TestMain(m *testing.M) { os.Exit(netns.RunTests(withProgram{m})) }

type withProgram struct{ m *testing.M }

func (w withProgram) Run() int {
	return program.Main(func(path string) int {
		acrlab = path
		return w.m.Run()
	})
}

func namespaces(set *service.Set) fabric.Driver {
	return &netns.Driver{Services: set, Authorities: set}
}

// healthyThen is a shell script that answers rightly on a healthy network and
// does something else where the registry cannot be reached: the judge must see
// the latter.
func healthyThen(otherwise string) []string {
	const healthy = `{"schema":"acrlab.diagnosis/v1","registry":"myregistry.azurecr.io","healthy":true,"findings":[],"observations":[]}`
	return []string{"/bin/sh", "-c", acrlab + ` pull "$1" >/dev/null 2>&1 && { echo '` + healthy + `'; exit 0; }; ` + otherwise, "diagnoser"}
}

const found = `{"schema":"acrlab.diagnosis/v1","registry":"myregistry.azurecr.io","healthy":false,"findings":[%],"observations":[]}`

func finding(cause string) string {
	return `{"cause":"` + cause + `","certainty":"proven","summary":"It is so.","evidence":[{"probe":"tcp","saw":"a","means":"b"}],"remedy":{"summary":"Mend it."}}`
}

func says(findings string) string {
	out := ""
	for _, r := range found {
		if r == '%' {
			out += findings
		} else {
			out += string(r)
		}
	}
	return "echo '" + out + "'; exit 1"
}

// A diagnoser that misbehaves is judged wrong with the reason, and never holds
// up the run.
func TestDiagnosersThatMisbehaveAreJudgedWrong(t *testing.T) {
	netns.Require(t)
	s, err := topology.Load("../../scenarios/firewall-rejects-rest")
	require.NoError(t, err)
	for _, c := range []struct{ name, does, reason string }{
		{"says nothing", "exit 0", "it printed nothing (exit code 0)"},
		{"names another cause", says(finding("dns-name-wrong")), "lists dns-name-wrong (proven) instead of firewall-rejects-rest"},
		{"names a second cause", says(finding("firewall-rejects-rest") + "," + finding("dns-name-wrong")),
			"lists dns-name-wrong (proven) besides what is there (firewall-rejects-rest)"},
		{"says healthy", `echo '{"schema":"acrlab.diagnosis/v1","registry":"myregistry.azurecr.io","healthy":true,"findings":[],"observations":[]}'`,
			"says that the network is healthy, missing firewall-rejects-rest"},
		{"prints half a document", `printf '{"schema":"acrlab.diagnosis/v1","findings":['; exit 1`, "its output is no diagnosis"},
		{"prints prose", `echo the firewall is to blame; exit 1`, "its output is not JSON"},
		{"knows causes of its own", says(finding("gremlins")), `unknown cause "gremlins"`},
		{"never ends", "sleep 1000", "it did not end within 2s and was killed"},
		{"floods its output", "yes", "it did not end within 2s and was killed"},
		{"leaves a child behind that holds its output", "sleep 1000 & exit 0", "it printed nothing (exit code 0)"},
		{"dies", "kill -9 $$", "it printed nothing (exit code 137)"},
		{"is right but has no remedy to carry out", says(finding("firewall-rejects-rest")), "its remedy names no change that can be carried out"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			results := run.Scenario(t.Context(), s, run.Options{
				Fabric:    namespaces,
				Diagnoser: subject.Diagnoser{Name: c.name, Command: healthyThen(c.does), Timeout: 2 * time.Second},
				Modes:     []verdict.Mode{verdict.WithAzure},
				Puller:    []string{acrlab, "pull"},
			})
			require.Len(t, results, 1)
			r := results[0]
			require.Empty(t, r.Error)
			require.NotEqual(t, verdict.Right, r.Verdict.Grade)
			require.Contains(t, r.Verdict.Reason, c.reason)
			require.Less(t, time.Since(began), 60*time.Second, "the run was held up")
		})
	}
}

// A diagnoser that sees a fault where there is none is wrong before the fault
// is even there.
func TestADiagnoserThatCriesWolfIsJudgedWrong(t *testing.T) {
	netns.Require(t)
	s, err := topology.Load("../../scenarios/firewall-rejects-rest")
	require.NoError(t, err)
	results := run.Scenario(t.Context(), s, run.Options{
		Fabric:    namespaces,
		Diagnoser: subject.Diagnoser{Name: "wolf", Command: []string{"/bin/sh", "-c", says(finding("firewall-rejects-rest"))}},
		Puller:    []string{acrlab, "pull"},
	})
	for _, r := range results {
		require.Empty(t, r.Error)
		require.Equal(t, verdict.Wrong, r.Verdict.Grade)
		require.Contains(t, r.Verdict.Reason, "before the fault: the network is healthy, yet it lists firewall-rejects-rest")
	}
}

// A scenario whose fault is not there is an error of the harness, never of the
// diagnoser.
func TestAFaultThatIsNotThereIsAnErrorOfTheHarness(t *testing.T) {
	netns.Require(t)
	s, err := topology.Load("../../scenarios/firewall-rejects-rest")
	require.NoError(t, err)
	s.Broken = s.Healthy
	for _, r := range run.Scenario(t.Context(), s, run.Options{
		Fabric:    namespaces,
		Diagnoser: subject.Diagnoser{Name: "none", Command: healthyThen("exit 2")},
		Puller:    []string{acrlab, "pull"},
	}) {
		require.Nil(t, r.Verdict)
		require.Contains(t, r.Error, "the fault is not there")
	}
}
