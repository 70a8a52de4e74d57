package registry

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPushesPullsAndUpdatesDoNotDisturbEachOther(t *testing.T) {
	cfg := testConfig()
	reg := newRegistry(t, cfg)
	h := reg.Handler(testFront())
	admin := basic("admin", "secret")
	at := func(path string) string { return "https://" + loginName + path }
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 20 {
				content := fmt.Sprintf("%d/%d", worker, i)
				d := digestOf("sha512", []byte(content))
				name := fmt.Sprintf("shared-%d", i%3)
				resp := call(h, "POST", at("/v2/"+name+"/blobs/uploads/?digest="+string(d)), strings.NewReader(content), admin)
				assert.Equal(t, 201, resp.StatusCode)
				assert.Equal(t, 200, call(h, "HEAD", at(resp.Header.Get("Location")), nil, admin).StatusCode)
				assert.Equal(t, 200, call(h, "GET", at("/v2/_catalog"), nil, admin).StatusCode)
				assert.Equal(t, 202, call(h, "DELETE", at("/v2/"+name+"/blobs/"+string(d)), nil, admin).StatusCode)
			}
		})
	}
	wg.Go(func() {
		for i := range 40 {
			next := cfg
			next.Repositories = map[string][]string{"app": {fmt.Sprint(i % 5)}}
			assert.NoError(t, reg.Update(next))
		}
	})
	wg.Wait()
	tags, known := reg.store.tags("app")
	require.True(t, known)
	require.Equal(t, []string{"4"}, tags)
}
