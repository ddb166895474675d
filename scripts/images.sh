#!/bin/sh
# Fills a local registry with images built from Debian's packages, for machines that reach no hub.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=images/shell.sh
. "$root/images/shell.sh"
# shellcheck source=images/registry.sh
. "$root/images/registry.sh"
# shellcheck source=images/mirror.sh
. "$root/images/mirror.sh"
# shellcheck source=images/build.sh
. "$root/images/build.sh"

release=bookworm
home=${STACKCTL_IMAGES_HOME:-/var/lib/stackctl-images}
registry=${STACKCTL_IMAGES_REGISTRY:-127.0.0.1:5000}
daemon_file=/etc/docker/daemon.json
mode=provide
wanted=busybox:1.35
test_option=''
test_images='python:3.11 postgres:15 redis:7.0 nginx:1.22 mariadb:10.11 rabbitmq:3.10 nats:2.9-alpine memcached:1.6'

usage() {
  cat <<'USAGE'
usage: scripts/images.sh [--test] [--check | --dry-run | --clean | --help]

For machines that reach no image hub: builds images from Debian 12's packages, under their
everyday names, and serves them from a registry on 127.0.0.1:5000 that the Docker daemon uses
as its mirror. Where the hub answers, or the images are there already, it changes nothing.

  --test     also what the tests need: python:3.11, nginx:1.22, postgres:15, redis:7.0, mariadb:10.11,
             rabbitmq:3.10, nats:2.9-alpine, memcached:1.6 (without it: busybox:1.35)
  --check    only say whether the images are there: exit code 0 or 1
  --dry-run  print what would be done, change nothing
  --clean    remove what this script made: images, registry and its data, the mirror's entry
  --help     this text

Needs root and an engine (scripts/engine.sh), and never calls sudo itself.
STACKCTL_DEBIAN_MIRROR=URL         a Debian mirror to use instead of the one in apt's own sources
STACKCTL_IMAGES_HOME=DIR           where the registry and its data live (/var/lib/stackctl-images)
STACKCTL_IMAGES_REGISTRY=ADDRESS   where it listens (127.0.0.1:5000)
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
  endpoint=$(engine_endpoint)
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

# --- providing ------------------------------------------------------------------------

hub_gives() {
  [ "$hub" != unreachable ] || return 1
  say "asking the hub for $1"
  limit_now=30
  [ "$hub" != reachable ] || limit_now=900
  if patiently "$limit_now" docker pull --quiet "$1" >/dev/null 2>&1 && [ "$(state_of "$1")" = foreign ]; then
    hub=reachable
    return 0
  fi
  [ "$hub" = reachable ] || hub=unreachable
  return 1
}

prepare_local() {
  [ -z "$prepared" ] || return 0
  prepared=yes
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
  [ "$hub" != reachable ] || say "the hub answers, so nothing needs to be built here"
  [ -z "$given" ] || say "there already, not made here: $given"
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
  say "clean; kept: the engine, its build cache (docker builder prune) and the packages it installed (mmdebstrap)"
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
  if [ -n "$child" ]; then
    kill "$child" 2>/dev/null || :
    wait "$child" || :
  fi
  rm -rf "$scratch"
  if [ -n "$pushing" ]; then
    pushing=''
    (start_registry readonly) || :
  fi
  exit "$code"
}

main() {
  parse "$@"
  scratch='' child='' pushing='' prepared='' mirror='' hub=''
  require_local_engine
  case $mode in
    check) check ;;
    dry-run) dry_run ;;
    clean) clean ;;
    provide) provide_all ;;
  esac
}

main "$@"
