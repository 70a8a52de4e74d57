//go:build linux

package netns

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// markerVariable tells a process that was started again which part it plays:
// "init:FD" or "check:FD" for process 1 of the new namespaces, "inside:FD:INODE"
// for the program itself. FD is the control socket, INODE the network namespace.
const markerVariable = "ACRLAB_NETNS"

// shimName is the argv[0] of the shim that carries a program onto a host.
const shimName = "acrlab-host"

const (
	roleInit   = "init"
	roleCheck  = "check"
	roleInside = "inside"
)

// Main must be the first statement of main and of TestMain. In a process that
// the fabric started to work for it (process 1 of the namespaces, the shim
// before a program on a host) Main does that work and exits. In every other
// process it returns at once.
func Main() {
	if len(os.Args) > 0 && os.Args[0] == shimName {
		os.Exit(runShim())
	}
	m := parseMarker(os.Getenv(markerVariable))
	switch m.role {
	case roleInit, roleCheck:
		os.Exit(runInit(m))
	case roleInside:
		insideOnce()
	}
}

// Inside tells whether this process is inside the fabric's namespaces.
func Inside() bool { return insideOnce() >= 0 }

// insideOnce gives the control socket's descriptor, or -1 outside. The marker
// counts only in the network namespace it was made for, so that a program which
// inherits it elsewhere is not fooled.
var insideOnce = sync.OnceValue(func() int {
	m := parseMarker(os.Getenv(markerVariable))
	if m.role != roleInside {
		return -1
	}
	ino, err := netnsInode()
	if err != nil || ino != m.inode {
		return -1
	}
	unix.CloseOnExec(m.fd)
	return m.fd
})

type marker struct {
	role  string
	fd    int
	inode uint64
}

func (m marker) String() string {
	return fmt.Sprintf("%s=%s:%d:%d", markerVariable, m.role, m.fd, m.inode)
}

// parseMarker gives the zero marker for anything that is not one.
func parseMarker(s string) marker {
	parts := strings.Split(s, ":")
	if len(parts) != 3 {
		return marker{}
	}
	fd, err := strconv.Atoi(parts[1])
	if err != nil || fd < 3 {
		return marker{}
	}
	ino, err := strconv.ParseUint(parts[2], 10, 64)
	if err != nil {
		return marker{}
	}
	return marker{role: parts[0], fd: fd, inode: ino}
}

// withMarker replaces the marker in an environment.
func withMarker(env []string, m marker) []string {
	out := make([]string, 0, len(env)+1)
	for _, kv := range env {
		if !strings.HasPrefix(kv, markerVariable+"=") {
			out = append(out, kv)
		}
	}
	return append(out, m.String())
}

// netnsInode identifies the network namespace of the calling thread.
func netnsInode() (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(threadNetns, &st); err != nil {
		return 0, fmt.Errorf("reading %s: %w", threadNetns, err)
	}
	return st.Ino, nil
}
