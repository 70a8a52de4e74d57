package host

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// entered marks the environment of a program that EnterNamespace has started
// again, by the namespace's identity.
const entered = "ACRLAB_ENTERED_NETNS"

// EnterNamespace makes the whole process run in a network namespace: that of
// netnsPath (a file such as /run/netns/x or /proc/1/ns/net) or, if that is
// empty, that of process pid. With neither it does nothing.
//
// A Go program cannot change the namespace of all its threads. So one locked
// thread enters, and executes the program again with the same arguments: the
// new image starts from that thread and so does every thread of it. On success
// the call does not return, except in the new image, where it finds itself
// inside and returns nil.
//
// It needs CAP_SYS_ADMIN.
func EnterNamespace(netnsPath string, pid int) error {
	path := netnsPath
	switch {
	case path == "" && pid == 0:
		return nil
	case path == "" && pid < 0:
		return fmt.Errorf("process %d: a process id is positive", pid)
	case path == "":
		path = "/proc/" + strconv.Itoa(pid) + "/ns/net"
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening the network namespace %s: %w", path, err)
	}
	defer unix.Close(fd)
	var want unix.Stat_t
	if err := unix.Fstat(fd, &want); err != nil {
		return fmt.Errorf("reading the identity of the network namespace %s: %w", path, err)
	}
	if is, err := inNamespace(want); err != nil {
		return err
	} else if is {
		return nil
	}
	mark := fmt.Sprintf("%d:%d", want.Dev, want.Ino)
	if os.Getenv(entered) == mark {
		return fmt.Errorf("entering the network namespace %s: started again and still outside", path)
	}

	runtime.LockOSThread() // and stay: after setns this thread must serve nobody else
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread() // nothing changed
		return fmt.Errorf("entering the network namespace %s (this takes root or CAP_SYS_ADMIN): %w", path, err)
	}
	env := []string{entered + "=" + mark}
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, entered+"=") {
			env = append(env, kv)
		}
	}
	err = unix.Exec("/proc/self/exe", os.Args, env)
	return fmt.Errorf("starting again inside the network namespace %s: %w", path, err)
}

func inNamespace(want unix.Stat_t) (bool, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var own unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &own); err != nil {
		return false, fmt.Errorf("reading the identity of the own network namespace: %w", err)
	}
	return own.Dev == want.Dev && own.Ino == want.Ino, nil
}
