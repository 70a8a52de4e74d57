package diagnoser

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/diagnoser/probe"
	"github.com/acrlab/acrlab/diagnosis"
)

func TestATargetThatIsNoneIsAnError(t *testing.T) {
	_, err := Diagnose(t.Context(), nil, "https://", Options{})
	require.Error(t, err)
}

func TestAMissingInventoryIsNamed(t *testing.T) {
	d := compose(&probe.Report{Target: probe.Target{Host: "myregistry.azurecr.io"}}, nil, "left out on request")
	require.Equal(t, diagnosis.Schema, d.Schema)
	require.False(t, d.Healthy)
	require.NotNil(t, d.Findings, "JSON shows an empty list")
	require.Contains(t, d.NotChecked, diagnosis.Omission{Check: "Azure Resource Manager", Because: "left out on request"})
	require.Equal(t, 2, ExitCode(d))
}

func TestTheTenantIsReadFromTheToken(t *testing.T) {
	tenant, err := tenantOf("e30.eyJ0aWQiOiJ0ZW5hbnQtMSJ9.sig")
	require.NoError(t, err)
	require.Equal(t, "tenant-1", tenant)
	for _, bad := range []string{"", "a.b", "a.!.c", "a.e30x.c"} {
		_, err := tenantOf(bad)
		require.Error(t, err, bad)
	}
}
