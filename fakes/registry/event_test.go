package registry

import (
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// sink keeps events.
type sink struct {
	mu   sync.Mutex
	list []Event
}

func (s *sink) Record(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, e)
}

func (s *sink) take() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.list
	s.list = nil
	return list
}

func TestEventsSayWhoDidWhat(t *testing.T) {
	var s sink
	h := newRegistry(t, testConfig(), WithEvents(&s)).Handler(testFront())
	one := func() Event {
		t.Helper()
		list := s.take()
		require.Len(t, list, 1)
		return list[0]
	}
	token := accessToken(t, h, "repository:hello-world:pull,push,delete")
	e := one()
	require.Equal(t, OperationLogin, e.Operation)
	require.Equal(t, "admin", e.Identity)
	require.Equal(t, 200, e.Status)
	require.Equal(t, "203.0.113.7", e.Caller.String())
	require.Equal(t, loginName, e.LoginServer)
	require.NotEmpty(t, e.Correlation)
	require.False(t, e.Time.IsZero())

	require.Equal(t, 401, call(h, "GET", "https://"+loginName+"/oauth2/token?"+url.Values{"service": {loginName}}.Encode(), nil, basic("stranger", "x")).StatusCode)
	e = one()
	require.Equal(t, 401, e.Status)
	require.Equal(t, "stranger", e.Identity, "who it claimed to be")

	pulled := call(h, "GET", "https://"+loginName+"/v2/hello-world/manifests/latest", nil, bearer(token), "User-Agent: docker/27")
	body := bodyOf(t, pulled)
	e = one()
	require.Equal(t, Event{Operation: OperationPull, Repository: "hello-world", Tag: "latest", Digest: pulled.Header.Get("Docker-Content-Digest"),
		MediaType: pulled.Header.Get("Content-Type"), Size: int64(len(body)), Status: 200, Identity: "admin", UserAgent: "docker/27", Region: testFront().Region,
		LoginServer: loginName, Caller: e.Caller, Time: e.Time, Duration: e.Duration, Correlation: e.Correlation}, e)

	require.Equal(t, 404, call(h, "GET", "https://"+loginName+"/v2/hello-world/manifests/nope", nil, bearer(token)).StatusCode)
	require.Equal(t, 404, one().Status)
	require.Equal(t, 201, call(h, "PUT", "https://"+loginName+"/v2/hello-world/manifests/v2", strings.NewReader(body), bearer(token), "Content-Type: "+pulled.Header.Get("Content-Type")).StatusCode)
	e = one()
	require.Equal(t, OperationPush, e.Operation)
	require.EqualValues(t, len(body), e.Size)
	require.Equal(t, 202, call(h, "DELETE", "https://"+loginName+"/v2/hello-world/manifests/v2", nil, bearer(token)).StatusCode)
	require.Equal(t, OperationUntag, one().Operation)
	require.Equal(t, 202, call(h, "DELETE", "https://"+loginName+"/v2/hello-world/manifests/"+e.Digest, nil, bearer(token)).StatusCode)
	require.Equal(t, OperationPurge, one().Operation)
}

func TestEventsLeaveOutWhatIsNoEvent(t *testing.T) {
	var s sink
	h := newRegistry(t, testConfig(), WithEvents(&s)).Handler(testFront())
	for _, path := range []string{"/", "/v2/", "/v2/hello-world/manifests/latest", "/v2/hello-world/blobs/sha256:00", "/v2/_catalog"} {
		call(h, "GET", "https://"+loginName+path, nil)
	}
	require.Empty(t, s.take(), "challenges and layers")
}

// An assumption: the service says that its logs show attempts that the network
// rules refused.
func TestRefusedAddressesAreAnEvent(t *testing.T) {
	var s sink
	cfg := testConfig()
	cfg.Public = Access{}
	h := newRegistry(t, cfg, WithEvents(&s)).Handler(testFront())
	require.Equal(t, 403, call(h, "GET", "https://"+loginName+"/v2/hello-world/manifests/latest", nil).StatusCode)
	list := s.take()
	require.Len(t, list, 1)
	require.Equal(t, OperationLogin, list[0].Operation)
	require.Equal(t, 403, list[0].Status)
	require.Empty(t, list[0].Repository)
}

func TestMicrosoftArtifactRegistryNeedsNoToken(t *testing.T) {
	const host = "mcr.microsoft.com"
	reg := newRegistry(t, Config{Name: "mcr", LoginServer: host, Open: true, Public: Access{Default: true},
		Regions: []Region{{Name: "eastus", Storage: "eastus.data.mcr.microsoft.com"}}, Repositories: map[string][]string{"mcr/hello-world": {"latest"}}})
	h := reg.Handler(Front{Registry: "mcr", Region: "eastus", Roles: map[string]Role{host: Login, "eastus.data.mcr.microsoft.com": Storage}})
	get := func(path string, headers ...string) (int, string, string) {
		resp := call(h, "GET", "https://"+host+path, nil, headers...)
		require.Empty(t, resp.Header.Get("Www-Authenticate"), path)
		require.Empty(t, resp.Header.Get("Server"), path)
		require.NotEmpty(t, resp.Header.Get("X-Azure-Ref"), path)
		return resp.StatusCode, resp.Header.Get("Location"), bodyOf(t, resp)
	}
	status, _, _ := get("/v2/")
	require.Equal(t, 200, status)
	status, _, manifest := get("/v2/mcr/hello-world/manifests/latest", "Authorization: Bearer of-another-registry")
	require.Equal(t, 200, status, "credentials that a client sends do not matter")
	for _, path := range []string{"/v2/_catalog", "/v2/mcr/hello-world/tags/list"} {
		status, _, _ = get(path)
		require.Equal(t, 200, status, path)
	}
	digest := manifest[strings.Index(manifest, "sha256:"):][:71]
	status, location, _ := get("/v2/mcr/hello-world/blobs/" + digest)
	require.Equal(t, 307, status)
	u, err := url.Parse(location)
	require.NoError(t, err)
	require.Equal(t, "eastus.data.mcr.microsoft.com", u.Host)
	require.Equal(t, 200, call(h, "GET", location, nil).StatusCode)
	for _, path := range []string{"/", "/oauth2/token", "/acr/v1/_catalog"} {
		status, _, _ = get(path)
		require.Equal(t, 404, status, path)
	}
	for _, method := range []string{"PUT", "DELETE"} {
		require.Equal(t, 405, call(h, method, "https://"+host+"/v2/mcr/hello-world/manifests/latest", strings.NewReader(manifest)).StatusCode, method)
	}
	require.Equal(t, 405, call(h, "POST", "https://"+host+"/v2/mcr/hello-world/blobs/uploads/", nil).StatusCode)
}
