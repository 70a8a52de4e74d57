package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// openInRoot opens a path below another process' root. Symbolic links,
// absolute ones too, are resolved inside that root (openat2(2),
// RESOLVE_IN_ROOT): /etc/resolv.conf is one on most systems.
func openInRoot(root, path string) (*os.File, error) {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", root, err)
	}
	defer unix.Close(dir)
	fd, err := unix.Openat2(dir, path, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		return openRegular(filepath.Join(root, path)) // Linux before 5.6
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s below %s: %w", path, root, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// openRegular does not wait for the writer of a named pipe.
func openRegular(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
}
