package registry

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestImagesHaveTheSameDigestsInEveryRun(t *testing.T) {
	img, err := buildImage("hello-world", "latest")
	require.NoError(t, err)
	require.Equal(t, digest("sha256:ed203bfdc29db751d0ba2c182d7167d8e1667503310fe0a36c351d53b4495ddd"), img.manifest.digest)
	require.Len(t, img.blobs, 3)
	for d, content := range img.blobs {
		require.True(t, d.matches(content))
	}
	again, err := buildImage("hello-world", "latest")
	require.NoError(t, err)
	require.Same(t, img, again)
	other, err := buildImage("hello-world", "v2")
	require.NoError(t, err)
	require.NotEqual(t, img.manifest.digest, other.manifest.digest)
}

func TestUpdateReplacesConfiguredImagesAndKeepsPushedOnes(t *testing.T) {
	cfg := testConfig()
	cfg.Repositories = map[string][]string{"app": {"1", "2"}, "gone": {"1"}}
	reg := newRegistry(t, cfg)
	pushed := digestOf("sha256", []byte("x"))
	reg.store.putBlob("mine", pushed, []byte("x"))
	m, bad := parseManifest(typeOCIIndex, digestOf("sha256", []byte(`{"schemaVersion":2}`)), []byte(`{"schemaVersion":2}`))
	require.Nil(t, bad)
	reg.store.putManifest("mine", []string{"1"}, m)
	reg.store.putManifest("app", []string{"2"}, m) // a client pushed over a configured tag

	cfg.Repositories["app"] = []string{"1", "2", "4"}
	require.NoError(t, reg.Update(cfg))
	kept, _ := reg.store.manifest("app", reference{tag: "2"})
	require.Equal(t, m.digest, kept.digest, "a tag that stays configured is not pulled back")

	cfg.Repositories = map[string][]string{"app": {"3"}}
	require.NoError(t, reg.Update(cfg))
	tags, _ := reg.store.tags("app")
	require.Equal(t, []string{"2", "3"}, tags)
	_, known := reg.store.tags("gone")
	require.False(t, known)
	require.Equal(t, []string{"app", "mine"}, reg.store.catalog())
	_, ok := reg.store.blob("mine", pushed)
	require.True(t, ok)

	img, err := buildImage("gone", "1")
	require.NoError(t, err)
	for d := range img.blobs {
		_, ok := reg.store.content(d)
		require.False(t, ok, "content that nobody holds is forgotten")
	}
}

func TestConfigurationsThatCannotBeServedAreRefused(t *testing.T) {
	for message, change := range map[string]func(*Config){
		"the registry has no name":               func(c *Config) { c.Name = "" },
		"the registry has no region":             func(c *Config) { c.Regions = nil },
		"a region has no name":                   func(c *Config) { c.Regions[0].Name = "" },
		"has no storage account":                 func(c *Config) { c.Regions[0].Storage, c.DataEndpoints = "", false },
		`"Hello" is not a repository name`:       func(c *Config) { c.Repositories = map[string][]string{"Hello": nil} },
		`":" in repository "hello" is not a tag`: func(c *Config) { c.Repositories = map[string][]string{"hello": {":"}} },
	} {
		cfg := testConfig()
		change(&cfg)
		_, err := New(cfg)
		require.ErrorContains(t, err, message)
	}
	cfg := testConfig()
	cfg.LoginServer, cfg.Repositories = "", map[string][]string{}
	reg := newRegistry(t, cfg)
	require.Equal(t, loginName, reg.config().LoginServer)
	require.Empty(t, reg.store.catalog(), "an empty map means no images")
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		if _, err := New(testConfig()); err != nil {
			b.Fatal(err)
		}
	}
}
