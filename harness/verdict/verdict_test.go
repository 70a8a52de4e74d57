package verdict

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/diagnosis"
	"github.com/acrlab/acrlab/harness/topology"
)

const (
	linked    = diagnosis.DNSZoneNotLinked
	missing   = diagnosis.DNSPrivateZoneMissing
	forwarder = diagnosis.CustomDNSNoForwarder
	proxy403  = diagnosis.ProxyDenied403
)

// saying is a diagnosis that lists these causes; "cause?" is possible,
// "cause~" probable, else proven.
func saying(causes ...string) *diagnosis.Diagnosis {
	d := &diagnosis.Diagnosis{Schema: diagnosis.Schema, Registry: "myregistry.azurecr.io"}
	for _, c := range causes {
		f := diagnosis.Finding{Certainty: diagnosis.Proven, Summary: "s", Remedy: diagnosis.Remedy{Summary: "r"},
			Evidence: []diagnosis.Evidence{{Probe: "dns", Saw: "x", Means: "y"}}}
		switch c[len(c)-1] {
		case '?':
			c, f.Certainty = c[:len(c)-1], diagnosis.Possible
		case '~':
			c, f.Certainty = c[:len(c)-1], diagnosis.Probable
		}
		f.Cause = diagnosis.Cause(c)
		d.Findings = append(d.Findings, f)
	}
	return d
}

func healthy() *diagnosis.Diagnosis {
	d := saying()
	d.Healthy = true
	return d
}

func TestWithAzureAccessTheProvenCausesMustBeTheExpectedOnes(t *testing.T) {
	one := topology.Expect{Causes: []diagnosis.Cause{linked}, WithoutAzureAccess: &topology.Candidates{OneOf: []diagnosis.Cause{linked, missing}}}
	two := topology.Expect{Causes: []diagnosis.Cause{linked, proxy403}}
	for name, c := range map[string]struct {
		exp   topology.Expect
		d     *diagnosis.Diagnosis
		grade Grade
		why   string
	}{
		"the cause":                    {one, saying("dns-zone-not-linked"), Right, "dns-zone-not-linked, proven"},
		"the cause twice":              {one, saying("dns-zone-not-linked", "dns-zone-not-linked?"), Right, "proven"},
		"the cause, not proven":        {one, saying("dns-zone-not-linked~"), Incomplete, "listed as probable only"},
		"with an extra proven cause":   {one, saying("dns-zone-not-linked", "proxy-denied-403"), Wrong, "lists proxy-denied-403 (proven) besides what is there (dns-zone-not-linked)"},
		"with an extra possible cause": {one, saying("dns-zone-not-linked", "proxy-denied-403?"), Wrong, "lists proxy-denied-403 (possible) besides"},
		"the look-alikes":              {one, saying("dns-zone-not-linked?", "dns-private-zone-missing?"), Wrong, "lists dns-private-zone-missing (possible) besides"},
		"another cause":                {one, saying("dns-private-zone-missing"), Wrong, "lists dns-private-zone-missing (proven) instead of dns-zone-not-linked"},
		"nothing":                      {one, saying(), Wrong, "names no cause, missing dns-zone-not-linked"},
		"all well":                     {one, healthy(), Wrong, "says that the network is healthy, missing dns-zone-not-linked"},
		"both causes":                  {two, saying("proxy-denied-403", "dns-zone-not-linked"), Right, "dns-zone-not-linked, proxy-denied-403, proven"},
		"one of both":                  {two, saying("proxy-denied-403"), Wrong, "misses dns-zone-not-linked"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Judge(c.exp, true, c.d, nil)
			require.Equal(t, c.grade, got.Grade, got.Reason)
			require.Contains(t, got.Reason, c.why)
		})
	}
}

