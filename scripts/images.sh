#!/bin/sh
# Fills a local registry with images built from Debian's packages, for machines that reach no hub.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=images/shell.sh
. "$root/images/shell.sh"

release=bookworm
home=${STACKCTL_IMAGES_HOME:-/var/lib/stackctl-images}
registry=127.0.0.1:5000
daemon_file=/etc/docker/daemon.json
mode=provide
wanted=busybox:1.35
test_option=''
test_images='python:3.11 postgres:15 redis:7.0 nginx:1.22'

usage() {
  cat <<'USAGE'
usage: scripts/images.sh [--test] [--check | --dry-run | --clean | --help]

For machines that reach no image hub: builds images from Debian 12's packages, under their
everyday names, and serves them from a registry on 127.0.0.1:5000 that the Docker daemon uses
as its mirror. Where the hub answers, or the images are there already, it changes nothing.

  --test     also python:3.11, postgres:15, redis:7.0, nginx:1.22 (without it: busybox:1.35)
  --check    only say whether the images are there: exit code 0 or 1
  --dry-run  print what would be done, change nothing
  --clean    remove what this script made: images, registry and its data, the mirror's entry
  --help     this text

Needs root and an engine (scripts/engine.sh), and never calls sudo itself.
STACKCTL_DEBIAN_MIRROR=URL  a Debian mirror to use instead of the one in apt's own sources
STACKCTL_IMAGES_HOME=DIR    where the registry and its data live (/var/lib/stackctl-images)
USAGE
}

choose() {
  [ "$mode" = provide ] || misuse "--$mode and $1 exclude each other"
  mode=${1#--}
}

misuse() {
  printf 'error: %s\n' "$1" >&2
  usage >&2
  exit 2
}

parse() {
  for argument in "$@"; do
    case $argument in
      --test) wanted="busybox:1.35 $test_images" test_option=' --test' ;;
      --check | --dry-run | --clean) choose "$argument" ;;
      -h | --help)
        usage
        exit 0
        ;;
      *) misuse "unknown option $argument" ;;
    esac
  done
}

# --- preconditions --------------------------------------------------------------

require_local_engine() {
  endpoint=${DOCKER_HOST:-$(bounded 10 docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null || :)}
  case $endpoint in
    '' | unix://*) ;;
    *) fail "the engine is remote ($endpoint), and a registry on this machine is out of its reach" \
      "run this script on that machine" ;;
  esac
  bounded 10 docker version >/dev/null 2>&1 || fail "no Docker engine answers" "run: $root/engine.sh"
}

require_root() {
  is_root || fail "keeping a registry in $home needs root" "run: sudo $root/images.sh$test_option"
}

require_debian_tools() {
  ! { have dpkg-deb && have apt-get; } || return 0
  fail "images are built from Debian's packages, and this system has no apt" \
    "run this script on a Debian or Ubuntu machine, then carry the images over: docker save IMAGE | ssh HOST docker load"
}

one_at_a_time() {
  exec 9>/run/stackctl-images.lock
  flock -w 900 9 || fail "another images.sh has held /run/stackctl-images.lock for 15 minutes" "see: fuser -v /run/stackctl-images.lock"
}

# --- what is there ----------------------------------------------------------------

label() {
  docker image inspect --format "{{index .Config.Labels \"$2\"}}" "$1" 2>/dev/null
}

folder_of() {
  printf '%s/images/%s\n' "$root" "${1%%:*}"
}

hash_of() {
  (cd "$1" && find . -type f | LC_ALL=C sort | while read -r file; do sha256sum "$file"; done) | sha256sum | cut -c 1-16
}

# wanted_content IMAGE: what its folder, and the base below it, amount to
wanted_content() {
  case $1 in
    busybox:*) printf '%s-%s\n' "$release" "$(hash_of "$(folder_of "$1")")" ;;
    *) printf '%s-%s-%s\n' "$release" "$(hash_of "$root/images/base")" "$(hash_of "$(folder_of "$1")")" ;;
  esac
}

stored() {
  [ -e "$home/data/docker/registry/v2/repositories/library/${1%%:*}/_manifests/tags/${1##*:}/current/link" ]
}

