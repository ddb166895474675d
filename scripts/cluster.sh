#!/bin/sh
# Three Swarm nodes on one machine: each a daemon in namespaces of its own, joined by a bridge.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=images/shell.sh
. "$root/images/shell.sh"

nodes='n1 n2 n3'
# A second cluster beside the first has a number: CLUSTER=2 lies in folders, networks and addresses of its own
cluster=${CLUSTER:-}
base=/var/lib/stackctl-cluster$cluster
bridge=stackctl-swarm$cluster
subnet=10.219.$((77 + ${cluster:-0}))
images='busybox:1.35 postgres:15 redis:7.0 nginx:1.22'
answer_deadline=60
memory_wanted=8000000

usage() {
  cat <<'USAGE'
usage: scripts/cluster.sh up | down | status | check
       scripts/cluster.sh stop NODE | start NODE | cut NODE | mend NODE
       scripts/cluster.sh run NODE COMMAND [ARGUMENT]...

Makes a Swarm of three managers, n1, n2 and n3, on this machine. Each is a dockerd in a network, mount, host
name and process namespace of its own, with its own /run and its own /var/lib/stackctl; a bridge joins them,
10.219.77.11 to .13. Docker reaches n1 by DOCKER_HOST=unix:///var/lib/stackctl-cluster/n1/docker.sock.

  up      make what is missing of it, and load the images that the tests use from this machine's engine
  down    remove all of it, and nothing else
  status  one line for each node; exit code 1 unless all three are ready
  check   say whether this machine allows it: exit code 0 or 1
  stop    the power is cut: daemon and containers are gone, the disk stays
  start   the daemon comes up again from its disk
  run     a command on the node: in its namespaces, with its /run and its /var/lib/stackctl
  cut     the node's network cable is pulled, mend: it is plugged in again

The disks of the nodes take 2 GB, of memory where 8 GB of it are free.
Needs root, dockerd, ip, iptables, nsenter and unshare.
CLUSTER=2                      a second cluster, beside the first
CLUSTER_IMAGES='busybox:1.35'  which images to load instead
USAGE
}

number_of() {
  printf '%s\n' "${1#n}"
}

space_of() {
  printf 'stackctl%s-%s\n' "$cluster" "$1"
}

socket_of() {
  printf '%s/%s/docker.sock\n' "$base" "$1"
}

# on NODE ARGUMENT...: docker, asked of that node
on() {
  node=$1
  shift
  DOCKER_CONTEXT='' DOCKER_HOST="unix://$(socket_of "$node")" bounded 120 docker "$@"
}

answers() {
  DOCKER_CONTEXT='' DOCKER_HOST="unix://$(socket_of "$1")" bounded 5 docker version >/dev/null 2>&1
}

# init_of NODE: the first process of its namespaces; prints nothing where it does not run
init_of() {
  pid=$(cat "$base/$1/init.pid" 2>/dev/null) || pid=''
  if [ -n "$pid" ] && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q "$base/$1"; then
    printf '%s\n' "$pid"
  fi
}

check() {
  for program in dockerd docker ip iptables nsenter unshare; do
    have "$program" || fail "a cluster cannot be made here: there is no $program" "scripts/engine.sh installs the engine"
  done
  is_root || fail 'a cluster cannot be made here: it needs root' "run it as root, or without the tests of Swarm"
  unshare --net --mount --uts --pid --fork true 2>/dev/null ||
    fail 'a cluster cannot be made here: this machine allows no namespaces' 'inside a container, it needs CAP_SYS_ADMIN'
  unshare --net sh -c 'ip link add probe type vxlan id 9 dstport 4789 && iptables -t nat -L -n' >/dev/null 2>&1 ||
    fail 'a cluster cannot be made here: its kernel has no vxlan, or no NAT' 'an overlay network needs both'
}

# --- network ------------------------------------------------------------------

make_bridge() {
  ip link show "$bridge" >/dev/null 2>&1 || ip link add "$bridge" type bridge
  ip address replace "$subnet.1/24" dev "$bridge"
  ip link set "$bridge" up
  # docker's own policy for what is forwarded is to drop it
  iptables -w -C FORWARD -i "$bridge" -o "$bridge" -j ACCEPT 2>/dev/null ||
    iptables -w -I FORWARD -i "$bridge" -o "$bridge" -j ACCEPT
}

