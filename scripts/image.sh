#!/bin/sh
# Builds an image that has stackctl as its command, for the agents of a Swarm's nodes.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/images/shell.sh"

usage() {
  cat <<'USAGE'
usage: scripts/image.sh [TAG]

Builds the image TAG (stackctl:VERSION) from this checkout, on the engine that docker reaches.

  BASE=python:3.11-slim  what it is built upon: an image with Python 3.10 or newer and its pip
  DIST=FOLDER            a folder that scripts/dist.sh made; without it, one is made and removed again
USAGE
}

main() {
  case ${1:-} in
    -h | --help)
      usage
      exit 0
      ;;
    -*)
      usage >&2
      exit 2
      ;;
  esac
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  dist=${DIST:-}
  if [ -z "$dist" ]; then
    dist=$work/dist
    "$root/scripts/dist.sh" "$dist" >&2
  fi
  wheel=$(ls "$dist"/stackctl_compose-*-py3-none-any.whl)
  version=${wheel##*/stackctl_compose-}
  version=${version%%-*}
  tag=${1:-stackctl:$version}
  mkdir "$work/context" "$work/context/wheels"
  cp "$root/scripts/agent/Dockerfile" "$work/context/"
  tar -xzf "$dist/stackctl-$version-linux-x86_64-gnu.tar.gz" -C "$work"
  find "$work" -path "$work/context" -prune -o -path "$work/dist" -prune -o -name '*.whl' -exec cp {} "$work/context/wheels/" \;
  say "building $tag upon ${BASE:-python:3.11-slim}"
  docker build -q --build-arg "BASE=${BASE:-python:3.11-slim}" -t "$tag" "$work/context" >/dev/null ||
    fail "$tag could not be built" 'the reason stands above; BASE names another image to build upon'
  say "$tag is built; every node needs it: push it to a registry that all of them reach, or load it on each"
}

main "$@"
