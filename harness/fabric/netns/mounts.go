//go:build linux

package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// home is the home directory of the user of every host.
const home = "/root"

// fileSystem is the host's view of the file system. The machine's is visible
// but for what belongs to a host alone:
//
//	/etc      overlay: the machine's, with the host's changes above it
//	/root     empty (the programs' home)
//	/run      empty (sockets of the machine's daemons are not reachable)
//	/var/lib/docker, containerd, containers   empty, where the machine has them
//	/etc/docker, containerd                   empty, likewise
//	/etc/ssl/certs and its like               the host's trust store
//	/sys      the host's own interfaces, where permitted
//
// All that is written there lives in one tmpfs and goes with the host. /tmp and
// the rest are the machine's. Methods must run on the keeper's thread.
type fileSystem struct {
	stage    int // the tmpfs's root
	writable []string
	covers   int
}

// emptied are directories of container engines: the machine's settings and
// storage must not meet an engine that runs on a host.
var emptied = []string{"/etc/docker", "/etc/containerd", "/var/lib/docker", "/var/lib/containerd", "/var/lib/containers"}

// newFileSystem arranges the mount namespace of the calling thread.
func newFileSystem() (_ *fileSystem, err error) {
	kept := keep([]string{home, "/run"}, neededPaths())
	defer func() {
		for _, k := range kept {
			unix.Close(k.tree)
		}
	}()
	const stage = "/run"
	if err := unix.Mount("acrlab", stage, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return nil, fmt.Errorf("mounting a tmpfs: %w", err)
	}
	f := &fileSystem{writable: []string{"/etc", home, "/run"}}
	if f.stage, err = unix.Open(stage, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("opening the tmpfs: %w", err)
	}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if err := f.cover("/etc"); err != nil {
		return nil, err
	}
	if err := f.bind("home", home); err != nil {
		return nil, err
	}
	for i, dir := range emptied {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		if err := f.bind(fmt.Sprintf("empty%d", i), dir); err != nil {
			return nil, err
		}
	}
	freshSysfs(f)
	// The stage is hidden by a part of itself from here on.
	if err := f.bind("run", "/run"); err != nil {
		return nil, err
	}
	if target, err := filepath.EvalSymlinks("/var/run"); err == nil && target != "/run" {
		if err := f.bind("run", target); err != nil {
			return nil, err
		}
	}
	for _, k := range kept {
		if err := k.restore(); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *fileSystem) close() { unix.Close(f.stage) }

// staged is the path of a name on the tmpfs, which has no other path once all
// is arranged.
func (f *fileSystem) staged(name string) string {
	return fmt.Sprintf("/proc/thread-self/fd/%d/%s", f.stage, name)
}

// bind puts a directory of the tmpfs, made if need be, over dir.
func (f *fileSystem) bind(name, dir string) error {
	source := f.staged(name)
	if err := os.MkdirAll(source, 0o755); err != nil {
		return fmt.Errorf("making %s of the tmpfs: %w", name, err)
	}
	if err := unix.Mount(source, dir, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("covering %s: %w", dir, err)
	}
	return nil
}

// cover makes dir writable for the host alone: by an overlay, or where the
// kernel refuses one (no overlay in user namespaces before Linux 5.11) by a
// copy of what is readable.
func (f *fileSystem) cover(dir string) error {
	f.covers++
	upper, work := f.staged(fmt.Sprintf("upper%d", f.covers)), f.staged(fmt.Sprintf("work%d", f.covers))
	for _, d := range []string{upper, work} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return fmt.Errorf("making a layer for %s: %w", dir, err)
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", strings.NewReplacer(`\`, `\\`, ":", `\:`, ",", `\,`).Replace(dir), upper, work)
	err := unix.Mount("acrlab", dir, "overlay", 0, options+",userxattr")
	if errors.Is(err, unix.EINVAL) { // Linux before 5.11
		err = unix.Mount("acrlab", dir, "overlay", 0, options)
	}
	if err == nil {
		return nil
	}
	name := fmt.Sprintf("copy%d", f.covers)
	if copyErr := copyReadable(dir, f.staged(name)); copyErr != nil {
		return fmt.Errorf("covering %s: overlay: %w; copy: %w", dir, err, copyErr)
	}
	return f.bind(name, dir)
}

// copyReadable copies a tree, without what the user may not read.
func copyReadable(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		switch {
		case errors.Is(err, fs.ErrPermission):
			return fs.SkipDir
		case err != nil:
			return err
		case d.IsDir():
			return os.MkdirAll(target, 0o755)
		case d.Type()&fs.ModeSymlink != 0:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		case !d.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrPermission) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return os.WriteFile(target, b, info.Mode().Perm())
	})
}

// freshSysfs shows the host's interfaces in /sys, and keeps the machine's
// control groups, which container engines need. Where it is refused, as it may
// be in a container, the old /sys stays.
func freshSysfs(f *fileSystem) {
	cgroups, err := unix.OpenTree(unix.AT_FDCWD, "/sys/fs/cgroup", unix.OPEN_TREE_CLONE|unix.AT_RECURSIVE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return
	}
	defer unix.Close(cgroups)
	if unix.Mount("sysfs", "/sys", "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "") != nil {
		return
	}
	_ = unix.MoveMount(cgroups, "", unix.AT_FDCWD, "/sys/fs/cgroup", unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// keptTree is something under a covered directory that programs need.
type keptTree struct {
	path string
	tree int
	dir  bool
}

// neededPaths are the directories that programs are found in and start in.
func neededPaths() []string {
	paths := append(filepath.SplitList(os.Getenv("PATH")), workingDirectory())
	if exe, err := os.Executable(); err == nil {
		paths = append(paths, exe)
	}
	return paths
}

// keep takes hold of what lies directly under a covered directory on the way to
// a needed path: with /root/.pyenv/shims in PATH, of /root/.pyenv.
func keep(covered, needed []string) []keptTree {
	var kept []keptTree
	var seen []string
	for _, p := range needed {
		for _, c := range covered {
			top, ok := firstUnder(c, p)
			if !ok || slices.Contains(seen, top) {
				continue
			}
			seen = append(seen, top)
			if k, err := grab(top); err == nil {
				kept = append(kept, k)
			}
		}
	}
	return kept
}

func grab(path string) (keptTree, error) {
	info, err := os.Stat(path)
	if err != nil {
		return keptTree{}, err
	}
	tree, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.AT_RECURSIVE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return keptTree{}, fmt.Errorf("taking hold of %s: %w", path, err)
	}
	return keptTree{path: path, tree: tree, dir: info.IsDir()}, nil
}

// firstUnder gives the entry of dir that path is or lies in.
func firstUnder(dir, path string) (string, bool) {
	rest, ok := strings.CutPrefix(filepath.Clean(path), dir+"/")
	if !ok {
		return "", false
	}
	first, _, _ := strings.Cut(rest, "/")
	return filepath.Join(dir, first), true
}

func (k keptTree) restore() error {
	var err error
	if k.dir {
		err = os.MkdirAll(k.path, 0o755)
	} else {
		err = os.WriteFile(k.path, nil, 0o755)
	}
	if err == nil {
		err = unix.MoveMount(k.tree, "", unix.AT_FDCWD, k.path, unix.MOVE_MOUNT_F_EMPTY_PATH)
	}
	if err != nil {
		return fmt.Errorf("keeping %s: %w", k.path, err)
	}
	return nil
}
