#!/bin/sh
# Writes requirements/*.txt: what pyproject.toml asks for, pinned with hashes for every supported Python.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
tools=$root/.venv-resolver

usage() {
  cat <<'USAGE'
usage: scripts/requirements.sh [--upgrade | --help]

Resolves the dependencies and groups of pyproject.toml for Python 3.10 to 3.13 on every system, and
writes runtime.txt, build.txt, test.txt, dev.txt, resolver.txt and installer.txt in requirements/. Pins that still fit
stay as they are. No index is named in the files: pip takes it from the machine's own configuration.

  --upgrade  move every pin to the newest release that fits
USAGE
}

# uv keeps the pins that it finds in the output file
resolve() {
  output=requirements/$1.txt
  shift
  "$tools/bin/uv" --no-config pip compile --quiet --universal --python-version 3.10 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --custom-compile-command 'make requirements' \
    $upgrade "$@" --output-file "$output"
  echo "wrote $output"
}

main() {
  upgrade=''
  case ${1:-} in
    '') ;;
    --upgrade) upgrade=--upgrade ;;
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
  scripts/venv.sh --without-stackctl .venv-resolver resolver
  resolve runtime pyproject.toml
  resolve build --group build
  resolve test pyproject.toml --group test --constraints requirements/runtime.txt --constraints requirements/build.txt
  resolve dev pyproject.toml --group dev --constraints requirements/test.txt
  resolve resolver --group resolver
  resolve installer --group installer
}

main "$@"
