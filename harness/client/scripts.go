package client

// The scripts run under /bin/sh on a client host. $1 is the image or the
// registry. ACRLAB_USERNAME and ACRLAB_PASSWORD are set when the caller gave
// credentials. Daemons live in a folder of their own, without bridge or packet
// filter rules, and end with the script.

// preamble makes the folder, and removes it together with the daemon.
const preamble = `
set -u
dir=$(mktemp -d /tmp/acrlab.XXXXXX) || exit 125
pid=
cleanup() {
	if [ -n "$pid" ]; then
		kill "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	fi
	rm -rf "$dir" 2>/dev/null
}
trap cleanup EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
# await COMMAND...: until it succeeds, for 30 seconds at most.
await() {
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		if ! kill -0 "$pid" 2>/dev/null; then
			echo "acrlab: the daemon ended:" >&2
			tail -n 20 "$dir/log" >&2
			exit 125
		fi
		if [ "$tries" -ge 150 ]; then
			echo "acrlab: the daemon does not answer:" >&2
			tail -n 20 "$dir/log" >&2
			exit 125
		fi
		sleep 0.2
	done
}
`

// dockerDaemon starts dockerd. Its own data folder keeps it apart from an
// engine that the machine runs; /etc/docker/daemon.json of the host applies.
const dockerDaemon = `
export DOCKER_HOST="unix://$dir/docker.sock"
unset DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH
dockerd --bridge=none --iptables=false --ip6tables=false --storage-driver=vfs \
	--data-root "$dir/data" --exec-root "$dir/exec" -p "$dir/docker.pid" -H "$DOCKER_HOST" >"$dir/log" 2>&1 &
pid=$!
await docker version
`

// dockerLogIn keeps what is logged in out of the host's own configuration.
const dockerLogIn = `
log_in() {
	from=${DOCKER_CONFIG:-${HOME:-/root}/.docker}
	mkdir "$dir/config" || exit 125
	if [ -f "$from/config.json" ]; then cp "$from/config.json" "$dir/config/"; fi
	export DOCKER_CONFIG="$dir/config"
	printf %s "$ACRLAB_PASSWORD" | docker login --username "$ACRLAB_USERNAME" --password-stdin "$1"
}
`

const dockerLogin = dockerLogIn + `
log_in "$1"
`

const dockerPull = dockerLogIn + `
if [ -n "${ACRLAB_USERNAME:-}" ]; then
	log_in "${1%%/*}" >/dev/null || exit $?
fi
docker pull "$1"
`

// containerdPull runs containerd without the CRI plug-in, and ctr, which reads
// no credentials from Docker's configuration.
const containerdPull = `
cat >"$dir/config.toml" <<END
version = 2
root = "$dir/root"
state = "$dir/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$dir/containerd.sock"
END
containerd --config "$dir/config.toml" >"$dir/log" 2>&1 &
pid=$!
await ctr --address "$dir/containerd.sock" version
if [ -n "${ACRLAB_USERNAME:-}" ]; then
	ctr --address "$dir/containerd.sock" images pull --snapshotter native --user "$ACRLAB_USERNAME:$ACRLAB_PASSWORD" "$1"
else
	ctr --address "$dir/containerd.sock" images pull --snapshotter native "$1"
fi
`

// skopeoPull needs no daemon. No policy of the host's is asked: signatures are
// not what is tested.
const skopeoPull = `
if [ -n "${ACRLAB_USERNAME:-}" ]; then
	skopeo --insecure-policy copy --src-creds "$ACRLAB_USERNAME:$ACRLAB_PASSWORD" "docker://$1" "dir:$dir/image"
else
	skopeo --insecure-policy copy "docker://$1" "dir:$dir/image"
fi
`

const skopeoLogin = `
printf %s "$ACRLAB_PASSWORD" | skopeo login --authfile "$dir/auth.json" --username "$ACRLAB_USERNAME" --password-stdin "$1"
`
