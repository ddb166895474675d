#!/bin/bash
# Starts RabbitMQ as the official image does: root gives way to the user rabbitmq, and variables that
# the image knew before 3.9 are refused. RABBITMQ_DEFAULT_USER, _PASS and _VHOST are read by the server.
set -euo pipefail

refuse_old_variables() {
  local name found=''
  for name in RABBITMQ_DEFAULT_PASS_FILE RABBITMQ_DEFAULT_USER_FILE RABBITMQ_VM_MEMORY_HIGH_WATERMARK; do
    [[ -z ${!name:-} ]] || found="$found $name"
  done
  [[ -n $found ]] || return 0
  echo "error: not known to RabbitMQ from 3.9 on:$found" >&2
  echo "hint: set RABBITMQ_DEFAULT_USER and RABBITMQ_DEFAULT_PASS, or write a file into /etc/rabbitmq/conf.d" >&2
  exit 1
}

drop_root() {
  [[ ${1:-} != rabbitmq-server ]] || chown -R rabbitmq:rabbitmq /var/lib/rabbitmq
  exec setpriv --reuid=rabbitmq --regid=rabbitmq --init-groups -- "$0" "$@"
}

if [[ ${1:-} == rabbitmq* ]]; then
  [[ $(id -u) != 0 ]] || drop_root "$@"
  refuse_old_variables
fi
exec "$@"
