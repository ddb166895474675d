#!/bin/sh
# Makes a private virtual environment with hash-checked packages and stackctl in it.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/images/shell.sh"

marker=made-by-stackctl
python=''
editable=''
with_stackctl=yes

usage() {
  cat <<'USAGE'
usage: scripts/venv.sh [--python PATH] [--editable | --without-stackctl] FOLDER NAME...

Makes FOLDER, below this checkout, a virtual environment with the packages of requirements/NAME.txt,
each checked against its hash, and with stackctl built from this checkout. Where it is there
already and nothing has changed, it does nothing. It replaces only folders that it made itself.

  --python PATH       the interpreter; without it what scripts/pythons.sh --default says
  --editable          stackctl runs from src/; without it what is there now is built and copied
  --without-stackctl  only the packages

Where Debian's or Ubuntu's Python lacks venv, installs it with apt-get (needs root).
USAGE
}

parse() {
  while [ $# -gt 0 ]; do
    case $1 in
      --python)
        [ $# -gt 1 ] || refuse 'option --python needs a value'
        python=$2
        shift
        ;;
      --editable) editable=yes ;;
      --without-stackctl) with_stackctl='' ;;
      -h | --help)
        usage
        exit 0
        ;;
      -*) refuse "unknown option $1" ;;
      *) break ;;
    esac
    shift
  done
  [ $# -gt 1 ] || refuse 'FOLDER and at least one NAME are needed'
  folder=$root/$1
  shift
  names=$*
  files=''
  for name in "$@"; do
    [ -f "$root/requirements/$name.txt" ] || refuse "there is no requirements/$name.txt"
    files="$files requirements/$name.txt"
  done
}

refuse() {
  printf 'error: %s\n' "$1" >&2
  usage >&2
  exit 2
}

# --- python's own venv --------------------------------------------------------

# Debian packages ensurepip apart from python3; then "import venv" works and making one does not
can_make_venvs() {
  "$python" -c 'import ensurepip, venv' 2>/dev/null
}

provide_venv_module() {
  can_make_venvs && return
  package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
  if ! have apt-get; then
    fail "$python has no venv module" "install it with this system's packages, or name another one: PYTHON=/path/to/python3"
  fi
  is_root || fail "$python has no venv module" "run: sudo apt-get install -y $package"
  say "apt-get install $package"
  log=$(mktemp)
  apt_install "$package" >"$log" 2>&1 || {
    tail -n 5 "$log" >&2
    fail "apt-get could not install $package" "the reason stands above; put it right, then run this again"
  }
  rm -f "$log"
  can_make_venvs || fail "$python has no venv module, even with $package installed" "name another one: PYTHON=/usr/bin/python3"
}

apt_install() {
  apt_get install --no-install-recommends "$1" && return
  apt_get update
  apt_get install --no-install-recommends "$1"
}

apt_get() {
  DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l bounded 600 apt-get -qq -y \
    -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"
}

# --- what it is made of -------------------------------------------------------

# What an environment was made from: another place, interpreter or set of pins makes it anew
ingredients() {
  printf '%s\n' "$folder" "$names" "${editable:-copied}"
  "$python" -c 'import sys; print(sys.version, sys.base_prefix)'
  cd "$root"
  # shellcheck disable=SC2086 # a list of file names without spaces
  cat $files scripts/venv.sh
}

# What stackctl was built from: an editable one follows src/ by itself
source_files() {
  cd "$root"
  if [ -n "$editable" ]; then
    cat pyproject.toml
  else
    find pyproject.toml README.md LICENSE src stacks templates -type f ! -name '*.py[co]' -print | LC_ALL=C sort | tr '\n' '\0' | xargs -0 cksum
  fi
}

sum() {
  cksum | tr ' ' '-'
}

recorded() {
  cat "$folder/$marker/$1" 2>/dev/null || :
}

works() {
  "$folder/bin/python" -c '' 2>/dev/null
}

# --- making it ----------------------------------------------------------------

# Anything may be called .venv: what this script did not make is somebody's
require_ours() {
  [ ! -e "$folder" ] || [ -d "$folder/$marker" ] ||
    fail "$folder is there and was not made by this script" "move it away, then run this again"
}

quietly() {
  "$@" >"$folder/$marker/log" 2>&1 || {
    tail -n 15 "$folder/$marker/log" >&2
    fail "could not fill $folder" "the reason stands above; full log: $folder/$marker/log"
  }
}

pip() {
  quietly "$folder/bin/python" -m pip --disable-pip-version-check --no-input install --no-warn-script-location "$@"
}

# For what is only tested here, Python compiles the few modules that it imports
make_folder() {
  require_ours
  say "making ${folder#"$root"/} with $("$python" -V 2>&1): packages of $names"
  rm -rf "$folder"
  mkdir -p "$folder/$marker"
  quietly "$python" -m venv "$folder"
  set --
  for file in $files; do
    set -- "$@" -r "$root/$file"
  done
  pip --require-hashes ${editable:+--no-compile} "$@"
  printf '%s\n' "$made_from" >"$folder/$marker/made-from"
}

# Its build tools are among the pinned packages, so nothing is fetched here
install_stackctl() {
  say "installing stackctl from this checkout${editable:+ (editable)}"
  pip --no-index --no-deps --no-build-isolation --force-reinstall ${editable:+--editable} "$root"
  printf '%s\n' "$built_from" >"$folder/$marker/built-from"
}

main() {
  parse "$@"
  [ -n "$python" ] || python=$("$root/scripts/pythons.sh" --default)
  provide_venv_module
  made_from=$(ingredients | sum)
  if [ "$(recorded made-from)" != "$made_from" ] || ! works; then
    make_folder
  fi
  [ -n "$with_stackctl" ] || return 0
  built_from=$(source_files | sum)
  if [ "$(recorded built-from)" != "$built_from" ]; then
    install_stackctl
  fi
}

main "$@"
