package topology

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write golden files anew")

func TestTheCommittedSchemaIsThatOfTheTypes(t *testing.T) {
	got, err := JSONSchema(".")
	require.NoError(t, err)
	file := filepath.Join("..", "..", "docs", "scenario.schema.json")
	if *update {
		require.NoError(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "run go test ./harness/topology -run Schema -update")
}
