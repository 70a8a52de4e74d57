package diagnoser

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/diagnosis"
)

var update = flag.Bool("update", false, "write the golden files anew")

func notLinked() *diagnosis.Diagnosis {
	return &diagnosis.Diagnosis{Schema: diagnosis.Schema, Registry: "myregistry.azurecr.io",
		Findings: []diagnosis.Finding{{
			Cause: diagnosis.DNSZoneNotLinked, Certainty: diagnosis.Proven,
			Summary:  "The private DNS zone privatelink.azurecr.io is not linked to virtual network spoke.",
			Evidence: []diagnosis.Evidence{{Probe: "dns", Saw: "Azure DNS 168.63.129.16: myregistry.azurecr.io -> myregistry.privatelink.azurecr.io -> 20.62.128.38 (TTL 10 s)", Means: "the alias says that the registry has a private endpoint; the address is its public one"}},
			Excluded: []diagnosis.Exclusion{{Cause: diagnosis.DNSPrivateZoneMissing, Because: "zone privatelink.azurecr.io exists"}},
			Remedy:   diagnosis.Remedy{Summary: "Link the zone.", Commands: []string{"az network private-dns link vnet create -g rg -z privatelink.azurecr.io -n spoke --virtual-network ID --registration-enabled false"}},
		}},
		Observations: []diagnosis.Observation{{Probe: "egress", Saw: "packets leave this host from 10.0.1.4"}},
	}
}

func TestTextIsWhatAPersonCanActOn(t *testing.T) {
	possible := notLinked()
	possible.Findings[0].Certainty, possible.Findings[0].DecidedBy, possible.Findings[0].Excluded = diagnosis.Possible, "az network private-dns link vnet list", nil
	second := possible.Findings[0]
	second.Cause, second.Summary = diagnosis.DNSPrivateZoneMissing, "There is no private DNS zone privatelink.azurecr.io."
	possible.Findings = append(possible.Findings, second)
	possible.NotChecked = []diagnosis.Omission{{Check: "Azure Resource Manager", Because: "no Azure credentials"}}
	for name, c := range map[string]struct {
		d     *diagnosis.Diagnosis
		color bool
	}{
		"proven":       {notLinked(), false},
		"proven-color": {notLinked(), true},
		"possible":     {possible, false},
		"healthy":      {&diagnosis.Diagnosis{Registry: "myregistry.azurecr.io", Healthy: true}, false},
		"undecided":    {&diagnosis.Diagnosis{Registry: "myregistry.azurecr.io", NotChecked: []diagnosis.Omission{{Check: "layers", Because: "no token"}}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			require.NoError(t, WriteText(&b, c.d, c.color))
			path := filepath.Join("testdata", name+".txt")
			if *update {
				require.NoError(t, os.MkdirAll("testdata", 0o755))
				require.NoError(t, os.WriteFile(path, b.Bytes(), 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(want), b.String())
		})
	}
}

func TestTextHoldsNoSecretsAndNoControlCharacters(t *testing.T) {
	d := notLinked()
	d.Findings[0].Evidence[0].Saw = "GET https://x.blob.core.windows.net/a?sig=SECRETSIG&x=1 by http://joe:SECRETPW@proxy:3128 Authorization: Bearer SECRETTOKEN eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.SECRETJWT \x1b[2J\r"
	var b bytes.Buffer
	require.NoError(t, WriteText(&b, d, true))
	require.NotContains(t, b.String(), "SECRET")
	require.NotContains(t, b.String(), "\x1b[2J")
	redact(d)
	require.NotContains(t, d.Findings[0].Evidence[0].Saw, "SECRET")
	require.Contains(t, d.Findings[0].Evidence[0].Saw, "x=1")
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestTextReportsAFailedWrite(t *testing.T) {
	require.ErrorContains(t, WriteText(full{}, notLinked(), false), "disk full")
}

func TestExitCodes(t *testing.T) {
	require.Equal(t, 0, ExitCode(&diagnosis.Diagnosis{Healthy: true}))
	require.Equal(t, 1, ExitCode(notLinked()))
	require.Equal(t, 2, ExitCode(&diagnosis.Diagnosis{}))
	require.Equal(t, 2, ExitCode(nil))
}
