#!/bin/sh
# Makes sure that a Docker engine and Compose v2 answer on this machine.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=images/shell.sh
. "$root/images/shell.sh"

compose_minimum=2.20
answer_deadline=60
daemon_log=/var/log/stackctl-dockerd.log
daemon_mark=/run/stackctl-engine.pid
mode=install

usage() {
  cat <<'USAGE'
usage: scripts/engine.sh [--check | --dry-run | --help]

Makes sure that a Docker engine and Compose v2 (>= 2.20) answer. Where they already do,
it changes nothing. On Debian and Ubuntu it installs them from the distribution's packages
and starts the daemon; on other systems it prints the commands to run.

  --check    only say whether both answer: exit code 0 or 1
  --dry-run  print what would be done, change nothing
  --help     this text

Needs root to install or start anything, and never calls sudo itself.
STACKCTL_DEBIAN_MIRROR=URL  a Debian mirror to use instead of the one in apt's own sources
USAGE
}

parse() {
  for argument in "$@"; do
    case $argument in
      --check) mode=check ;;
      --dry-run) mode=dry-run ;;
      -h | --help)
        usage
        exit 0
        ;;
      *)
        printf 'error: unknown option %s\n' "$argument" >&2
        usage >&2
        exit 2
        ;;
    esac
  done
}

# --- what answers -------------------------------------------------------------

engine_version() {
  bounded 10 docker version --format '{{.Server.Version}}' 2>/dev/null
}

compose_version() {
  bounded 10 docker compose version --short 2>/dev/null | sed 's/^v//'
}

compose_is_enough() {
  printf '%s\n' "$1" | awk -F '[.-]' -v minimum="$compose_minimum" '{
    split(minimum, want, "."); exit !($1 > want[1] || ($1 == want[1] && $2 >= want[2])) }'
}

look() {
  engine='' compose=''
  have docker || return 0
  engine=$(engine_version) || engine=''
  compose=$(compose_version) || compose=''
  if [ -n "$compose" ] && ! compose_is_enough "$compose"; then
    old_compose=$compose compose=''
  fi
}

both_answer() {
  [ -n "$engine" ] && [ -n "$compose" ]
}

report() {
  say "Docker engine $engine and Compose $compose answer"
}

missing() {
  missing_words=''
  have docker || missing_words='no docker command'
  [ -n "$engine" ] || missing_words="${missing_words:+$missing_words, }no engine that answers"
  [ -n "$compose" ] || missing_words="${missing_words:+$missing_words, }no Compose >= $compose_minimum${old_compose:+ (only $old_compose)}"
  printf '%s\n' "$missing_words"
}

# --- which system this is -----------------------------------------------------

system() {
  if [ "$(uname -s)" = Darwin ]; then
    echo macos
  elif grep -qi microsoft "${STACKCTL_PROC_VERSION:-/proc/version}" 2>/dev/null; then
    echo wsl
  else
    case " $(os_field ID) $(os_field ID_LIKE) " in
      *' debian '* | *' ubuntu '*) echo apt ;;
      *' fedora '* | *' rhel '* | *' centos '*) [ "$(os_field ID)" = fedora ] && echo fedora || echo rhel ;;
      *' alpine '*) echo alpine ;;
      *' arch '*) echo arch ;;
      *suse*) echo suse ;;
      *) echo unknown ;;
    esac
  fi
}

commands_for() {
  case $1 in
    fedora) cat <<'TEXT' ;;
  sudo dnf install -y moby-engine docker-cli docker-compose docker-buildx
  sudo systemctl enable --now docker
  sudo usermod -aG docker "$USER"     # then log in again
TEXT
    rhel) cat <<'TEXT' ;;
  # This family ships no Docker engine: add Docker's own repository first, with the
  # "dnf config-manager" line from docs.docker.com/engine/install/rhel, then:
  sudo dnf install -y docker-ce docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin
  sudo systemctl enable --now docker
  sudo usermod -aG docker "$USER"     # then log in again
TEXT
    alpine) cat <<'TEXT' ;;
  doas apk add docker docker-cli-compose docker-cli-buildx
  doas rc-update add docker default
  doas service docker start
  doas addgroup "$USER" docker        # then log in again
