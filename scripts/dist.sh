#!/bin/sh
# Builds dist/: everything that a static host needs to serve stackctl. The same commit gives the same bytes.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/images/shell.sh"

usage() {
  cat <<'USAGE'
usage: scripts/dist.sh [FOLDER]

Builds into FOLDER (dist): the wheel, its hash-pinned dependencies (requirements.txt), a bundle with the
wheels of all of them for Linux on x86_64, pip's own wheel, SHA256SUMS, and install.sh with its version, base
URL and hashes baked in. FOLDER is replaced; only one that this script made is.

  BASE_URL=https://host/path  where the files will be served; without it install.sh has to be told
  SIGNING_KEY=RW...           minisign's public key, for install.sh --verify-signature; sign SHA256SUMS yourself
  SOURCE_DATE_EPOCH=SECONDS   the time of all files; without it that of the last commit
USAGE
}

epoch() {
  if [ -n "${SOURCE_DATE_EPOCH:-}" ]; then
    printf '%s\n' "$SOURCE_DATE_EPOCH"
  else
    git log -1 --format=%ct 2>/dev/null || printf '1600000000\n'
  fi
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
  [ $# -le 1 ] || {
    usage >&2
    exit 2
  }
  cd "$root"
  folder=${1:-dist}
  python=${DIST_PYTHON:-$root/.venv-dev/bin/python}
  SOURCE_DATE_EPOCH=$(epoch)
  export SOURCE_DATE_EPOCH
  if [ -e "$folder" ] && [ ! -f "$folder/SHA256SUMS" ] && [ -n "$(ls -A "$folder")" ]; then
    fail "$folder is there and was not made by this script" "move it away, then run this again"
  fi
  # What was there stays until the new one is whole
  mkdir -p "$(dirname -- "$folder")"
  new=$(mktemp -d "${folder%/}.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  chmod 755 "$new"
  say 'building the wheel'
  "$python" -m build --wheel --no-isolation --outdir "$new" . >"$new/log" 2>&1 || {
    tail -n 15 "$new/log" >&2
    fail 'the wheel could not be built' 'the reason stands above'
  }
  rm -f "$new/log"
  say 'fetching the packages that it needs, for each Python'
  "$python" "$root/scripts/dist.py" "$new"/stackctl_compose-*.whl --epoch "$SOURCE_DATE_EPOCH" \
    --base-url "${BASE_URL:-}" --signing-key "${SIGNING_KEY:-}"
  rm -rf "$folder"
  mv "$new" "$folder"
  (cd "$folder" && wc -c -- *)
  say "$folder is whole; next: make serve rehearses the installation from it"
}

main "$@"
