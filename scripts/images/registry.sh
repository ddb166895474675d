# shellcheck shell=sh
# shellcheck disable=SC2154 # what is not set here is set in images.sh
# The registry on this machine's loopback: where it lives, how it starts, stops and is filled.

registry_pid() {
  cat "$home/registry.pid" 2>/dev/null || :
}

registry_runs() {
  running_as "$(registry_pid)" docker-registry
}

listening() {
  perl -MIO::Socket::INET -e 'exit !IO::Socket::INET->new(PeerAddr => shift, Timeout => 2)' "$registry"
}

registry_serves() {
  registry_runs && listening
}

wait_for_registry() {
  deadline=$(($(date +%s) + 15))
  while [ "$(date +%s)" -lt "$deadline" ]; do
    ! registry_serves || return 0
    ! grep -qE 'level=(fatal|panic)|^panic' "$home/registry.log" || break
    sleep 0.1
  done
  tail -n 5 "$home/registry.log" >&2
  fail "the registry did not come up on $registry" "its last words stand above; full log: $home/registry.log"
}

# Whoever can write to a mirror decides what the daemon runs, and any local user reaches the
# loopback. So it serves as nobody, read-only, and is writable only while this script pushes.
write_registry_file() {
  cat >"$home/registry.yml" <<YAML
version: 0.1
log:
  level: warn
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: $home/data
  maintenance:
    uploadpurging:
      enabled: false
    readonly:
      enabled: $1
http:
  addr: $registry
YAML
}

# start_registry readonly|writable
start_registry() {
  stop_registry
  ! listening || fail "something else listens on $registry" "stop it, then run this again; who it is: ss -ltnp 'sport = :${registry##*:}'"
  if [ "$1" = readonly ]; then
    write_registry_file true
    set -- setpriv --reuid=65534 --regid=65534 --clear-groups --
  else
    write_registry_file false
    set --
  fi
  : >"$home/registry.log"
  (
    cd /
    umask 022
    exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
    # shellcheck disable=SC2016 # for the inner shell
    setsid -f sh -c 'echo $$ >"$1"; shift; exec env -i "$@"' registry "$home/registry.pid" "$@" \
      "$home/bin/docker-registry" serve "$home/registry.yml" </dev/null >>"$home/registry.log" 2>&1
  )
  wait_for_registry
}

stop_registry() {
  registry_runs || return 0
  pid=$(registry_pid)
  kill "$pid"
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    registry_runs || return 0
    sleep 0.1
  done
  kill -9 "$pid"
}

# A push starts it writable; what rebuilt images left behind is swept before it serves again
finish_pushing() {
  [ -n "$pushing" ] || return 0
  stop_registry
  "$home/bin/docker-registry" garbage-collect --delete-untagged "$home/registry.yml" >/dev/null 2>&1 || warn "the registry's old layers could not be swept"
  start_registry readonly
  pushing=''
}

ensure_registry() {
  install_registry
  ! registry_serves || return 0
  say "starting the registry on $registry (data in $home)"
  start_registry readonly
}

# Its package is unpacked, not installed: installed, it would run a service of its own, open to the network
install_registry() {
  [ ! -x "$home/bin/docker-registry" ] || return 0
  say "taking docker-registry from Debian $release"
  unpack docker-registry
  install -D -m 0755 "$scratch/docker-registry/usr/bin/docker-registry" "$home/bin/docker-registry"
}
