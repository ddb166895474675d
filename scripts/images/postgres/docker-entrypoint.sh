#!/bin/bash
# Starts PostgreSQL as the official image documents it, and initialises it first where PGDATA
# is empty. Until that is done, the server is reachable neither by TCP nor at its usual socket.
set -Eeuo pipefail
shopt -s nullglob

die() {
  printf 'error: %s\n' "$1" >&2
  shift
  (($# == 0)) || printf 'hint: %s\n' "$@" >&2
  exit 1
}

note() {
  printf 'docker-entrypoint.sh: %s\n' "$*"
}

# from_file NAME DEFAULT: NAME, or what stands in the file that NAME_FILE names
from_file() {
  local name=$1 file=${1}_FILE
  [[ -z ${!name:-} || -z ${!file:-} ]] || die "$name and $file are both set" "set one of them"
  if [[ -n ${!file:-} ]]; then
    [[ -r ${!file} ]] || die "$file names ${!file}, which user $(id -u) cannot read"
    export "$name=$(<"${!file}")"
  else
    export "$name=${!name:-$2}"
  fi
  unset "$file"
}

# --- who runs it ----------------------------------------------------------------

# Without DAC_OVERRIDE root cannot look into another user's directory, but may still give it away
give_to_postgres() {
  [[ $(stat -c %u "$1") == "$(id -u postgres)" ]] || chown -R postgres:postgres "$1" 2>/dev/null || chown postgres:postgres "$1"
}

drop_root() {
  local become=(setpriv --reuid=postgres --regid=postgres --init-groups --)
  "${become[@]}" true 2>/dev/null || die "root may not become the user postgres: the capabilities SETUID and SETGID are missing" \
    "add CHOWN, SETUID and SETGID with cap_add, or set user: to the owner of $PGDATA"
  mkdir -p "$PGDATA"
  give_to_postgres "$PGDATA"
  give_to_postgres /var/run/postgresql
  if [[ -n ${POSTGRES_INITDB_WALDIR:-} ]]; then
    mkdir -p "$POSTGRES_INITDB_WALDIR"
    give_to_postgres "$POSTGRES_INITDB_WALDIR"
  fi
  exec "${become[@]}" "$0" "$@"
}

make_scratch() {
  # /dev/shm is writable even where the root file system is read-only
  scratch=$(mktemp -d 2>/dev/null || mktemp -d -p /dev/shm)
}

# initdb insists on a name for its user; an arbitrary `user:` has none
name_this_user() {
  ! getent passwd "$(id -u)" >/dev/null || return 0
  printf 'postgres:x:%s:%s:PostgreSQL:%s:/bin/false\n' "$(id -u)" "$(id -g)" "$PGDATA" >"$scratch/passwd"
  printf 'postgres:x:%s:\n' "$(id -g)" >"$scratch/group"
  export NSS_WRAPPER_PASSWD=$scratch/passwd NSS_WRAPPER_GROUP=$scratch/group LD_PRELOAD=libnss_wrapper.so
}

forget_name() {
  unset NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
  [[ ${LD_PRELOAD:-} != libnss_wrapper.so ]] || unset LD_PRELOAD
}

# --- initialising ---------------------------------------------------------------

require_password() {
  [[ -n ${POSTGRES_PASSWORD:-} || ${POSTGRES_HOST_AUTH_METHOD:-} == trust ]] || die \
    "the database is not initialised and no superuser password is given" \
    "set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE to a non-empty value" \
    "or POSTGRES_HOST_AUTH_METHOD=trust, which lets everybody in without a password"
  [[ ${POSTGRES_HOST_AUTH_METHOD:-} != trust ]] || note "warning: POSTGRES_HOST_AUTH_METHOD=trust lets everybody in without a password"
}

# Data that no client ever saw: a start that was killed leaves them behind
clear_unfinished() {
  [[ -e $PGDATA/.initdb || -e $PGDATA/.init-pending ]] || return 0
  note "an earlier initialisation was cut off; starting over"
  find "$PGDATA" ${POSTGRES_INITDB_WALDIR:+"$POSTGRES_INITDB_WALDIR"} -mindepth 1 -delete
}

# Bash delivers a signal only between commands or in `wait`
interruptible() {
  "$@" &
  child=$!
  wait "$child"
}

interrupted() {
  trap - INT TERM
  kill -TERM "$child" 2>/dev/null || :
  pg_ctl --silent -D "$PGDATA" -m immediate stop 2>/dev/null || :
  rm -rf "$scratch"
  exit 130
}

run_initdb() {
  local -a options=(--pgdata="$PGDATA/.initdb" --no-instructions --username="$POSTGRES_USER")
  if [[ -n ${POSTGRES_PASSWORD:-} ]]; then
    (umask 077 && printf '%s\n' "$POSTGRES_PASSWORD" >"$scratch/password")
    options+=(--pwfile="$scratch/password")
  fi
  [[ -z ${POSTGRES_INITDB_WALDIR:-} ]] || options+=(--waldir="$POSTGRES_INITDB_WALDIR")
  eval "options+=($POSTGRES_INITDB_ARGS)"
  interruptible initdb "${options[@]}"
  rm -f "$scratch/password"
}

allow_hosts() {
  local method=${POSTGRES_HOST_AUTH_METHOD:-}
  [[ -n $method ]] || method=$(postgres -D "$PGDATA/.initdb" -C password_encryption)
  printf '\nhost all all all %s\n' "$method" >>"$PGDATA/.initdb/pg_hba.conf"
}

# PG_VERSION goes last: it is what says that there is a cluster
move_into_place() {
  local entry
  touch "$PGDATA/.init-pending"
  for entry in "$PGDATA/.initdb"/*; do
    [[ $entry == */PG_VERSION ]] || mv "$entry" "$PGDATA/"
  done
  mv "$PGDATA/.initdb/PG_VERSION" "$PGDATA/"
  rmdir "$PGDATA/.initdb"
}

