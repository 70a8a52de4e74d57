package run_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/harness/az"
	"github.com/acrlab/acrlab/harness/fabric/netns"
	"github.com/acrlab/acrlab/harness/run"
	"github.com/acrlab/acrlab/harness/subject"
	"github.com/acrlab/acrlab/harness/topology"
	"github.com/acrlab/acrlab/harness/verdict"
)

const blackholeRoute = "/subscriptions/6a3f0c52-1d74-4e0b-9a58-0d2c7b5e4f10/resourceGroups/acrlab/providers/Microsoft.Network/routeTables/rt-clients/routes/drop-registry"

// withRemedy is the right finding of udr-blackhole with a command and the
// change that heals.
func withRemedy(command string) string {
	return `{"cause":"udr-blackhole","certainty":"proven","summary":"It is so.","evidence":[{"probe":"tcp","saw":"a","means":"b"}],` +
		`"remedy":{"summary":"Mend it.","commands":["` + command + `"],"changes":[{"arm":{"method":"DELETE","id":"` + blackholeRoute + `","apiVersion":"2025-01-01"}}]}}`
}

// A stand-in for az shows what becomes of every way in which it can end; the
// real one is run by the tests of the catalogue.
func TestARemedyByAZIsJudgedByWhatAZDoes(t *testing.T) {
	netns.Require(t)
	const route = "az network route-table route delete -g acrlab --route-table-name rt-clients -n drop-registry"
	for _, c := range []struct {
		name, az, command string
		grade             verdict.Grade
		reason            string
		healed            *verdict.Healing
	}{
		{name: "az is refused", az: `case "$1" in network) echo "ERROR: (ScopeLocked) locked" >&2; exit 1;; esac`, command: route,
			grade: verdict.Wrong, reason: "the remedy cannot be carried out: " + route + " exits 1: ERROR: (ScopeLocked) locked"},
		{name: "az does nothing", az: "exit 0", command: route,
			grade: verdict.Wrong, reason: "the remedy does not heal", healed: &verdict.Healing{By: verdict.ByAZ}},
		{name: "az cannot sign in", az: `[ "$1" = login ] && { echo "ERROR: AADSTS7000215" >&2; exit 1; }; exit 0`, command: route,
			grade: verdict.Right, healed: &verdict.Healing{By: verdict.ByChanges, Because: "az cannot sign in from client: ERROR: AADSTS7000215"}},
		{name: "az signs in by a public resolver alone", az: `grep -q 8.8.8.8 /etc/resolv.conf || { echo "ERROR: Name or service not known" >&2; exit 1; }`, command: route,
			grade: verdict.Wrong, reason: "the remedy does not heal", healed: &verdict.Healing{By: verdict.ByAZ, Resolver: "8.8.8.8"}},
		{name: "the command is of an extension", az: "exit 0", command: "az network firewall policy delete",
			grade: verdict.Right, healed: &verdict.Healing{By: verdict.ByChanges}},
		{name: "the command is not az's", az: "exit 0", command: "docker login",
			grade: verdict.Right, healed: &verdict.Healing{By: verdict.ByChanges, Because: "the remedy is not made of az commands"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := topology.Load("../../scenarios/udr-blackhole")
			require.NoError(t, err)
			path := filepath.Join(t.TempDir(), "az")
			require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+c.az+"\n"), 0o755))
			results := run.Scenario(t.Context(), s, run.Options{
				Fabric:    namespaces,
				Diagnoser: subject.Diagnoser{Name: c.name, Command: healthyThen(says(withRemedy(c.command)))},
				Modes:     []verdict.Mode{verdict.WithAzure},
				Puller:    []string{acrlab, "pull"},
				AZ:        &az.CLI{Path: path, Version: az.Pinned},
			})
			require.Len(t, results, 1)
			r := results[0]
			require.Empty(t, r.Error)
			require.Equal(t, c.grade, r.Verdict.Grade, r.Verdict.Reason)
			require.Contains(t, r.Verdict.Reason, c.reason)
			if c.healed == nil {
				require.Nil(t, r.Healed)
				return
			}
			require.NotNil(t, r.Healed)
			require.Equal(t, c.healed.By, r.Healed.By)
			require.Equal(t, c.healed.Resolver, r.Healed.Resolver)
			require.Contains(t, r.Healed.Because, c.healed.Because)
		})
	}
}
