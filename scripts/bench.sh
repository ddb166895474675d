#!/bin/sh
# Runs every benchmark in bench/ in turn, on the built stackctl, and sets up what they need.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/images/shell.sh"

usage() {
  cat <<'USAGE'
usage: scripts/bench.sh [NAME... | --help]

Runs bench/NAME.py, or every program in bench/, one after the other, and prints their tables. Makes
sure of the engine, the images and .venv first. docs/benchmarks.md says what the numbers mean.
bench/watchdog.py takes 7 minutes and 200 containers: it runs by its name, or with WATCHDOG=1.
bench/swarm.py makes a Swarm of three nodes and up to 300 containers: it runs by its name.
USAGE
}

set_up() {
  scripts/engine.sh
  scripts/images.sh --test
  scripts/venv.sh .venv runtime build
}

# run NAME: on the stackctl that people run, a built one, not src/
run() {
  say "bench/$1.py"
  PATH=$root/.venv/bin:$PATH .venv/bin/python "bench/$1.py" </dev/null || failed="$failed, $1"
}

main() {
  cd "$root"
  case ${1:-} in
    -h | --help)
      usage
      exit 0
      ;;
    '')
      for script in bench/*.py; do
        name=${script#bench/}
        [ "$name" != watchdog.py ] || [ -n "${WATCHDOG:-}" ] || continue
        [ "$name" != swarm.py ] || continue
        ! grep -q __main__ "$script" || set -- "$@" "${name%.py}"
      done
      ;;
  esac
  for name in "$@"; do
    [ -f "bench/$name.py" ] || fail "there is no bench/$name.py" "run all of them: make bench"
  done
  set_up
  failed=''
  for name in "$@"; do
    run "$name"
  done
  [ -z "$failed" ] || fail "a bound was missed or a benchmark failed: ${failed#, }" "run it alone: scripts/bench.sh NAME"
}

main "$@"
