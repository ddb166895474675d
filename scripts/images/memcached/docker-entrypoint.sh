#!/bin/sh
# Starts memcached as the official image does: options may stand alone.
set -eu

case ${1:-} in
  -*) set -- memcached "$@" ;;
esac
exec "$@"