TEXT
    arch) cat <<'TEXT' ;;
  sudo pacman -S --needed docker docker-compose docker-buildx
  sudo systemctl enable --now docker.service
  sudo usermod -aG docker "$USER"     # then log in again
TEXT
    suse) cat <<'TEXT' ;;
  sudo zypper install -y docker docker-compose docker-buildx
  sudo systemctl enable --now docker
  sudo usermod -aG docker "$USER"     # then log in again
TEXT
    macos) cat <<'TEXT' ;;
  brew install --cask docker-desktop && open -a Docker
  # or, without Docker Desktop:
  brew install colima docker docker-compose
  mkdir -p ~/.docker/cli-plugins
  ln -sfn "$(brew --prefix)/opt/docker-compose/bin/docker-compose" ~/.docker/cli-plugins/docker-compose
  colima start
TEXT
    wsl) cat <<'TEXT' ;;
  # in Windows' PowerShell:
  winget install --exact --id Docker.DockerDesktop
  # then in Docker Desktop: Settings > Resources > WSL integration > this distribution
  # or, inside a distribution that runs systemd:
  sudo apt-get update && sudo apt-get install -y docker.io docker-compose-v2 docker-buildx   # Ubuntu
  sudo apt-get update && sudo apt-get install -y docker.io docker-cli docker-compose         # Debian 13
  sudo systemctl enable --now docker && sudo usermod -aG docker "$USER"
TEXT
    *) cat <<'TEXT' ;;
  # install, with this system's package manager: the Docker engine (dockerd), its client
  # and the Compose v2 plugin (>= 2.20); start dockerd; then run this script again
TEXT
  esac
}

stop_with_commands() {
  printf 'error: %s, and this script installs on Debian and Ubuntu only\n' "$(missing)" >&2
  printf 'hint: this system is %s; run:\n' "$1" >&2
  commands_for "$1" >&2
  exit 1
}

# --- rights and other people's daemons ----------------------------------------

refuse_remote() {
  [ -z "$engine" ] || return 0
  endpoint=$(engine_endpoint)
  case $endpoint in
    '' | unix:///var/run/docker.sock | unix:///run/docker.sock) ;;
    *) fail "docker is set to use the engine at $endpoint, and none answers there" \
      "start that engine, or use this machine's own one: unset DOCKER_HOST; docker context use default" ;;
  esac
}

refuse_closed_socket() {
  [ -z "$engine" ] && [ -S /var/run/docker.sock ] && [ ! -w /var/run/docker.sock ] || return 0
  fail "this user may not use /var/run/docker.sock" \
    "join its group, then log in again: sudo usermod -aG docker $(id -un)" \
    "or run as root: sudo $root/engine.sh"
}

require_root() {
  ! is_root || return 0
  fail "$(missing), and installing or starting them needs root" "run: sudo $root/engine.sh"
}

# --- installing with apt ------------------------------------------------------

apt() {
  DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l bounded 900 apt-get -qq -y \
    -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Acquire::http::Timeout=30 "$@"
}

candidate() {
  LC_ALL=C apt-cache policy "$1" 2>/dev/null | awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }'
}

refresh_lists() {
  [ -z "$(candidate docker.io)" ] || return 0
  say "apt-get update"
  apt update >/dev/null || warn "apt-get update failed in part; going on with what it got"
  [ -n "$(candidate docker.io)" ] || fail "apt knows no package docker.io" \
    "enable the section that holds it (Debian: main, Ubuntu: universe) in apt's sources, then run this again"
}

engine_packages() {
  ! have dockerd || return 0
  packages='docker.io iptables ca-certificates'
  # Where the kernel enforces AppArmor, the engine cannot start a container without its parser
  if grep -q Y /sys/module/apparmor/parameters/enabled 2>/dev/null; then
    packages="$packages apparmor"
  fi
  if ! have docker && [ -n "$(candidate docker-cli)" ]; then
    packages="$packages docker-cli"
  fi
  printf '%s\n' "$packages"
}

