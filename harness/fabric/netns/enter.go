//go:build linux

package netns

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// forwarded are the signals that are handed on to the program inside.
var forwarded = []os.Signal{
	syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2,
}

// message is what processes inside tell the one outside.
type message struct {
	// Ready: the namespaces are set up and the program runs.
	Ready bool `json:"ready,omitempty"`
	// Failed and Errno: setting up failed; what was being done.
	Failed string        `json:"failed,omitempty"`
	Errno  syscall.Errno `json:"errno,omitempty"`
	// Foreground asks to make the caller's process group the terminal's
	// foreground group again. Only a process of the outer PID namespace can
	// name that group.
	Foreground bool `json:"foreground,omitempty"`
}

var enterOnce = sync.OnceValue(func() error {
	if Inside() {
		return nil
	}
	code, err := reexec(roleInit)
	if err != nil {
		return err
	}
	os.Exit(code)
	return nil
})

// enterError is what Enter returned, without entering.
func enterError() error {
	if Inside() {
		return nil
	}
	return enterOnce()
}

// Enter starts this program again, with the same arguments, in new namespaces,
// waits for it and exits with its exit code. Standard input and output and
// other inherited descriptors are passed through, signals are forwarded, and
// when this process dies, however it dies, all inside die too. Enter returns
// nil in the process inside, and an [*Unavailable] if the kernel refuses.
//
// Call it before anything that must happen once: all before it happens twice.
func Enter() error { return enterOnce() }

// reexec starts role as process 1 of new namespaces and waits for it.
func reexec(role string) (exitCode int, err error) {
	// The kernel sends the parent-death signal when the starting thread ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("making the control socket: %w", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return 0, fmt.Errorf("making the control socket non-blocking: %w", err)
	}
	control := os.NewFile(uintptr(fds[0]), "control socket")
	defer control.Close()
	// No close-on-exec: the number is in the marker, so that descriptors which
	// the caller passed to this program keep theirs.
	if _, err := unix.FcntlInt(uintptr(fds[1]), unix.F_SETFD, 0); err != nil {
		unix.Close(fds[1])
		return 0, fmt.Errorf("passing on the control socket: %w", err)
	}

	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)
	defer signal.Stop(signals)

	proc, err := os.StartProcess("/proc/self/exe", os.Args, &os.ProcAttr{
		Env:   withMarker(os.Environ(), marker{role: role, fd: fds[1]}),
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys:   newNamespaces(),
	})
	unix.Close(fds[1])
	if err != nil {
		return 0, explain("this user may not make namespaces", err)
	}
	first, err := receive(control)
	if err != nil || !first.Ready {
		_, _ = proc.Wait()
		if first.Failed != "" {
			return 0, explain(first.Failed+" is refused", first.Errno)
		}
		return 0, explain("process 1 of the new namespaces ended before it was ready", nil)
	}
	go serveControl(control)
	go func() {
		for s := range signals {
			if !fromTerminal(s) {
				_ = proc.Signal(s)
			}
		}
	}()
	state, err := proc.Wait()
	takeForeground()
	if err != nil {
		return 0, fmt.Errorf("waiting for the program inside: %w", err)
	}
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return state.ExitCode(), nil
}

// newNamespaces are the attributes of process 1. Without privilege it gets a
// user namespace in which the caller is root and nobody else exists.
func newNamespaces() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL,
	}
	if !privileged() {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return attr
}

// privileged tells whether namespaces can be made without a user namespace.
func privileged() bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return false
	}
	has := func(c uint) bool { return data[c/32].Effective&(1<<(c%32)) != 0 }
	return os.Geteuid() == 0 && has(unix.CAP_SYS_ADMIN) && has(unix.CAP_NET_ADMIN)
}

func receive(r io.Reader) (message, error) {
	var m message
	buf := make([]byte, 64<<10)
	n, err := r.Read(buf)
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(buf[:n], &m)
}

func send(fd int, m message) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return unix.Send(fd, b, unix.MSG_NOSIGNAL)
}

// serveControl answers the processes inside until they are gone.
func serveControl(control *os.File) {
	for {
		m, err := receive(control)
		switch {
		case err == nil && m.Foreground:
			takeForeground()
		case err == nil:
		case errors.Is(err, io.EOF), errors.Is(err, os.ErrClosed), errors.Is(err, syscall.ECONNRESET):
			return
		}
	}
}

// fromTerminal tells whether a signal is one that the terminal has sent to the
// whole process group, the program inside included: it must not get it twice.
func fromTerminal(s os.Signal) bool {
	if s != syscall.SIGINT && s != syscall.SIGQUIT {
		return false
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	defer tty.Close()
	front, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && front == unix.Getpgrp()
}

// takeForeground makes this process's group the foreground group of its
// terminal, if it has one and the present foreground group is one that a
// program inside has left behind.
func takeForeground() {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return
	}
	defer tty.Close()
	front, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	if err != nil || front == unix.Getpgrp() || unix.Kill(-front, 0) == nil {
		return // ours already, or of a living job
	}
	// A background process that does this is stopped by SIGTTOU unless the
	// signal is blocked.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var block, before unix.Sigset_t
	block.Val[0] = 1 << (uint(unix.SIGTTOU) - 1)
	if unix.PthreadSigmask(unix.SIG_BLOCK, &block, &before) != nil {
		return
	}
	_ = unix.IoctlSetPointerInt(int(tty.Fd()), unix.TIOCSPGRP, unix.Getpgrp())
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
}
