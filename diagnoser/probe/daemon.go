package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/acrlab/acrlab/diagnoser/host"
)

// engine is a container engine whose configuration can be found.
type engine struct {
	name, process string
	unit          string
	envFile       string // read by the service where there is no systemd unit
	config        string // daemon.json
	marks         []string
}

// Docker first: where both run, Docker's clients pull through dockerd, which
// uses its own environment.
// https://docs.docker.com/engine/daemon/proxy/
var engines = []engine{
	{name: "docker", process: "dockerd", unit: "docker.service", envFile: "/etc/default/docker", config: "/etc/docker/daemon.json",
		marks: []string{"/etc/docker/daemon.json"}},
	{name: "containerd", process: "containerd", unit: "containerd.service", marks: []string{"/etc/containerd/config.toml"}},
}

// Unit directories in rising precedence (systemd.unit(5)).
var unitDirs = []string{"/lib/systemd/system", "/usr/lib/systemd/system", "/usr/local/lib/systemd/system", "/run/systemd/system", "/etc/systemd/system"}

// findDaemon reads what proxy the container engine uses: that of the running
// process, else that of its service. Nil if there is no sign of an engine.
func findDaemon(ctx context.Context, h host.Host) (*DaemonSettings, proxySettings) {
	running := processes(h)
	for _, e := range engines {
		d := &DaemonSettings{Engine: e.name}
		present := false
		vars, from := e.configured(h, d, &present)
		configured := proxyFromEnviron(vars, from)
		effective := configured
		if p, ok := running[e.process]; ok {
			present = true
			d.Read = append(d.Read, p.path)
			effective = proxyFromEnviron(p.environ, p.path)
			if len(d.Read) > 1 && effective.raw != configured.raw {
				d.NotRestarted = "the running " + e.process + " has the proxy " + orNone(effective.shown.HTTPSProxy) +
					", its configuration says " + orNone(configured.shown.HTTPSProxy)
			}
		}
		if s, ok := e.fromConfig(ctx, h, d, &present, effective); ok {
			effective = s
		}
		if present {
			return d, effective
		}
	}
	return nil, proxySettings{}
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// configured reads the unit with its drop-ins, or the environment file of an
// init script. The last file that sets the proxy is named as its source.
func (e engine) configured(h host.Host, d *DaemonSettings, present *bool) (vars []string, from string) {
	var u unitEnvironment
	unitFound := false
	read := func(file string) []byte {
		b, err := h.ReadFile(file)
		if err != nil {
			return nil
		}
		*present = true
		if !slices.Contains(d.Read, file) {
			d.Read = append(d.Read, file)
		}
		return b
	}
	proxyIn := func(vars []string) string {
		s := proxyFromEnviron(vars, "")
		return s.raw + "\x00" + s.shown.NoProxy
	}
	apply := func(file string) {
		before := proxyIn(u.vars)
		u.apply(read(file))
		if proxyIn(u.vars) != before {
			from = file
		}
	}
	for _, dir := range slices.Backward(unitDirs) {
		if file := path.Join(dir, e.unit); exists(h, file) {
			unitFound = true
			apply(file)
			break
		}
	}
	// Drop-ins of the same name replace each other by directory, and apply in
	// the order of their names.
	dropIns := map[string]string{}
	for _, dir := range unitDirs {
		files, _ := h.Glob(path.Join(dir, e.unit+".d", "*.conf"))
		for _, f := range files {
			dropIns[path.Base(f)] = f
		}
	}
	names := make([]string, 0, len(dropIns))
	for name := range dropIns {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		unitFound = true
		apply(dropIns[name])
	}
	files := u.files
	if !unitFound && e.envFile != "" {
		files = []string{e.envFile}
	}
	// Later assignments win, so the lists are reversed for a reader that takes
	// the first; environment files override Environment=.
	vars = reversed(u.vars)
	for _, f := range files {
		if more := parseEnvFile(read(f)); len(more) > 0 {
			before := proxyIn(vars)
			vars = append(reversed(more), vars...)
			if proxyIn(vars) != before {
				from = f
			}
		}
	}
	for _, m := range e.marks {
		if exists(h, m) {
			*present = true
		}
	}
	return vars, from
}

func reversed(s []string) []string {
	s = slices.Clone(s)
	slices.Reverse(s)
	return s
}

// fromConfig reads "proxies" of daemon.json, which engines since 23.0 put above
// their environment.
func (e engine) fromConfig(ctx context.Context, h host.Host, d *DaemonSettings, present *bool, below proxySettings) (proxySettings, bool) {
	if e.config == "" {
		return below, false
	}
	b, err := h.ReadFile(e.config)
	if err != nil {
		return below, false
	}
	*present = true
	d.Read = append(d.Read, e.config)
	https, no, ok := parseDaemonJSON(b)
	if !ok || !e.readsProxies(ctx, h) {
		return below, false
	}
	if https == "" {
		https = below.raw
	}
	if no == "" {
		no = below.shown.NoProxy
	}
	return newProxySettings(https, no, e.config), true
}

func parseDaemonJSON(b []byte) (httpsProxy, noProxy string, ok bool) {
	var c struct {
		Proxies *struct {
			HTTPS string `json:"https-proxy"`
			No    string `json:"no-proxy"`
		} `json:"proxies"`
	}
	if json.Unmarshal(b, &c) != nil || c.Proxies == nil {
		return "", "", false
	}
	return c.Proxies.HTTPS, c.Proxies.No, c.Proxies.HTTPS != "" || c.Proxies.No != ""
}

// readsProxies asks the engine's version. If it does not tell, it is taken to
// be one of the last years.
func (e engine) readsProxies(ctx context.Context, h host.Host) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	out, err := h.Run(ctx, e.process, "--version")
	if err != nil {
		return true
	}
	major, ok := majorVersion(string(out))
	return !ok || major >= 23
}

// majorVersion reads "Docker version 20.10.24+dfsg1, build 297e128".
func majorVersion(s string) (int, bool) {
	_, s, ok := strings.Cut(s, "version ")
	if !ok {
		return 0, false
	}
	s, _, _ = strings.Cut(s, ".")
	n, err := strconv.Atoi(s)
	return n, err == nil
}

type process struct {
	path    string
	environ []string
}

// processes finds the running engines of this place by name, with their
// environments. A process of another network namespace serves another place:
// containers and simulated hosts share the process list of their machine.
func processes(h host.Host) map[string]process {
	found := map[string]process{}
	own, err := h.Readlink("/proc/self/ns/net")
	if err != nil {
		return found
	}
	comms, _ := h.Glob("/proc/[0-9]*/comm")
	for _, c := range comms {
		b, err := h.ReadFile(c)
		name := string(bytes.TrimSpace(b))
		if err != nil || !slices.ContainsFunc(engines, func(e engine) bool { return e.process == name }) {
			continue
		}
		dir := path.Dir(c)
		if ns, err := h.Readlink(path.Join(dir, "ns/net")); err != nil || ns != own {
			continue
		}
		environ, err := h.ReadFile(path.Join(dir, "environ"))
		if err != nil {
			continue
		}
		if _, twice := found[name]; !twice {
			found[name] = process{path.Join(dir, "environ"), strings.FieldsFunc(string(environ), func(c rune) bool { return c == 0 })}
		}
	}
	return found
}

func exists(h host.Host, file string) bool {
	found, err := h.Glob(file)
	return err == nil && len(found) > 0
}
