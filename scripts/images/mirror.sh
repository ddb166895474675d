# shellcheck shell=sh
# shellcheck disable=SC2154 # what is not set here is set in images.sh
# Whether the daemon may be told to use the registry as its mirror, and telling it.

mirrored() {
  docker info --format '{{json .RegistryConfig.Mirrors}}' 2>/dev/null | grep -q "\"http://$registry/\"\|\"http://$registry\""
}

only_our_entry() {
  [ "$(tr -d '[:space:]' <"$daemon_file")" = "{\"registry-mirrors\":[\"http://$registry\"]}" ]
}

daemon_pid() {
  pid=$(cat /run/docker.pid 2>/dev/null || :)
  ! running_as "$pid" dockerd || printf '%s\n' "$pid"
}

started_by_us() {
  [ -n "$(daemon_pid)" ] && [ "$(cat /run/stackctl-engine.pid 2>/dev/null)" = "$(daemon_pid)" ]
}

may_configure() {
  case $endpoint in
    '' | unix:///var/run/docker.sock | unix:///run/docker.sock) ;;
    *) return 1 ;;
  esac
  [ -n "$(daemon_pid)" ] || return 1
  [ ! -e "$daemon_file" ] || only_our_entry || started_by_us
}

# edit_mirrors add|remove: through python3, for a file that says more than this
edit_mirrors() {
  python3 - "$1" "$daemon_file" "http://$registry" <<'PYTHON'
import json, os, sys
action, path, mirror = sys.argv[1:]
with open(path) as source:
    document = json.load(source)
mirrors = [entry for entry in document.get("registry-mirrors", []) if entry != mirror]
document["registry-mirrors"] = [mirror, *mirrors] if action == "add" else mirrors
with open(path + ".new", "w") as target:
    json.dump(document, target, indent=2)
    target.write("\n")
os.replace(path + ".new", path)
PYTHON
}

reload_daemon() {
  kill -HUP "$(daemon_pid)"
}

wait_until() {
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
    ! "$@" || return 0
    sleep 0.2
  done
  return 1
}

not_mirrored() {
  ! mirrored
}

ensure_mirror() {
  ! mirrored || return 0
  may_configure || return 1
  say "making $registry the daemon's mirror ($daemon_file)"
  if [ -e "$daemon_file" ] && ! only_our_entry; then
    edit_mirrors add || return 1
  else
    mkdir -p "${daemon_file%/*}"
    printf '{"registry-mirrors": ["http://%s"]}\n' "$registry" >"$daemon_file"
  fi
  reload_daemon
  wait_until mirrored && return
  remove_mirror
  return 1
}

# A reload leaves alone what the file no longer says, so the list is emptied before it goes
remove_mirror() {
  [ -e "$daemon_file" ] && grep -q "http://$registry\"" "$daemon_file" || return 0
  may_configure || {
    warn "$daemon_file still names the mirror http://$registry, and this daemon is not ours to configure"
    return 0
  }
  say "removing the mirror's entry from $daemon_file"
  if only_our_entry; then
    printf '{"registry-mirrors": []}\n' >"$daemon_file"
    reload_daemon
    wait_until not_mirrored || warn "the daemon keeps the mirror until it is restarted"
    rm -f "$daemon_file"
  else
    edit_mirrors remove && reload_daemon
  fi
}
