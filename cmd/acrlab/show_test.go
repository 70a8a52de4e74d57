package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/diagnosis"
)

// beyond are causes that no name, packet, proxy or network rule shows: what
// dies of them dies later, and show must not claim a place.
var beyond = []diagnosis.Cause{
	diagnosis.ClockSkew, diagnosis.CredentialsOrRBAC, diagnosis.Throttled429, diagnosis.MTUBlackhole,
	diagnosis.MCRBlocked, diagnosis.EntraBlocked, // other names than those of the pull
	// a change in Azure that is refused; the pull itself is not concerned
	diagnosis.ServiceEndpointAndPEBoth, diagnosis.PEOtherTenantOrRP, diagnosis.RPNotRegistered, diagnosis.PermissionMissing,
	diagnosis.ResourceLock, diagnosis.PolicyDenied, diagnosis.SKUNotPremium, diagnosis.RuleLimitReached,
	diagnosis.PESubnetExhausted, diagnosis.PEStaticIPReplica,
}

// Of every broken scenario of the catalogue the picture says where the pull
// dies, of every healthy network that it does not.
func TestThePictureSaysWhereThePullDies(t *testing.T) {
	list, err := catalogue{}.all()
	require.NoError(t, err)
	require.NotEmpty(t, list)
	for _, s := range list {
		t.Run(s.ID, func(t *testing.T) {
			p, err := draw(s)
			require.NoError(t, err)
			require.Empty(t, deaths(p.Healthy), "the healthy network")
			var out bytes.Buffer
			require.NoError(t, p.write(&out, false))
			if s.IsHealthy() || visibleNowhere(s.Expect.Causes) {
				require.Empty(t, deaths(p.Broken))
				require.NotContains(t, out.String(), "✗")
				return
			}
			found := deaths(p.Broken)
			require.NotEmpty(t, found)
			_, broken, ok := strings.Cut(out.String(), "With the fault")
			require.True(t, ok)
			for _, d := range found {
				require.Contains(t, broken, "✗ dies at "+d)
			}
		})
	}
}

func visibleNowhere(causes []diagnosis.Cause) bool {
	for _, c := range causes {
		for _, b := range beyond {
			if c == b {
				return true
			}
		}
	}
	return false
}

func deaths(list []journey) []string {
	var out []string
	for _, j := range list {
		if d := j.Dies; d != nil {
			out = append(out, d.Host+" ("+string(d.Stage)+"): "+d.Why)
		}
	}
	return out
}