# state_of IMAGE: absent, foreign (not made here, so left alone), outdated, unstored (not in the
# registry) or current
state_of() {
  if ! content=$(label "$1" stackctl.image.content); then
    echo absent
  elif [ -z "$content" ]; then
    echo foreign
  elif [ "$content" != "$(wanted_content "$1")" ]; then
    echo outdated
  elif ! stored "$1"; then
    echo unstored
  else
    echo current
  fi
}

# --- the registry -----------------------------------------------------------------

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

# --- the daemon's mirror ------------------------------------------------------------

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

# --- building -----------------------------------------------------------------------

debian_lists() {
  [ ! -e "$scratch/apart/ready" ] || return 0
  mkdir -p "$scratch/apart"
  write_debian_sources "$release" "$scratch/apart/sources.list" || fail "apt's sources name no Debian archive" \
    "name one: STACKCTL_DEBIAN_MIRROR=URL $root/images.sh"
  apart "$scratch/apart" apt-get update >"$scratch/log" 2>&1 || show_log "this machine's mirror does not serve Debian $release" \
    "name one that does: STACKCTL_DEBIAN_MIRROR=URL $root/images.sh"
  touch "$scratch/apart/ready"
}

show_log() {
  tail -n 20 "$scratch/log" >&2
  fail "$@"
}

# unpack PACKAGE: its files, in the scratch folder, with nothing installed
unpack() {
  debian_lists
  (cd "$scratch" && apart "$scratch/apart" apt-get download "$1") >"$scratch/log" 2>&1 || show_log "could not download $1" "is the mirror reachable?"
  dpkg-deb -x "$scratch/$1"_*.deb "$scratch/$1"
}

version_of() {
  debian_lists
  apart "$scratch/apart" apt-cache show --no-all-versions "$1" | sed -n 's/^Version: //p' | head -n 1
}

# apt's way to the mirror, where there is a proxy; as build arguments they stay out of the image
apt_proxy() {
  for scheme in http https; do
    eval "value=\${${scheme}_proxy:-}"
    [ -n "$value" ] || value=$(apt-config dump --format '%v%n' "Acquire::$scheme::Proxy" | head -n 1)
    case $value in
      '' | DIRECT) ;;
      *) export "${scheme}_proxy=$value" ;;
    esac
  done
}

# A frozen mirror's lists look expired; where this machine's apt is told not to mind, so are the images'
validity_options() {
  apt-config dump --format '%f=%v%n' Acquire::Check-Valid-Until Acquire::Check-Date | while IFS='=' read -r option value; do
    [ -z "$value" ] || printf -- '--aptopt=%s "%s"\n' "$option" "$value"
  done
}

ensure_mmdebstrap() {
  ! have mmdebstrap || return 0
  say "apt-get install mmdebstrap"
  DEBIAN_FRONTEND=noninteractive bounded 300 apt-get -qq -y -o DPkg::Lock::Timeout=300 install --no-install-recommends mmdebstrap >"$scratch/log" 2>&1 ||
    show_log "could not install mmdebstrap" "the reason stands above; put it right, then run this again"
}

ensure_base() {
  base=stackctl-base:$release
  base_content=$release-$(hash_of "$root/images/base")
  [ "$(label "$base" stackctl.image.content || :)" != "$base_content" ] || return 0
  ensure_mmdebstrap
  debian_lists
  apt_proxy
  say "making the base: Debian $release"
  set --
  while IFS= read -r option; do
    set -- "$@" "--dpkgopt=$option"
  done <"$root/images/base/dpkg.cfg"
  validity_options >"$scratch/options"
  while IFS= read -r option; do
    set -- "$@" "$option"
  done <"$scratch/options"
  # shellcheck disable=SC2016 # $1 is the hook's
  # Without the hook the merged /usr comes from a package that brings all of perl
  bounded 900 mmdebstrap --quiet --mode=root --variant=apt "$@" \
    --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --include=usr-is-merged \
    --customize-hook="upload '$root/images/base/apt.conf' /etc/apt/apt.conf.d/90image" \
    --customize-hook='rm -f "$1"/var/cache/apt/*.bin' \
    "$release" "$scratch/base.tar" "$scratch/apart/sources.list" >"$scratch/log" 2>&1 ||
    show_log "mmdebstrap could not make the base" "the reason stands above; put it right, then run this again"
  old=$(id_of "$base")
  docker import --change "LABEL stackctl.image.content=$base_content" --change 'CMD ["bash"]' \
    --change "LABEL stackctl.image.built-from=\"Debian $release, mmdebstrap --variant=apt\"" "$scratch/base.tar" "$base" >/dev/null
  rm -f "$scratch/base.tar"
  [ -z "$old" ] || docker rmi "$old" >/dev/null 2>&1 || :
}