start_unreachable() {
  export PGHOST=$scratch PGPASSWORD=${PGPASSWORD:-$POSTGRES_PASSWORD}
  pg_ctl -D "$PGDATA" -w -o "$(printf '%q ' "${@:2}" -c listen_addresses= -c "unix_socket_directories=$scratch" -c unix_socket_permissions=0700)" start
}

sql() {
  psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" "$@"
}

create_database() {
  [[ $POSTGRES_DB == postgres ]] || interruptible createdb --no-password --username "$POSTGRES_USER" --maintenance-db postgres -- "$POSTGRES_DB"
}

source_script() {
  # shellcheck source=/dev/null
  . "$1"
}

run_init_script() {
  note "running $1"
  case $1 in
    *.sh)
      if [[ -x $1 ]]; then
        interruptible "$1"
      else
        interruptible source_script "$1"
      fi
      ;;
    *.sql) interruptible sql -f "$1" ;;
    *.sql.gz) gunzip -c "$1" | sql -f - ;;
    *.sql.xz) xzcat "$1" | sql -f - ;;
    *.sql.zst) zstd -dc "$1" | sql -f - ;;
    *) note "ignoring $1" ;;
  esac
}

initialise() {
  require_password
  clear_unfinished
  [[ -z $(ls -A "$PGDATA") || $(ls -A "$PGDATA") == lost+found ]] || die \
    "$PGDATA is not empty, and no PostgreSQL data directory" "mount an empty directory there, or one that PostgreSQL made"
  trap interrupted INT TERM
  run_initdb
  allow_hosts
  move_into_place
  start_unreachable "$@"
  create_database
  local script
  for script in /docker-entrypoint-initdb.d/*; do
    run_init_script "$script"
  done
  pg_ctl -D "$PGDATA" -m fast -w stop
  unset PGHOST PGPASSWORD
  rm "$PGDATA/.init-pending"
  trap - INT TERM
  note "initialised; starting"
}

prepare() {
  mkdir -p "$PGDATA" 2>/dev/null && [[ -w $PGDATA ]] || die "user $(id -u) cannot write $PGDATA" "give that directory to user $(id -u)"
  # initdb and the server refuse wider rights; another user's directory fails there, with their words
  chmod 0700 "$PGDATA" 2>/dev/null || :
  child='' scratch=''
  [[ ! -s $PGDATA/PG_VERSION || -e $PGDATA/.init-pending ]] || return 0
  make_scratch
  name_this_user
  from_file POSTGRES_PASSWORD ''
  from_file POSTGRES_USER postgres
  from_file POSTGRES_DB "$POSTGRES_USER"
  from_file POSTGRES_INITDB_ARGS ''
  initialise "$@"
  forget_name
  rm -rf "$scratch"
}

only_asks() {
  local argument
  for argument in "$@"; do
    case $argument in
      -\? | --help | --describe-config | -V | --version) return 0 ;;
    esac
  done
  return 1
}

[[ ${1:-} != -* ]] || set -- postgres "$@"
if [[ ${1:-} == postgres ]] && ! only_asks "$@"; then
  [[ $(id -u) != 0 ]] || drop_root "$@"
  prepare "$@"
fi
exec "$@"