# The name of Compose v2 differs: in Debian 12 "docker-compose" is the dead v1
compose_packages() {
  [ -z "$compose" ] || return 0
  for package in docker-compose-plugin docker-compose-v2 docker-compose; do
    version=$(candidate "$package")
    if [ -n "$version" ] && compose_is_enough "$version"; then
      printf '%s\n' "$package"
      [ "$package" = docker-compose-plugin ] || [ -z "$(candidate docker-buildx)" ] || echo docker-buildx
      return
    fi
  done
  if [ "$(os_field ID)" = debian ] && [ "$(os_field VERSION_ID)" = 12 ]; then
    echo from-debian-13
  else
    fail "apt offers no Compose >= $compose_minimum here ($(os_field PRETTY_NAME))" \
      "put the compose plugin into /usr/local/lib/docker/cli-plugins, then run this again"
  fi
}

install_packages() {
  if [ "$mode" = dry-run ]; then
    say "would run: apt-get install -y --no-install-recommends $*"
    return
  fi
  say "apt-get install $*"
  apt install --no-install-recommends "$@" >"$scratch/apt.log" 2>&1 && return
  # Mirrors drop the packages that old lists name
  apt update >/dev/null || :
  apt install --no-install-recommends "$@" >"$scratch/apt.log" 2>&1 && return
  tail -n 20 "$scratch/apt.log" >&2
  fail "apt-get could not install: $*" "the reason stands above; put it right, then run this again"
}

# Debian 13's plugins need only a libc that Debian 12 has. Its sources must not become the
# machine's own, so they are read apart and only these two files are taken.
install_compose_from_debian_13() {
  if [ "$mode" = dry-run ]; then
    say "would take docker-compose and docker-buildx from Debian 13, through the mirror in apt's sources"
    return
  fi
  say "taking docker-compose and docker-buildx from Debian 13 (Debian 12 has only Compose v1)"
  write_debian_sources trixie "$scratch/sources.list" || fail "apt's sources name no Debian archive" \
    "name one: STACKCTL_DEBIAN_MIRROR=URL $root/engine.sh"
  if ! { apart "$scratch" apt-get update && (cd "$scratch" && apart "$scratch" apt-get download docker-compose docker-buildx); } >"$scratch/apt.log" 2>&1; then
    tail -n 5 "$scratch/apt.log" >&2
    fail "could not fetch Debian 13's docker-compose through this machine's mirror" \
      "name a mirror that carries trixie: STACKCTL_DEBIAN_MIRROR=URL $root/engine.sh"
  fi
  install_packages "$scratch"/docker-compose_*.deb "$scratch"/docker-buildx_*.deb
}

install_what_is_missing() {
  if [ "$mode" = dry-run ] && [ -z "$(candidate docker.io)" ]; then
    say "would run: apt-get update (its lists are empty), then install what this release calls the engine and Compose v2"
    return
  fi
  refresh_lists
  wanted=$(engine_packages)
  plugins=$(compose_packages)
  from_debian_13=''
  if [ "$plugins" = from-debian-13 ]; then
    plugins='' from_debian_13=yes
  fi
  # shellcheck disable=SC2086 # lists of package names
  [ -z "$wanted$plugins" ] || install_packages $wanted $plugins
  [ -z "$from_debian_13" ] || install_compose_from_debian_13
  hash -r
}

# --- starting the daemon ------------------------------------------------------

pid_in() {
  cat "$1" 2>/dev/null || :
}

# dockerd takes any living process for itself, and for its containerd, if a stale file names it:
# after a restart of the machine or of the session the number often belongs to something else
drop_stale_pids() {
  for pair in /run/docker.pid:dockerd /run/docker/containerd/containerd.pid:containerd; do
    file=${pair%%:*} name=${pair##*:}
    if [ -e "$file" ] && ! running_as "$(pid_in "$file")" "$name"; then
      say "removing $file: no $name runs under that number"
      rm -f "$file"
    fi
  done
}

# Containers inherit the daemon's limits on open files; a shell's soft limit is too low for servers
# (dash knows -H and -S, as bash and busybox do)
# shellcheck disable=SC3045
raise_open_files() {
  hard=$(ulimit -H -n)
  case $hard in
    unlimited) ulimit -S -n 1048576 ;;
    *) ulimit -S -n "$hard" ;;
  esac
}

