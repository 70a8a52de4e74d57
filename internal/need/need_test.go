package need

import (
	"testing"

	"github.com/stretchr/testify/require"
)

type told struct{ skipped, failed bool }

func (*told) Helper()        {}
func (t *told) Skip(...any)  { t.skipped = true }
func (t *told) Fatal(...any) { t.failed = true }

func TestAMissingComponentSkipsUnlessItIsRequired(t *testing.T) {
	for _, c := range []struct {
		name, required, missing string
		want                    told
	}{
		{"there", "docker", "", told{}},
		{"missing", "", "not installed", told{skipped: true}},
		{"missing, another required", "dockers,netns", "not installed", told{skipped: true}},
		{"missing and required", "netns,docker", "not installed", told{failed: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(Variable, c.required)
			var got told
			Component(&got, "docker", c.missing)
			require.Equal(t, c.want, got)
		})
	}
}