package_of() {
  case $1 in
    busybox:*) echo busybox-static ;;
    python:*) echo python3 ;;
    postgres:*) echo postgresql-15 ;;
    redis:*) echo redis-server ;;
    nginx:*) echo nginx ;;
  esac
}

# build IMAGE: as the registry's name of it, so that the everyday name always comes from a pull
build() {
  package=$(package_of "$1")
  context=$scratch/context-${1%%:*}
  cp -R "$(folder_of "$1")" "$context"
  set -- "$1" --network=host
  if [ "$package" = busybox-static ]; then
    unpack busybox-static
    install -m 0755 "$scratch/busybox-static/bin/busybox" "$context/busybox"
  else
    ensure_base
    set -- "$@" --build-arg "BASE=$base" --build-arg http_proxy --build-arg https_proxy
  fi
  version=$(version_of "$package")
  say "building $1 from $package $version"
  name=$1
  shift
  bounded 1800 docker build --quiet "$@" \
    --label "stackctl.image.content=$(wanted_content "$name")" \
    --label "stackctl.image.built-from=Debian $release, package $package $version" \
    --label "org.opencontainers.image.title=${name%%:*}" \
    --label "org.opencontainers.image.version=${name##*:}" \
    --label "org.opencontainers.image.description=Stands in for the official image where no hub is reachable; built by stackctl's scripts/images.sh from Debian's package $package, not by that image's publisher" \
    --label "org.opencontainers.image.created=$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
    --tag "$registry/library/$name" "$context" >"$scratch/log" 2>&1 ||
    show_log "could not build $name" "the reason stands above; put it right, then run this again"
}

push() {
  if [ -z "$pushing" ]; then
    start_registry writable
    pushing=yes
  fi
  say "pushing $1"
  bounded 900 docker push --quiet "$registry/library/$1" >"$scratch/log" 2>&1 || show_log "could not push $1 to $registry" "its log: $home/registry.log"
}

# fetch IMAGE: under its everyday name, from the mirror or, where the daemon is not ours, by a tag
fetch() {
  if [ -n "$mirror" ]; then
    bounded 120 docker pull --quiet "$1" >"$scratch/log" 2>&1 || show_log "the daemon cannot pull $1 from its mirror" "is the registry's log quiet? $home/registry.log"
  else
    bounded 120 docker pull --quiet "$registry/library/$1" >"$scratch/log" 2>&1 || show_log "the daemon cannot pull from $registry" "is it on this machine?"
    docker tag "$registry/library/$1" "$1"
  fi
  [ -z "$mirror" ] || docker rmi "$registry/library/$1" >/dev/null 2>&1 || :
}

id_of() {
  docker image inspect --format '{{.Id}}' "$1" 2>/dev/null || :
}

# replace IMAGE: by the one just pushed; what it was before goes, unless a container holds it
replace() {
  old=$(id_of "$1")
  fetch "$1"
  [ -z "$old" ] || [ "$old" = "$(id_of "$1")" ] || docker rmi "$old" >/dev/null 2>&1 || :
}

# --- providing ------------------------------------------------------------------------

hub_gives() {
  [ "$hub" != unreachable ] || return 1
  say "asking the hub for $1"
  limit_now=30
  [ "$hub" != reachable ] || limit_now=900
  if bounded "$limit_now" docker pull --quiet "$1" >/dev/null 2>&1 && [ "$(state_of "$1")" = foreign ]; then
    hub=reachable
    return 0
  fi
  [ "$hub" = reachable ] || hub=unreachable
  return 1
}