# The daemon outlives this shell: a session of its own, no inherited descriptors (a waiting
# pipe would hang the caller), and of the environment only what reaching a hub may need.
launch_daemon() (
  [ ! -f "$daemon_log" ] || [ "$(wc -c <"$daemon_log")" -lt 10000000 ] || mv -f "$daemon_log" "$daemon_log.1"
  raise_open_files
  umask 022
  cd /
  set -- "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
  for name in HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy; do
    eval "value=\${$name:-}"
    [ -z "$value" ] || set -- "$@" "$name=$value"
  done
  exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
  setsid -f env -i "$@" dockerd --pidfile /run/docker.pid </dev/null >>"$daemon_log" 2>&1
)

# wait_for_answer [PID]: gives up at once when that daemon ends
wait_for_answer() {
  deadline=$(($(date +%s) + answer_deadline))
  while [ "$(date +%s)" -lt "$deadline" ]; do
    engine=$(bounded 5 docker version --format '{{.Server.Version}}' 2>/dev/null) && return
    [ -z "${1:-}" ] || running_as "$1" dockerd || return
    sleep 0.2
  done
  return 1
}

# Which daemon this script started, and images.sh may therefore configure
mark_daemon() {
  cp /run/docker.pid "$daemon_mark"
}

start_with_systemd() {
  say "systemctl enable --now docker"
  bounded 120 systemctl enable --now docker >/dev/null 2>&1 && wait_for_answer && mark_daemon && return
  journalctl -u docker -n 20 --no-pager >&2 || :
  fail "the docker service did not come up within $answer_deadline s" "see: systemctl status docker"
}

start_by_hand() {
  pid=$(pid_in /run/docker.pid)
  if running_as "$pid" dockerd; then
    say "dockerd runs already (pid $pid); waiting for its answer"
    wait_for_answer "$pid" && return
  fi
  # One that was killed may take a moment to end; then there is none
  if ! running_as "$pid" dockerd; then
    drop_stale_pids
    say "starting dockerd (no init here; log $daemon_log)"
    launch_daemon
    wait_for_answer || :
  fi
  if [ -z "$engine" ]; then
    tail -n 20 "$daemon_log" >&2 2>/dev/null || :
    fail "dockerd did not answer within $answer_deadline s" \
      "its last words stand above; full log: $daemon_log" \
      "if it hangs (pid $(pid_in /run/docker.pid)), stop it, then run this again"
  fi
  [ "$(pid_in /run/docker.pid)" = "$pid" ] || mark_daemon
}

start_daemon() {
  [ -z "$engine" ] || return 0
  if [ -d /run/systemd/system ]; then
    how='systemctl enable --now docker' start=start_with_systemd
  else
    how="setsid dockerd (log $daemon_log)" start=start_by_hand
  fi
  if [ "$mode" = dry-run ]; then
    say "would start the daemon: $how"
  else
    "$start"
  fi
}

# --- all of it ----------------------------------------------------------------

one_at_a_time() {
  [ "$mode" = install ] || return 0
  exec 9>/run/stackctl-engine.lock
  flock -w 900 9 || fail "another engine.sh has held /run/stackctl-engine.lock for 15 minutes" "see: fuser -v /run/stackctl-engine.lock"
}

provide() {
  kind=$(system)
  refuse_remote
  refuse_closed_socket
  [ "$kind" = apt ] || stop_with_commands "$kind"
  [ "$mode" = dry-run ] || require_root
  one_at_a_time
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  look
  have dockerd && have docker && [ -n "$compose" ] || install_what_is_missing
  start_daemon
  [ "$mode" != dry-run ] || return 0
  look
  both_answer || fail "after all that: $(missing)" "run: docker version; docker compose version"
  report
}

main() {
  parse "$@"
  old_compose=''
  look
  if both_answer; then
    report
    say "nothing to do"
  elif [ "$mode" = check ]; then
    refuse_closed_socket
    fail "$(missing)" "run: $root/engine.sh"
  else
    provide
  fi
}

main "$@"
