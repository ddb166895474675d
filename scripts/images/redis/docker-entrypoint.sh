#!/bin/sh
# Starts redis-server as the official image does: options or a configuration file may stand
# alone, root gives way to the user redis, and other containers may connect.
set -eu

become_redis() {
  setpriv --reuid=redis --regid=redis --init-groups -- "$@"
}

drop_root() {
  if ! become_redis true 2>/dev/null; then
    echo "error: root may not become the user redis: the capabilities SETUID and SETGID are missing" >&2
    echo "hint: add CHOWN, SETUID and SETGID with cap_add, or set user: to the owner of /data" >&2
    exit 1
  fi
  if [ "$(stat -c %u /data)" != "$(id -u redis)" ]; then
    # Without DAC_OVERRIDE root cannot look into another user's directory, but may still give it away
    chown -R redis:redis /data 2>/dev/null || chown redis:redis /data
  fi
  exec setpriv --reuid=redis --regid=redis --init-groups -- "$0" "$@"
}

# protected-mode refuses every other container; the official image is built without it
unprotected() {
  case " $* " in
    *' --protected-mode '*) return 1 ;;
  esac
  case ${2:-} in
    '' | -*) ;;
    *) ! grep -qsi '^[[:space:]]*protected-mode' "$2" ;;
  esac
}

case ${1:-} in
  -* | *.conf) set -- redis-server "$@" ;;
esac
if [ "${1:-}" = redis-server ]; then
  [ "$(id -u)" -ne 0 ] || drop_root "$@"
  # A new append-only file or dump is nobody else's business
  [ "$(umask)" != 0022 ] || umask 0077
  case ${2:-} in
    -h | --help | -v | --version | --check-system | --test-memory) ;;
    *) if unprotected "$@"; then set -- "$@" --protected-mode no; fi ;;
  esac
fi
exec "$@"
