//go:build linux

package netns

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// threadNetns is the network namespace of the calling thread. It names no
// process id, since /proc may show another PID namespace than ours.
const threadNetns = "/proc/thread-self/ns/net"

// visit is the stay of one thread in a foreign network namespace.
type visit struct {
	home int
	away bool
}

// enterNetns locks the goroutine to its thread and moves that to ns. leave must
// be called on the same goroutine; if it fails the goroutine must end, still
// locked, so that the runtime destroys the thread.
func enterNetns(home, ns int) (*visit, error) {
	runtime.LockOSThread()
	if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("entering the network namespace: %w", err)
	}
	return &visit{home: home, away: true}, nil
}

func (v *visit) leave() error {
	if !v.away {
		return nil
	}
	if err := unix.Setns(v.home, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("leaving the network namespace: %w", err)
	}
	v.away = false
	runtime.UnlockOSThread()
	return nil
}

// within runs f on a thread in ns. f must not hand work to other goroutines:
// they run elsewhere. Sockets and files of /proc/sys/net that f opens belong to
// ns for good.
func within(home, ns int, f func() error) error {
	done := make(chan error, 1)
	go func() {
		v, err := enterNetns(home, ns)
		if err != nil {
			done <- err
			return
		}
		err = f()
		if back := v.leave(); back != nil && err == nil {
			err = back
		}
		done <- err
	}()
	return <-done
}

// ownThread runs f on a goroutine whose thread is never used again, and never
// is the process's first one: that one could not end, and /proc/self is it.
func ownThread(f func()) {
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// Holding the first thread, another goroutine gets another.
			started := make(chan struct{})
			go func() {
				runtime.LockOSThread()
				close(started)
				f()
			}()
			<-started
			runtime.UnlockOSThread()
			return
		}
		f()
	}()
}
