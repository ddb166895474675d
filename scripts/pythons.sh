#!/bin/sh
# Finds the Python interpreters that stackctl supports on this machine.
set -eu

supported='3.10 3.11 3.12 3.13'

usage() {
  cat <<'USAGE'
usage: scripts/pythons.sh [--default | --help]

Prints a line "VERSION PATH" for each supported Python (3.10 to 3.13) that is found and runs:
on PATH, among pyenv's and uv's versions, in /usr/bin, /usr/local/bin and /opt/homebrew/bin.

  --default  print only the interpreter that make uses: $PYTHON where it is set, else python3
             on PATH, else the newest supported one that is found; fails where there is none
USAGE
}

# answer COMMAND: "VERSION PATH" of the real interpreter behind a name or a pyenv shim
answer() {
  "$1" -c 'import sys; print("%d.%d %s" % (sys.version_info[0], sys.version_info[1], sys.executable))' 2>/dev/null
}

is_supported() {
  case " $supported " in *" $1 "*) ;; *) return 1 ;; esac
}

# candidates VERSION: the likeliest first; pyenv's shims stand on PATH and fail for versions not chosen
candidates() {
  echo "python$1"
  for folder in /usr/bin /usr/local/bin /opt/homebrew/bin; do
    echo "$folder/python$1"
  done
  for python in "${PYENV_ROOT:-${HOME:-}/.pyenv}/versions/$1".*/bin/python \
    "${UV_PYTHON_INSTALL_DIR:-${HOME:-}/.local/share/uv/python}"/cpython-"$1".*/bin/"python$1"; do
    echo "$python"
  done
}

find_version() {
  candidates "$1" | while read -r python; do
    found=$(answer "$python") || continue
    if [ "${found%% *}" = "$1" ]; then
      printf '%s\n' "$found"
      break
    fi
  done
}

list() {
  for version in $supported; do
    find_version "$version"
  done
}

chosen() {
  found=$(answer "$PYTHON") || found=''
  if [ -z "$found" ]; then
    echo "error: PYTHON=$PYTHON does not run" >&2
    echo "hint: name an interpreter: make demo PYTHON=/usr/bin/python3" >&2
    exit 1
  fi
  if ! is_supported "${found%% *}"; then
    echo "error: PYTHON=$PYTHON is Python ${found%% *}, and stackctl needs one of $supported" >&2
    echo "hint: scripts/pythons.sh lists those that this machine has" >&2
    exit 1
  fi
  printf '%s\n' "${found#* }"
}

default() {
  if [ -n "${PYTHON:-}" ]; then
    chosen
    return
  fi
  found=$(answer python3) || found=''
  if ! is_supported "${found%% *}"; then
    found=$(list | tail -n 1)
  fi
  if [ -z "$found" ]; then
    echo "error: no Python that stackctl supports ($supported) was found" >&2
    echo "hint: install one, or name it: make demo PYTHON=/path/to/python3" >&2
    exit 1
  fi
  printf '%s\n' "${found#* }"
}

case ${1:-} in
  '') list ;;
  --default) default ;;
  -h | --help) usage ;;
  *)
    printf 'error: unknown option %s\n' "$1" >&2
    usage >&2
    exit 2
    ;;
esac
