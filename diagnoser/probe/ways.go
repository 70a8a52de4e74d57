package probe

// way is how a connection is made.
type way struct {
	via           Via
	proxy         proxySettings // proxied ways only
	shell, daemon bool          // whose traffic takes it
}

// used says that somebody's traffic takes this way.
func (w way) used() bool { return w.shell || w.daemon }

// ways lists how connections to a host are or could be made: the shell's, the
// container engine's if it differs, and the direct one, which tells a proxy's
// fault from the network's.
func (r *run) ways(host string) []way {
	shell := way{via: Direct, shell: true}
	if r.shell.proxyFor(host) {
		shell.via, shell.proxy = Proxied, r.shell
	}
	ways := []way{shell}
	if r.report.Vantage.Daemon != nil {
		engine := way{via: Direct, daemon: true}
		if r.daemon.proxyFor(host) {
			engine.via, engine.proxy = ByDaemon, r.daemon
		}
		if engine.proxy.raw == shell.proxy.raw {
			ways[0].daemon = true
		} else {
			ways = append(ways, engine)
		}
	}
	for _, w := range ways {
		if w.via == Direct {
			return ways
		}
	}
	return append(ways, way{via: Direct})
}
