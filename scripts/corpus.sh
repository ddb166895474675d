#!/bin/sh
# Runs stackctl on every compose file below a folder, and prints what came of it: `make corpus CORPUS=DIR`.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/images/shell.sh"

usage() {
  cat <<'USAGE'
usage: scripts/corpus.sh DIR [--workers N] | --help

DIR holds checkouts, each with its compose files. They are copied to a scratch folder and only read. Makes
sure of docker with Compose (scripts/engine.sh) and of .venv-dev. Exit code: 0 when everything that
docs/corpus.md lists holds of every file, 1 when something does not, 2 when there is nothing to run on.
USAGE
}

main() {
  case ${1:-} in
    -h | --help)
      usage
      exit 0
      ;;
    '')
      printf 'error: there is no folder of compose files to run on\n' >&2
      printf 'hint: make corpus CORPUS=DIR, a folder of checkouts that have compose files\n' >&2
      exit 2
      ;;
  esac
  [ -d "$1" ] || {
    printf 'error: there is no folder %s\n' "$1" >&2
    printf 'hint: make corpus CORPUS=DIR, a folder of checkouts that have compose files\n' >&2
    exit 2
  }
  folder=$(CDPATH='' cd -- "$1" && pwd)
  shift
  cd "$root"
  "$root/scripts/engine.sh"
  "$root/scripts/venv.sh" --editable .venv-dev dev
  PYTHONPATH="$root/tests" exec "$root/.venv-dev/bin/python" -m corpus "$folder" "$@"
}

main "$@"