func TestWithoutAzureAccessTheLookAlikesMustBeListed(t *testing.T) {
	exp := topology.Expect{Causes: []diagnosis.Cause{linked}, WithoutAzureAccess: &topology.Candidates{OneOf: []diagnosis.Cause{linked, missing, forwarder}}}
	provable := topology.Expect{Causes: []diagnosis.Cause{linked}}
	for name, c := range map[string]struct {
		exp   topology.Expect
		d     *diagnosis.Diagnosis
		grade Grade
		why   string
	}{
		"all of them":             {exp, saying("custom-dns-no-forwarder?", "dns-zone-not-linked?", "dns-private-zone-missing?"), Right, "one of"},
		"one more likely":         {exp, saying("custom-dns-no-forwarder?", "dns-zone-not-linked~", "dns-private-zone-missing?"), Right, "one of"},
		"some, with the truth":    {exp, saying("dns-zone-not-linked?", "dns-private-zone-missing?"), Incomplete, "but custom-dns-no-forwarder would look the same"},
		"some, without the truth": {exp, saying("custom-dns-no-forwarder?", "dns-private-zone-missing?"), Wrong, "but not what is there (dns-zone-not-linked)"},
		"one too many":            {exp, saying("custom-dns-no-forwarder?", "dns-zone-not-linked?", "dns-private-zone-missing?", "mcr-blocked?"), Wrong, "lists mcr-blocked (possible), which does not look like this"},
		"something else":          {exp, saying("mcr-blocked?"), Wrong, "lists mcr-blocked (possible) instead of"},
		"the truth, as if proven": {exp, saying("dns-zone-not-linked"), Incomplete, "without Azure access dns-zone-not-linked, dns-private-zone-missing, custom-dns-no-forwarder look alike"},
		"a look-alike, as proven": {exp, saying("dns-private-zone-missing"), Wrong, "claims dns-private-zone-missing as proven, but the cause is dns-zone-not-linked"},
		"all, a false one proven": {exp, saying("custom-dns-no-forwarder?", "dns-zone-not-linked?", "dns-private-zone-missing"), Wrong, "claims dns-private-zone-missing as proven"},
		"all well":                {exp, healthy(), Wrong, "says that the network is healthy"},
		"provable, proven":        {provable, saying("dns-zone-not-linked"), Right, "proven"},
		"provable, only possible": {provable, saying("dns-zone-not-linked?"), Incomplete, "can be proven"},
		"provable, with company":  {provable, saying("dns-zone-not-linked?", "dns-private-zone-missing?"), Wrong, "besides"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Judge(c.exp, false, c.d, nil)
			require.Equal(t, c.grade, got.Grade, got.Reason)
			require.Contains(t, got.Reason, c.why)
		})
	}
}

func TestAHealthyNetworkMustBeCalledHealthy(t *testing.T) {
	for _, azure := range []bool{true, false} {
		require.Equal(t, Verdict{Right, "healthy"}, Judge(topology.Expect{}, azure, healthy(), nil))
		got := Judge(topology.Expect{}, azure, saying("mcr-blocked?"), nil)
		require.Equal(t, Verdict{Wrong, "the network is healthy, yet it lists mcr-blocked (possible)"}, got)
		undecided := saying()
		undecided.NotChecked = []diagnosis.Omission{{Check: "layer", Because: "no image was named"}}
		got = Judge(topology.Expect{}, azure, undecided, nil)
		require.Equal(t, Incomplete, got.Grade)
		require.Contains(t, got.Reason, "not checked: layer, because no image was named")
	}
}

// A diagnoser that always says the same, and one that says nothing usable, must
// be wrong on a scenario and be told why.
func TestBadDiagnosersAreWrong(t *testing.T) {
	exp := topology.Expect{Causes: []diagnosis.Cause{linked}}
	for name, c := range map[string]struct {
		stdout string
		exit   int
		why    string
		is     error
	}{
		"says nothing":       {"", 1, "it printed nothing (exit code 1)", ErrSilent},
		"prints text":        {"all OK\n", 0, "its output is not JSON: it begins with 'a'", ErrNotJSON},
		"breaks off":         {`{"schema":`, 1, "its output is no diagnosis: decoding the diagnosis: unexpected EOF", ErrUnusable},
		"another schema":     {`{"schema":"v9"}`, 1, `schema is "v9", want "acrlab.diagnosis/v1"`, ErrUnusable},
		"wrong exit code":    {`{"schema":"acrlab.diagnosis/v1","registry":"r","healthy":true,"findings":[]}`, 1, "a healthy network means 0, it ended with 1", ErrExitCode},
		"undecided with 0":   {`{"schema":"acrlab.diagnosis/v1","registry":"r","healthy":false,"findings":[]}`, 0, "neither a finding nor a healthy network means 2, it ended with 0", ErrExitCode},
		"killed by a signal": {`{"schema":"acrlab.diagnosis/v1","registry":"r","healthy":true,"findings":[]}`, 137, "signal 9 ended it", ErrAbnormal},
	} {
		t.Run(name, func(t *testing.T) {
			d, problem := Read([]byte(c.stdout), c.exit)
			require.ErrorIs(t, problem, c.is)
			got := Judge(exp, true, d, problem)
			require.Equal(t, Wrong, got.Grade)
			require.Contains(t, got.Reason, "the diagnoser gave no diagnosis: ")
			require.Contains(t, got.Reason, c.why)
			require.NotContains(t, got.Reason, "\n")
		})
	}
	d, problem := Read([]byte(`{"schema":"acrlab.diagnosis/v1","registry":"r","healthy":true,"findings":[]}`), 0)
	require.NoError(t, problem)
	require.Equal(t, Wrong, Judge(exp, true, d, nil).Grade)
	require.Equal(t, Wrong, Judge(exp, true, nil, nil).Grade)
	require.Equal(t, Wrong, Judge(exp, true, saying("gremlins"), nil).Grade)
	got := Judge(exp, true, nil, fmt.Errorf("it did not end within 30s and was killed:\n%w", errors.New("x")))
	require.Equal(t, "the diagnoser gave no diagnosis: it did not end within 30s and was killed:; x", got.Reason)
}
