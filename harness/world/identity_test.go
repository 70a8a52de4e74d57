package world_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/harness/state"
	"github.com/acrlab/acrlab/harness/world"
)

// options are those of an SDK on the client host.
func (l *lab) options(t *testing.T) azcore.ClientOptions {
	tr := l.http.Transport.(*http.Transport).Clone()
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if host, _, err := net.SplitHostPort(addr); err == nil && net.ParseIP(host) != nil {
			return l.Dial(ctx, "client", network, addr)
		}
		return l.dial(ctx, network, addr)
	}
	t.Cleanup(tr.CloseIdleConnections)
	return azcore.ClientOptions{Transport: &http.Client{Transport: tr}, Retry: policy.RetryOptions{MaxRetries: -1}}
}

func (l *lab) managedIdentity(t *testing.T, scope string) (string, error) {
	t.Helper()
	cred, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ClientOptions: l.options(t)})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
	return got.Token, err
}

// ask sends a request with the lab's token and decodes the answer.
func (l *lab) ask(t *testing.T, method, url, token, body string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := l.http.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var m map[string]any
	require.NoError(t, json.Unmarshal(raw, &m), string(raw))
	return resp.StatusCode, m
}

func TestAManagedIdentityReadsAzure(t *testing.T) {
	top := base(t, "private-endpoint")
	top.Site.Identity = "system"
	l := open(t, top, world.Options{})
	token, err := l.managedIdentity(t, "https://management.azure.com/.default")
	require.NoError(t, err)
	status, m := l.ask(t, "GET", "https://management.azure.com"+state.ID(state.TypeRegistry, "myregistry")+"?api-version=2023-07-01", token, "")
	require.Equal(t, 200, status, "%v", m)
	require.Equal(t, "myregistry", m["name"])

	token, err = l.managedIdentity(t, "https://graph.microsoft.com/.default")
	require.NoError(t, err)
	status, m = l.ask(t, "GET", "https://graph.microsoft.com/v1.0/servicePrincipals?$filter=appId+eq+'"+state.ApplicationID+"'", token, "")
	require.Equal(t, 200, status, "%v", m)
	require.Len(t, m["value"], 1)
}

func TestAClientWithoutIdentityHasNoAccess(t *testing.T) {
	l := open(t, base(t, "private-endpoint"), world.Options{})
	// Of a scope of its own: azidentity keeps a system-assigned identity's tokens.
	_, err := l.managedIdentity(t, "https://vault.azure.net/.default")
	require.ErrorContains(t, err, "Identity not found")
}

func TestOutsideAzureThereIsNoMetadataService(t *testing.T) {
	l := open(t, base(t, "behind-firewall"), world.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	conn, err := l.Dial(ctx, "client", "tcp", "169.254.169.254:80")
	if err == nil {
		require.NoError(t, conn.Close())
	}
	require.Error(t, err)
}

// A diagnostic setting that is made live fills the workspace's tables from then on.
func TestADiagnosticSettingShowsPullsInTheLogs(t *testing.T) {
	l := open(t, base(t, "public"), world.Options{})
	l.signIn(t)
	ws := state.ID(state.TypeWorkspace, "logs")
	code, out := l.pull(t)
	require.Zero(t, code, out)
	put := func(id, version, body string) {
		status, m := l.ask(t, "PUT", "https://management.azure.com"+id+"?api-version="+version, l.token, body)
		require.Less(t, status, 300, "%v", m)
		require.NoError(t, l.Err())
	}
	put(ws, "2023-09-01", `{"location":"eastus","properties":{"customerId":"99999999-0000-4000-8000-000000000009"}}`)
	put(state.ID(state.TypeRegistry, "myregistry")+"/providers/Microsoft.Insights/diagnosticSettings/all", "2021-05-01-preview",
		`{"properties":{"workspaceId":"`+ws+`","logs":[{"categoryGroup":"allLogs","enabled":true}]}}`)
	_, shown := l.ask(t, "GET", "https://management.azure.com"+ws+"?api-version=2023-09-01", l.token, "")
	workspace := shown["properties"].(map[string]any)["customerId"].(string)
	require.NotEmpty(t, workspace)
	c := l.AzureCredentials()
	cred, err := azidentity.NewClientSecretCredential(c["AZURE_TENANT_ID"], c["AZURE_CLIENT_ID"], c["AZURE_CLIENT_SECRET"],
		&azidentity.ClientSecretCredentialOptions{ClientOptions: l.options(t)})
	require.NoError(t, err)
	token, err := cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://api.loganalytics.io/.default"}})
	require.NoError(t, err)
	rows := func(query string) []any {
		status, m := l.ask(t, "POST", "https://api.loganalytics.io/v1/workspaces/"+workspace+"/query", token.Token, `{"query":"`+query+`"}`)
		require.Equal(t, 200, status, "%v", m)
		return m["tables"].([]any)[0].(map[string]any)["rows"].([]any)
	}
	require.Empty(t, rows("ContainerRegistryRepositoryEvents"), "what was before the setting is not logged")
	code, out = l.pull(t)
	require.Zero(t, code, out)
	got := rows("ContainerRegistryRepositoryEvents | where OperationName == 'Pull' | project Repository, ResultDescription, Identity | distinct *")
	require.Equal(t, []any{[]any{"hello-world", "200", state.TokenName}}, got)
	require.NotEmpty(t, rows("ContainerRegistryLoginEvents | where ResultDescription == '200' and isnotempty(CallerIpAddress)"))
}
