package azure

import (
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAdmitSeesTheStateAsItWouldBecome(t *testing.T) {
	s := testStore(t)
	link := zoneID + "/virtualNetworkLinks/hub"
	calls := 0
	s.Admit(func(next State) error {
		calls++
		_, there := next.Resources[mustID(t, link).Key()]
		require.False(t, there)
		_, err := s.Get(link)
		require.NoError(t, err, "the store still holds the old state")
		for _, r := range next.Resources {
			for i := range r.Properties {
				r.Properties[i] = 'X' // what the check gets is its own
			}
		}
		return nil
	})
	_, err := s.Delete(link)
	require.NoError(t, err)
	require.Equal(t, 1, calls)
	_, err = s.Get(hub + "/subnets/clients")
	require.NoError(t, err)
	_, err = s.Delete(link)
	require.NoError(t, err)
	require.Equal(t, 1, calls, "nothing was written")
}

func TestAnUnadmittedWriteChangesNothing(t *testing.T) {
	s := testStore(t)
	before, revision := s.Snapshot(), s.Revision()
	s.Admit(func(State) error { return errors.New("no route leads there") })
	writes := map[string]func() error{
		"put":            func() error { _, _, err := s.Put(Resource{ID: network + "routeTables/r"}); return err },
		"put of a child": func() error { _, _, err := s.Put(Resource{ID: hub + "/subnets/x"}); return err },
		"patch":          func() error { _, err := s.Patch(hub, []byte(`{"tags":{"a":"b"}}`)); return err },
		"delete":         func() error { _, err := s.Delete(endpoint); return err },
	}
	for name, write := range writes {
		err := write()
		requireCode(t, err, http.StatusBadRequest, "InvalidRequest")
		require.ErrorContains(t, err, "no route leads there", name)
		require.Equal(t, before, s.Snapshot(), name)
		require.Equal(t, revision, s.Revision(), name)
	}
	s.Admit(func(State) error { return errorf(http.StatusConflict, "AnotherOperationInProgress", "wait") })
	requireCode(t, writes["delete"](), http.StatusConflict, "AnotherOperationInProgress")
	s.Admit(nil)
	for name, write := range writes {
		require.NoError(t, write(), name)
	}
}
