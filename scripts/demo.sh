#!/bin/sh
# From a bare machine to a running, bounded stack, and what to type next.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/images/shell.sh"

usage() {
  cat <<'USAGE'
usage: scripts/demo.sh [--help]

Sets up what is missing (python3-venv, a Docker engine with Compose, the image busybox:1.35, stackctl
in .venv), starts the stack hello, fetches its page, and shows its limits. A second run takes seconds.
USAGE
}

# state WORDS COMMAND...: "ready", or what will be done about it
state() {
  words=$1
  shift
  if "$@" >/dev/null 2>&1; then
    echo 'ready'
  else
    printf '%s\n' "$words"
  fi
}

announce() {
  python=$(scripts/pythons.sh --default)
  cat <<TEXT
This starts a small stack and proves that its limits are in force. It needs, and installs where missing:

  Python's venv module     $(state "will be installed: this system's package" "$python" -c 'import ensurepip, venv')
  Docker engine, Compose   $(state "will be installed: this system's packages" scripts/engine.sh --check)
  image busybox:1.35       $(state 'will be pulled, or built here where no hub answers' scripts/images.sh --check)
  stackctl                 in $root/.venv, with packages checked against hashes

TEXT
}

set_up() {
  scripts/engine.sh
  scripts/images.sh
  scripts/venv.sh --python "$python" .venv runtime build
}

# show COMMAND...: prints it as a person would type it, then runs it
show() {
  printf '\n$ %s\n' "$*"
  "$@"
}

# A proxy, where one is set, does not know this machine's loopback
fetch() {
  "$root/.venv/bin/python" - "$1" <<'PYTHON'
import sys
import urllib.request

opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
with opener.open(sys.argv[1], timeout=10) as page:
    print(page.read().decode().rstrip())
PYTHON
}

show_page() {
  url=$(stackctl url hello)
  printf '\n$ curl %s\n' "$url"
  fetch "$url"
}

say_what_next() {
  cat <<TEXT

It runs, and its limits are in force. What to type next:

  export PATH="$root/.venv/bin:\$PATH"

  stackctl list            # what runs, and for how long still (the line above lets this shell find stackctl)
  stackctl logs hello      # what it said
  stackctl limits hello    # what it may use, and where each number comes from
  stackctl down hello      # end it; its data stays
  stackctl new --help      # make a stack of your own

To undo: stackctl purge hello deletes its data, make clean removes .venv and says how to remove the rest.
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
  announce
  set_up
  PATH=$root/.venv/bin:$PATH
  export PATH
  show stackctl up hello
  show_page
  show stackctl status hello
  say_what_next
}

main "$@"
