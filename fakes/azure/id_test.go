package azure

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseID(t *testing.T) {
	tests := map[string]struct {
		id, kind, name, parent string
	}{
		"subscription":   {"/subscriptions/s", TypeSubscription, "s", ""},
		"resource group": {"/subscriptions/s/resourceGroups/g", TypeResourceGroup, "g", ""},
		"provider":       {"/subscriptions/s/providers/Microsoft.Network", TypeProvider, "Microsoft.Network", ""},
		"resource":       {"/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/hub", "Microsoft.Network/virtualNetworks", "hub", ""},
		"child": {"/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/hub/subnets/default", "Microsoft.Network/virtualNetworks/subnets", "default",
			"/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/hub"},
		"record set with dots": {"/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/privateDnsZones/privatelink.azurecr.io/A/r.eastus.data", "Microsoft.Network/privateDnsZones/A", "r.eastus.data",
			"/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/privateDnsZones/privatelink.azurecr.io"},
		"record set at the apex": {"/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/privateDnsZones/z.example/A/@", "Microsoft.Network/privateDnsZones/A", "@",
			"/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/privateDnsZones/z.example"},
		"lock on a resource": {"/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/hub/providers/Microsoft.Authorization/locks/l", "Microsoft.Authorization/locks", "l", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			id, err := ParseID(tc.id)
			require.NoError(t, err)
			require.Equal(t, tc.id, id.String())
			require.Equal(t, tc.kind, id.Type())
			require.Equal(t, tc.name, id.Name())
			parent, ok := id.Parent()
			require.Equal(t, tc.parent != "", ok)
			if ok {
				require.Equal(t, tc.parent, parent.String())
			}
		})
	}
	require.Equal(t, mustID(t, "/Subscriptions/S/resourcegroups/G").Key(), mustID(t, "/subscriptions/s/resourceGroups/g").Key())
}

func TestParseIDRefuses(t *testing.T) {
	for name, id := range map[string]string{
		"nothing":             "",
		"no slash":            "subscriptions/s",
		"no subscription":     "/subscriptions",
		"another root":        "/providers/Microsoft.Network/virtualNetworks/v",
		"parent directory":    "/subscriptions/s/resourceGroups/../providers/Microsoft.Network/virtualNetworks/v",
		"this directory":      "/subscriptions/./resourceGroups/g",
		"empty segment":       "/subscriptions/s//resourceGroups/g",
		"trailing slash":      "/subscriptions/s/",
		"escaped slash":       "/subscriptions/s%2FresourceGroups/g",
		"query":               "/subscriptions/s?x=1",
		"backslash":           `/subscriptions/s\..\t`,
		"line break":          "/subscriptions/s\r\nX: y",
		"type without name":   "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks",
		"group without name":  "/subscriptions/s/resourceGroups",
		"other keyword":       "/subscriptions/s/resources",
		"a very long segment": "/subscriptions/" + strings.Repeat("a", 300),
		"a very long id":      "/subscriptions/s" + strings.Repeat("/a", 2000),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseID(id)
			require.Error(t, err)
		})
	}
}

func mustID(t testing.TB, s string) ID {
	t.Helper()
	id, err := ParseID(s)
	require.NoError(t, err)
	return id
}

// FuzzParseID: what is accepted can be spelt again, and means the same.
func FuzzParseID(f *testing.F) {
	f.Add("/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/hub/subnets/default")
	f.Add("/subscriptions/s/providers/Microsoft.Network/providers/x")
	f.Add("/subscriptions/s/resourceGroups/../x")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		if err != nil {
			return
		}
		again, err := ParseID(id.String())
		if err != nil || again.Key() != id.Key() || again.Type() != id.Type() {
			t.Fatalf("%q became %q: %v", s, id, err)
		}
		for seg := range strings.SplitSeq(id.String(), "/") {
			if seg == ".." || seg == "." {
				t.Fatalf("%q holds a path trick", id)
			}
		}
	})
}
