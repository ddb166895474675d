#!/bin/sh
# Removes what make made in this checkout, and nothing else.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)

usage() {
  cat <<'USAGE'
usage: scripts/clean.sh [--help]

Takes the demo's environment down (its data stays), ends a supervisor that was started from here, then removes the virtual environments that
scripts/venv.sh made here, .cache, build, dist, site and Python's compiled files. Says how to remove the rest.
USAGE
}

# Other checkouts may run a hello of their own
demo_stands() {
  .venv/bin/stackctl list --json 2>/dev/null | .venv/bin/python -c '
import json, sys
listed = json.load(sys.stdin)["data"]["environments"]
mine = [one for one in listed if one["stack"] == "hello" and one["root"] == sys.argv[1]]
sys.exit(not any(one["ended"] is None for one in mine))' "$(pwd -P)" 2>/dev/null
}

take_demo_down() {
  [ -x .venv/bin/stackctl ] && demo_stands || return 0
  .venv/bin/stackctl down hello || {
    echo 'error: the demo could not be taken down; nothing was removed' >&2
    echo 'hint: see: .venv/bin/stackctl status hello' >&2
    exit 1
  }
}

# A supervisor that was started from here would go on with a package that is gone. What it watches runs on,
# and the next `up` of any checkout starts another.
stop_supervisor() {
  [ -x .venv/bin/stackctl ] || return 0
  pid=$(.venv/bin/stackctl supervise --status --json 2>/dev/null | .venv/bin/python -c '
import json, sys
print(json.load(sys.stdin)["data"]["pid"] or "")' 2>/dev/null) || pid=''
  [ -n "$pid" ] || return 0
  if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF "$(pwd -P)/.venv/"; then
    .venv/bin/stackctl supervise --stop || :
  fi
}

remove_environments() {
  for folder in .venv .venv-*; do
    if [ -d "$folder/made-by-stackctl" ]; then
      echo "removing $folder"
      rm -rf "$folder"
    fi
  done
}

remove_rest() {
  for folder in .cache build dist site; do
    [ ! -e "$folder" ] || echo "removing $folder"
    rm -rf "$folder"
  done
  for folder in src tests bench scripts docs; do
    [ ! -d "$folder" ] || find "$folder" -type d -name __pycache__ -prune -exec rm -rf {} +
  done
}

say_what_stays() {
  cat <<'TEXT'
What stays, and how to remove it:
  images made here, their registry   scripts/images.sh --clean
  the Docker engine                  apt-get purge docker.io docker-compose docker-buildx
  the demo's data                    stackctl purge hello (before make clean)
TEXT
}

main() {
  case ${1:-} in
    '') ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      usage >&2
      exit 2
      ;;
  esac
  cd "$root"
  take_demo_down
  stop_supervisor
  remove_environments
  remove_rest
  say_what_stays
}

main "$@"
