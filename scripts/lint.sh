#!/bin/sh
# Runs every static check, all of them even where one fails.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/images/shell.sh"
tools=$root/.venv-dev/bin
failed=''

usage() {
  cat <<'USAGE'
usage: scripts/lint.sh [--fix | --help]

Checks style, types, the arrow between layers, shell scripts, generated docs, and that no committed
file names this machine's folders or a package registry. --fix rewrites what can be rewritten.
Uses the tools in .venv-dev, and makes it where it is missing.
USAGE
}

check() {
  name=$1
  shift
  if output=$("$@" 2>&1); then
    say "passed: $name"
  else
    say "failed: $name"
    printf '%s\n' "$output" | sed 's/^/  /'
    failed="$failed, $name"
  fi
}

# Committed files and those about to be; what lies in templates/ is Jinja first
shell_files() {
  git ls-files --cached --others --exclude-standard -- . ':!templates' | while read -r file; do
    case $file in
      *.sh) [ ! -f "$file" ] || echo "$file" ;;
      *) ! is_shell_program "$file" || echo "$file" ;;
    esac
  done
}

is_shell_program() {
  [ -f "$1" ] && head -n 1 "$1" | LC_ALL=C grep -aEq '^#! ?(/usr)?/bin/(env )?(ba|da)?sh'
}

# What a program sources is judged with it, since it uses the program's variables
shell_programs() {
  shell_files | while read -r file; do
    ! is_shell_program "$file" || echo "$file"
  done
}

on() {
  "$1" | tr '\n' '\0' | {
    shift
    xargs -0 "$@"
  }
}

# Where a package comes from is the business of each machine's own set-up. The names are put
# together here so that this file does not hold them itself.
portable() {
  dot='\.'
  hosts="pypi${dot}org|pythonhosted${dot}org|npmjs${dot}(org|com)|(deb|security)${dot}debian${dot}org"
  folders="$root/|${HOME:-/nowhere}/${dot}pyenv|file:///[a-z]"
  if git grep -nIE "$hosts|$folders" -- . ':!*.lock'; then
    echo 'these lines name a package registry, or a folder of this machine'
    return 1
  fi
}

fix() {
  "$tools/ruff" check --quiet --fix || failed=', ruff'
  "$tools/ruff" format --quiet
  on shell_files "$tools/shfmt" -i 2 -ci -w
  (cd scripts && sha256sum install.sh >install.sha256)
}

# A change of the installer is seen in review as one of its hash
installer_hash() {
  (cd scripts && sha256sum -c install.sha256)
}

check_all() {
  check 'ruff check' "$tools/ruff" check --output-format concise
  check 'ruff format' "$tools/ruff" format --check
  check 'mypy --strict' "$tools/mypy"
  check 'lint-imports' "$tools/lint-imports" --cache-dir .cache/import-linter
  check 'shellcheck' on shell_programs "$tools/shellcheck" --check-sourced
  check 'shfmt' on shell_files "$tools/shfmt" -i 2 -ci -d
  check 'the hash of install.sh' installer_hash
  check 'no registry, no folder of this machine' portable
  check 'generated docs' "$tools/python" scripts/docs.py --check
}

tools_then() {
  scripts/venv.sh --editable .venv-dev dev
  "$1"
}

main() {
  cd "$root"
  case ${1:-} in
    '') tools_then check_all ;;
    --fix) tools_then fix ;;
    -h | --help) usage ;;
    *)
      usage >&2
      exit 2
      ;;
  esac
  [ -z "$failed" ] || fail "not clean: ${failed#, }" "make format rewrites what can be rewritten"
}

main "$@"
