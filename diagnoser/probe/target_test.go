package probe

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseTarget(t *testing.T) {
	digest := "sha256:" + strings.Repeat("ab", 32)
	for in, want := range map[string]Target{
		"myregistry":                                {Host: "myregistry.azurecr.io", Suffix: "azurecr.io"},
		"MyRegistry.azurecr.io":                     {Host: "myregistry.azurecr.io", Suffix: "azurecr.io"},
		"https://myregistry.azurecr.io":             {Host: "myregistry.azurecr.io", Suffix: "azurecr.io"},
		"https://myregistry.azurecr.io/v2/":         {Host: "myregistry.azurecr.io", Suffix: "azurecr.io"},
		"myregistry.azurecr.io.":                    {Host: "myregistry.azurecr.io", Suffix: "azurecr.io"},
		"myregistry.azurecr.io:443/a":               {Host: "myregistry.azurecr.io", Repository: "a", Suffix: "azurecr.io"},
		"myregistry.azurecr.us/a/b":                 {Host: "myregistry.azurecr.us", Repository: "a/b", Suffix: "azurecr.us"},
		"myregistry.azurecr.cn/a:v1.0":              {Host: "myregistry.azurecr.cn", Repository: "a", Reference: "v1.0", Suffix: "azurecr.cn"},
		"myregistry.azurecr.io/a@" + digest:         {Host: "myregistry.azurecr.io", Repository: "a", Reference: digest, Suffix: "azurecr.io"},
		"myregistry.azurecr.io/a:v1@" + digest:      {Host: "myregistry.azurecr.io", Repository: "a", Reference: digest, Suffix: "azurecr.io"},
		"agentic-dad4auhga8feekaq.azurecr.io":       {Host: "agentic-dad4auhga8feekaq.azurecr.io", Suffix: "azurecr.io"},
		"myregistry.eastus.geo.azurecr.io":          {Host: "myregistry.eastus.geo.azurecr.io", Suffix: "azurecr.io"},
		"registry.corp.example/hello":               {Host: "registry.corp.example", Repository: "hello"},
		" myregistry.azurecr.io/hello-world:latest": {Host: "myregistry.azurecr.io", Repository: "hello-world", Reference: "latest", Suffix: "azurecr.io"},
	} {
		got, err := ParseTarget(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
}

func TestParseTargetRefusesWhatIsNoRegistry(t *testing.T) {
	for _, in := range []string{
		"", " ", "/", "abc", "my_registry", "ftp://myregistry.azurecr.io", "10.0.0.4", "[::1]", "myregistry.azurecr.io:5000/a",
		"myregistry:v1", "myregistry..azurecr.io", "myregistry.azurecr.io/UPPER", "myregistry.azurecr.io/a:", "myregistry.azurecr.io/a@sha256:12",
		"myregistry.azurecr.io/a/../b", "-myregistry.azurecr.io", "my registry", "myregistry.azurecr.io/a?b", strings.Repeat("a.", 200) + "io",
		"https://", "https:///a",
	} {
		_, err := ParseTarget(in)
		require.Error(t, err, in)
		require.Contains(t, err.Error(), "registry", in)
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{"myregistry", "https://myregistry.azurecr.io/v2/", "myregistry.azurecr.io/a:b@sha256:00", "[::1]:443/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseTarget(s)
		if err != nil {
			return
		}
		// What was read is read again the same.
		again := got.Host
		if got.Repository != "" {
			again += "/" + got.Repository
		}
		switch {
		case strings.Contains(got.Reference, ":"):
			again += "@" + got.Reference
		case got.Reference != "":
			again += ":" + got.Reference
		}
		twice, err := ParseTarget(again)
		require.NoError(t, err)
		require.Equal(t, got, twice)
	})
}