make_space() {
  space=$(space_of "$1")
  number=$(number_of "$1")
  [ -e "/run/netns/$space" ] || ip netns add "$space"
  if ! ip link show "stackctl$cluster-v$number" >/dev/null 2>&1; then
    ip link add "stackctl$cluster-v$number" type veth peer name eth0 netns "$space"
    ip link set "stackctl$cluster-v$number" master "$bridge" up
  fi
  ip -n "$space" address replace "$subnet.1$number/24" dev eth0
  ip -n "$space" link set lo up
  ip -n "$space" link set eth0 up
}

# --- daemons ------------------------------------------------------------------

# The shell stays as the first process: it reaps, and with it all of the node ends
start_daemon() {
  folder=$base/$1
  [ -z "$(init_of "$1")" ] || return 0
  mkdir -p "$folder/root" "$folder/data"
  chmod 711 "$base" "$folder"
  rm -f "$folder/docker.sock" "$folder/docker.pid"
  # shellcheck disable=SC2016
  setsid nsenter --net="/run/netns/$(space_of "$1")" unshare --mount --uts --pid --fork --mount-proc --kill-child \
    sh -c '
      hostname "$1"
      mount -t tmpfs tmpfs /run
      mkdir -p /var/lib/stackctl /run/lock
      mount --bind "$2/data" /var/lib/stackctl
      dockerd --data-root "$2/root" --exec-root /run/docker --pidfile /run/docker.pid -H "unix://$2/docker.sock" -H unix:///run/docker.sock \
        --cgroup-parent "/stackctl-cluster$3/$1" --log-level warn &
      wait' "$base/$1" "$1" "$folder" "$cluster" </dev/null >>"$folder/log" 2>&1 &
  echo $! >"$folder/init.pid"
}

wait_for_daemon() {
  end=$(($(date +%s) + answer_deadline))
  until answers "$1"; do
    if [ -z "$(init_of "$1")" ] || [ "$(date +%s)" -ge "$end" ]; then
      tail -n 5 "$base/$1/log" >&2 || :
      fail "the daemon of $1 does not answer" "its log is $base/$1/log; scripts/cluster.sh down removes all of it"
    fi
    sleep 0.2
  done
}

stop_node() {
  pid=$(init_of "$1")
  [ -n "$pid" ] || return 0
  kill -KILL "$pid" 2>/dev/null || :
  end=$(($(date +%s) + 30))
  while [ -n "$(ip netns pids "$(space_of "$1")" 2>/dev/null)" ]; do
    [ "$(date +%s)" -lt "$end" ] || fail "$1 still has processes" "ip netns pids $(space_of "$1") shows them"
    sleep 0.1
  done
  rm -f "$base/$1/init.pid" "$base/$1/docker.sock"
}

# --- swarm --------------------------------------------------------------------

state_of() {
  on "$1" info --format '{{.Swarm.LocalNodeState}}' 2>/dev/null || echo away
}

make_swarm() {
  if [ "$(state_of n1)" != active ]; then
    on n1 swarm init --advertise-addr "$subnet.11" --dispatcher-heartbeat 2s >/dev/null
  fi
  token=$(on n1 swarm join-token -q manager)
  for one in n2 n3; do
    [ "$(state_of "$one")" = active ] ||
      on "$one" swarm join --advertise-addr "$subnet.1$(number_of "$one")" --token "$token" "$subnet.11:2377" >/dev/null
  done
}

# Images are saved once for all nodes; layers that a node has are not written again
load() {
  missing=''
  for image in $images; do
    for one in $nodes; do
      if ! on "$one" image inspect "$image" >/dev/null 2>&1; then
        missing="$missing $image"
        break
      fi
    done
  done
  [ -n "$missing" ] || return 0
  # shellcheck disable=SC2086
  docker save -o "$base/images.tar" $missing
  loading=''
  for one in $nodes; do
    on "$one" load -q -i "$base/images.tar" >/dev/null &
    loading="$loading $!"
  done
  # shellcheck disable=SC2086
  wait $loading || :
  rm -f "$base/images.tar"
}

