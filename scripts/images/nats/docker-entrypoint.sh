#!/bin/sh
# Starts nats-server as the official image does: options may stand alone.
set -eu

case ${1:-} in
  -*) set -- nats-server "$@" ;;
esac
exec "$@"
