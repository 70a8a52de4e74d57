//go:build linux

package netns

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckSucceedsWhereWorldsCanBeBuilt(t *testing.T) {
	Require(t)
	require.NoError(t, Check())
}

func TestUnavailableSaysWhatIsForbiddenAndWhatAllowsIt(t *testing.T) {
	err := explain("this user may not make namespaces", syscall.ENOSPC)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Contains(t, err.Error(), "the limit of namespaces is reached (no space left on device); to allow it: sudo sysctl -w user.max_user_namespaces=15000")
	require.NotContains(t, explain("x", syscall.Errno(0)).Error(), "errno 0")
}

func TestAMarkerCountsOnlyInItsNamespace(t *testing.T) {
	require.Equal(t, marker{role: "inside", fd: 7, inode: 42}, parseMarker("inside:7:42"))
	for _, s := range []string{"", "inside", "inside:x:1", "inside:1:1", "inside:7:-1", "inside:7:1:1"} {
		require.Equal(t, marker{}, parseMarker(s), s)
	}
}