# The disks lie in memory where there is plenty: images are written and deleted three times as fast
make_disks() {
  [ ! -d "$base" ] || return 0
  mkdir -p "$base"
  free=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB$/\1/p' /proc/meminfo)
  [ "${free:-0}" -lt "$memory_wanted" ] || mount -t tmpfs -o size=4g,mode=711 "stackctl-cluster$cluster" "$base"
}

ready() {
  [ "$(on n1 node ls --format '{{.Status}} {{.Availability}}' 2>/dev/null | grep -c '^Ready Active$')" -eq 3 ]
}

up() {
  check
  make_disks
  make_bridge
  for one in $nodes; do
    make_space "$one"
    start_daemon "$one"
  done
  for one in $nodes; do
    wait_for_daemon "$one"
  done
  make_swarm
  say 'three daemons have joined; loading images'
  load
  for one in $nodes; do
    for image in $images; do
      on "$one" image inspect "$image" >/dev/null 2>&1 ||
        fail "$one has no $image" 'scripts/images.sh --test makes it on this machine'
    done
  done
  end=$(($(date +%s) + answer_deadline))
  until ready; do
    [ "$(date +%s)" -lt "$end" ] || fail 'the nodes are not ready' 'scripts/cluster.sh status shows them'
    sleep 0.2
  done
  say "a Swarm of three nodes is up: DOCKER_HOST=unix://$(socket_of n1)"
}

down() {
  is_root || fail 'a cluster is removed by root' 'run it as root'
  for one in $nodes; do
    [ ! -d "$base/$one" ] || stop_node "$one"
  done
  for one in $nodes; do
    ip link delete "stackctl$cluster-v$(number_of "$one")" 2>/dev/null || :
    [ ! -e "/run/netns/$(space_of "$one")" ] || ip netns delete "$(space_of "$one")"
  done
  while iptables -w -D FORWARD -i "$bridge" -o "$bridge" -j ACCEPT 2>/dev/null; do :; done
  ip link delete "$bridge" 2>/dev/null || :
  find /sys/fs/cgroup -depth -type d \( -path "*/stackctl-cluster$cluster" -o \
    -path "*/stackctl-cluster$cluster/*" \) -exec rmdir {} + 2>/dev/null || :
  ! grep -q "^stackctl-cluster$cluster $base " /proc/mounts || umount "$base"
  rm -rf "$base"
  say 'the cluster is gone'
}

status() {
  result=0
  for one in $nodes; do
    if [ -z "$(init_of "$one")" ]; then
      words='off'
      result=1
    else
      words=$(state_of "$one")
      [ "$words" = active ] || result=1
    fi
    printf '%s  %s.1%s  %s\n' "$one" "$subnet" "$(number_of "$one")" "$words"
  done
  [ "$result" -eq 0 ] && ready
}

named() {
  case " $nodes " in
    *" ${1:-} "*) ;;
    *)
      printf 'error: %s is no node\n' "${1:-nothing}" >&2
      exit 2
      ;;
  esac
  [ -d "$base/$1" ] || fail 'there is no cluster' 'scripts/cluster.sh up makes one'
}

main() {
  images=${CLUSTER_IMAGES:-$images}
  case ${1:-} in
    up | down | status | check) "$1" ;;
    stop)
      named "${2:-}"
      stop_node "$2"
      ;;
    start)
      named "${2:-}"
      start_daemon "$2"
      wait_for_daemon "$2"
      ;;
    run)
      named "${2:-}"
      node=$2
      shift 2
      inside=$(init_of "$node")
      [ -n "$inside" ] || fail "$node is off" "scripts/cluster.sh start $node"
      # the first process of the namespaces is the shell below unshare
      inside=$(pgrep -P "$inside" | head -n 1)
      exec nsenter --target "$inside" --net --mount --uts --pid -- "$@"
      ;;
    cut | mend)
      named "${2:-}"
      [ "$1" = cut ] && way=down || way=up
      ip link set "stackctl$cluster-v$(number_of "$2")" "$way"
      ;;
    -h | --help) usage ;;
    *)
      usage >&2
      exit 2
      ;;
  esac
}

main "$@"
