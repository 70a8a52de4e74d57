//go:build linux

package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// markVariable marks every process that is the harness itself.
const markVariable = "ACRLAB_E2E_MARK"

// Whoever is killed without warning, at whatever moment of a run of the whole
// catalogue, nothing is left: no process, no namespace, no mount.
func TestNothingIsLeftOfAKilledRun(t *testing.T) {
	needsNamespaces(t)
	rounds := 21
	if testing.Short() {
		rounds = 6
	}
	before := mounts(t)
	for i := range rounds {
		victim := []string{"the program that the user started", "process 1 of the namespaces", "the harness inside"}[i%3]
		mark := fmt.Sprintf("%d-%d", os.Getpid(), i)
		cmd := exec.Command(acrlab, "run", "--keep-going", "--parallel", "4")
		cmd.Dir = t.TempDir()
		cmd.Env = append(os.Environ(), markVariable+"="+mark)
		out, err := os.Create(filepath.Join(cmd.Dir, "output"))
		require.NoError(t, err)
		cmd.Stdout, cmd.Stderr = out, out
		require.NoError(t, cmd.Start())
		require.NoError(t, out.Close())
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()

		// Any moment will do, those of the start included.
		delay := time.Duration(rand.Int64N(int64(2 * time.Second)))
		if i%4 == 0 {
			delay /= 20
		}
		pid := cmd.Process.Pid
		for range i % 3 { // down to the victim, which takes a moment to be born
			var inner int
			require.Eventually(t, func() bool { inner = childOf(pid); return inner != 0 }, 10*time.Second, time.Millisecond)
			pid = inner
		}
		if i%2 == 1 { // however slow the machine is: in the middle of the work
			require.Eventually(t, func() bool {
				f := familyOf(t, cmd.Process.Pid)
				defer f.forget()
				return len(f.seen) >= 10
			}, 20*time.Second, 20*time.Millisecond, "the run builds nothing")
			delay /= 20
		}
		<-time.After(delay)
		family := familyOf(t, cmd.Process.Pid)
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself just now
		select {
		case err := <-ended:
			require.Error(t, err, "killed after %s, the run says that all is well", delay)
		case <-time.After(10 * time.Second):
			printed, _ := os.ReadFile(out.Name())
			t.Fatalf("round %d: %s was killed after %s and acrlab goes on:\n%s", i, victim, delay, printed)
		}
		var left []string
		require.Eventually(t, func() bool { left = family.alive(mark); return len(left) == 0 }, 10*time.Second, 5*time.Millisecond,
			"round %d: %s was killed after %s, there remain:\n%s", i, victim, delay, strings.Join(left, "\n"))
		family.forget()
	}
	require.Equal(t, before, mounts(t))
}

// childOf is a child of a process, 0 if it has none (proc(5), /proc/pid/stat).
func childOf(pid int) int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		b, _ := os.ReadFile(path)
		// The name in parentheses may hold anything.
		if i := bytes.LastIndexByte(b, ')'); i > 0 {
			if f := bytes.Fields(b[i+1:]); len(f) > 1 && string(f[1]) == strconv.Itoa(pid) && string(f[0]) != "Z" {
				child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
				return child
			}
		}
	}
	return 0
}

// family is a run of acrlab by what the kernel knows of it: the PID namespace
// that all its processes are in or below, and the namespaces that they had. All
// are held open, so that the kernel does not give their numbers to others.
type family struct {
	pids *os.File
	ino  uint64              // the number of pids
	seen map[uint64]*os.File // network and mount namespaces by number
}

var kinds = []string{"net", "mnt"}

// familyOf looks at what runs under a process that is about to be killed. A run
// that is being born may have no family yet.
func familyOf(t *testing.T, outer int) family {
	t.Helper()
	f := family{seen: map[uint64]*os.File{}}
	child := childOf(outer)
	if child == 0 {
		return f
	}
	var err error
	if f.pids, f.ino, err = open(fmt.Sprintf("/proc/%d/ns/pid", child)); err != nil {
		return f
	}
	own := map[uint64]bool{}
	for _, kind := range append(kinds, "pid") {
		ns, ino, err := open("/proc/self/ns/" + kind)
		require.NoError(t, err)
		require.NoError(t, ns.Close())
		own[ino] = true
	}
	require.False(t, own[f.ino], "acrlab runs in the PID namespace of this test")
	for _, task := range tasks() {
		if !f.owns(task) {
			continue
		}
		for _, kind := range kinds {
			ns, ino, err := open(task + "/ns/" + kind)
			switch {
			case err != nil: // the task has just ended
			case own[ino] || f.seen[ino] != nil:
				_ = ns.Close()
			default:
				f.seen[ino] = ns
			}
		}
	}
	return f
}

func (f family) forget() {
	_ = f.pids.Close()
	for _, ns := range f.seen {
		_ = ns.Close()
	}
}

// open opens a namespace and gives its number.
func open(path string) (*os.File, uint64, error) {
	ns, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	ino, err := inode(ns)
	if err != nil {
		return nil, 0, errors.Join(err, ns.Close())
	}
	return ns, ino, nil
}

// tasks are the threads of all processes.
func tasks() []string {
	list, _ := filepath.Glob("/proc/[0-9]*/task/[0-9]*")
	return list
}

// owns says whether a process is in the family's PID namespace or below it.
func (f family) owns(task string) bool {
	if f.pids == nil {
		return false
	}
	ns, err := os.Open(task + "/ns/pid")
	for err == nil {
		ino, inoErr := inode(ns)
		if inoErr == nil && ino == f.ino {
			_ = ns.Close()
			return true
		}
		var fd int
		fd, err = unix.IoctlRetInt(int(ns.Fd()), unix.NS_GET_PARENT)
		_ = ns.Close()
		if err == nil {
			ns = os.NewFile(uintptr(fd), "parent namespace")
		}
	}
	return false
}

// alive lists what is left: processes of the family's PID namespaces, others in
// its network and mount namespaces, and marked ones that had not got there yet.
func (f family) alive(mark string) []string {
	var left []string
	for _, task := range tasks() {
		why := ""
		if env, err := os.ReadFile(task + "/environ"); err == nil && bytes.Contains(env, []byte(markVariable+"="+mark+"\x00")) {
			why = "it is marked"
		}
		if f.owns(task) {
			why = "it is in the PID namespace"
		}
		for _, kind := range kinds {
			if ns, ino, err := open(task + "/ns/" + kind); err == nil {
				_ = ns.Close()
				if f.seen[ino] != nil {
					why = "it is in a " + kind + " namespace"
				}
			}
		}
		if why != "" {
			cmdline, _ := os.ReadFile(task + "/cmdline")
			left = append(left, fmt.Sprintf("%s %s (%s)", task, strings.ReplaceAll(string(cmdline), "\x00", " "), why))
		}
	}
	return left
}

func inode(f *os.File) (uint64, error) {
	var st unix.Stat_t
	err := unix.Fstat(int(f.Fd()), &st)
	return st.Ino, err
}

// mounts are those of this machine that acrlab could have left: its own file
// systems and namespaces that are held by a mount.
func mounts(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("there is no /proc/self/mountinfo")
	}
	require.NoError(t, err)
	var out []string
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, " acrlab ") || strings.Contains(line, " nsfs ") {
			out = append(out, line)
		}
	}
	return out
}
