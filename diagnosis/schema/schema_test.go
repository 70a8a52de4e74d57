package schema

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write golden files anew")

func TestTheCommittedSchemaIsThatOfTheTypes(t *testing.T) {
	got, err := JSON("..")
	require.NoError(t, err)
	file := filepath.Join("..", "..", "docs", "diagnosis.schema.json")
	if *update {
		require.NoError(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "run go test ./diagnosis/schema -update")
}