prepare_local() {
  require_debian_tools
  ensure_registry
  mirror=yes
  ensure_mirror || {
    mirror=''
    say "this daemon is not ours to configure: images are pulled from $registry and tagged instead"
  }
}

provide() {
  image=$1
  state=$(state_of "$image")
  if [ "$state" = absent ] && stored "$image"; then
    prepare_local
    fetch "$image"
    state=$(state_of "$image")
  fi
  case $state in
    current | foreign) return 0 ;;
    absent) ! hub_gives "$image" || return 0 ;;
  esac
  prepare_local
  if [ "$state" = unstored ]; then
    docker tag "$image" "$registry/library/$image"
  else
    build "$image"
  fi
  push "$image"
  replace "$image"
}

provide_all() {
  require_root
  one_at_a_time
  make_scratch
  for name in $wanted; do
    provide "$name"
  done
  finish_pushing
  [ -z "$(with_state current)" ] || prepare_local
  report
}

# with_state STATE...: which of the wanted images are in one of them
with_state() {
  for name in $wanted; do
    for state in "$@"; do
      [ "$(state_of "$name")" != "$state" ] || printf '%s ' "$name"
    done
  done
}

report() {
  made=$(with_state current)
  given=$(with_state foreign)
  [ -z "$given" ] || say "not made here, and left as they are: $given"
  [ -z "$made" ] || say "made here, served from $registry: $made"
}

check() {
  missing=$(with_state absent outdated unstored)
  [ -z "$missing" ] || fail "not there, or not up to date: $missing" "run: $root/images.sh$test_option"
  if [ -n "$(with_state current)" ] && ! registry_serves; then
    fail "the images are there, and their registry on $registry does not run" "run: $root/images.sh$test_option"
  fi
  report
}

dry_run() {
  for name in $wanted; do
    case $(state_of "$name") in
      current) say "$name: made here and up to date, nothing to do" ;;
      foreign) say "$name: not made here, would be left as it is" ;;
      outdated) say "$name: would build it anew, its folder has changed" ;;
      unstored) say "$name: would push it to the registry on $registry" ;;
      absent)
        if stored "$name"; then
          say "$name: would pull it from the registry on $registry"
        else
          say "$name: would ask the hub; without an answer, would build it from Debian $release's $(package_of "$name"), push it to $registry and pull it from there"
        fi
        ;;
    esac
  done
  registry_runs || say "the registry would be started on $registry where an image made here needs it"
  mirrored || say "the daemon would get http://$registry as its mirror ($daemon_file) where an image made here needs it"
}

# --- cleaning ---------------------------------------------------------------------------

clean() {
  require_root
  one_at_a_time
  left=''
  for name in $(docker images --filter label=stackctl.image.content --format '{{if eq .Tag "<none>"}}{{.ID}}{{else}}{{.Repository}}:{{.Tag}}{{end}}'); do
    say "removing $name"
    docker rmi "$name" >/dev/null 2>&1 || left="$left $name"
  done
  remove_mirror
  stop_registry
  if [ -e "$home/registry.yml" ]; then
    say "removing $home"
    rm -rf "$home"
  fi
  [ -z "$left" ] || fail "still in use by containers:$left" "remove those containers, then run this again"
  say "clean; kept: the engine, its build cache (docker builder prune) and the package mmdebstrap"
}

# --- all of it ----------------------------------------------------------------------------

make_scratch() {
  scratch=$(mktemp -d)
  chmod 0755 "$scratch"
  trap leave EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

leave() {
  code=$?
  trap - EXIT
  rm -rf "$scratch"
  if [ -n "$pushing" ]; then
    pushing=''
    (start_registry readonly) || :
  fi
  exit "$code"
}

main() {
  parse "$@"
  scratch='' pushing='' mirror='' hub=''
  require_local_engine
  case $mode in
    check) check ;;
    dry-run) dry_run ;;
    clean) clean ;;
    provide) provide_all ;;
  esac
}

main "$@"
