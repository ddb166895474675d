#!/bin/bash
# Starts MariaDB as the official image documents it, and initialises it first where its data directory
# holds no database. What an initialisation that is cut off leaves behind is never taken for one.
set -euo pipefail
shopt -s dotglob

data=/var/lib/mysql
half=$data/.init

die() {
  printf 'error: %s\n' "$1" >&2
  shift
  (($# == 0)) || printf 'hint: %s\n' "$@" >&2
  exit 1
}

# from_file NAME DEFAULT: NAME, or what stands in the file that NAME_FILE names
from_file() {
  local name=$1 file=${1}_FILE
  [[ -z ${!name:-} || -z ${!file:-} ]] || die "$name and $file are both set" "set one of them"
  if [[ -n ${!file:-} ]]; then
    [[ -r ${!file} ]] || die "$file names ${!file}, which user $(id -u) cannot read"
    printf -v "$name" %s "$(<"${!file}")"
  else
    printf -v "$name" %s "${!name:-$2}"
  fi
}

drop_root() {
  local become=(setpriv --reuid=mysql --regid=mysql --init-groups --)
  "${become[@]}" true 2>/dev/null || die "root may not become the user mysql: the capabilities SETUID and SETGID are missing" \
    "add CHOWN, SETUID and SETGID with cap_add, or set user: to the owner of $data"
  chown -R mysql:mysql "$data" 2>/dev/null || chown mysql:mysql "$data"
  exec "${become[@]}" "$0" "$@"
}

# literal TEXT: as a string of SQL
literal() {
  local text=${1//\\/\\\\}
  printf "'%s'" "${text//\'/\\\'}"
}

# identifier TEXT: as the name of a database
identifier() {
  printf "\`%s\`" "${1//\`/\`\`}"
}

# Anonymous users and root from elsewhere are what a fresh directory comes with; one statement a line
accounts() {
  local root_password user password database
  root_password=$(literal "$MARIADB_ROOT_PASSWORD")
  echo "delete from mysql.global_priv where user in ('', 'root') and host <> 'localhost';"
  echo "flush privileges;"
  echo "alter user root@localhost identified by $root_password;"
  if [[ $MARIADB_ROOT_HOST != localhost ]]; then
    echo "create user root@$(literal "$MARIADB_ROOT_HOST") identified by $root_password;"
    echo "grant all on *.* to root@$(literal "$MARIADB_ROOT_HOST") with grant option;"
  fi
  database=$(identifier "$MARIADB_DATABASE")
  [[ -z $MARIADB_DATABASE ]] || echo "create database $database;"
  [[ -n $MARIADB_USER && -n $MARIADB_PASSWORD ]] || return 0
  user=$(literal "$MARIADB_USER") password=$(literal "$MARIADB_PASSWORD")
  echo "create user $user@'%' identified by $password;"
  # In a grant, _ stands for any letter
  [[ -z $MARIADB_DATABASE ]] || echo "grant all on ${database//_/\\_}.* to $user@'%';"
}

# The folder mysql goes last: it is what says that there is a database
move_into_place() {
  local entry
  for entry in "$half"/*; do
    [[ $entry == "$half/mysql" ]] || mv -f "$entry" "$data/"
  done
  mv "$half/mysql" "$data/"
  rmdir "$half"
}

initialise() {
  from_file MARIADB_ROOT_PASSWORD ''
  from_file MARIADB_ROOT_HOST '%'
  from_file MARIADB_DATABASE ''
  from_file MARIADB_USER ''
  from_file MARIADB_PASSWORD ''
  [[ -n $MARIADB_ROOT_PASSWORD ]] || die "the database is not initialised and no password for root is given" \
    "set MARIADB_ROOT_PASSWORD or MARIADB_ROOT_PASSWORD_FILE to a non-empty value"
  find "$data" -mindepth 1 -delete
  mkdir -m 0700 "$half"
  echo "docker-entrypoint.sh: initialising $data"
  mariadb-install-db --datadir="$half" --auth-root-authentication-method=normal --skip-test-db --skip-name-resolve >/dev/null
  accounts | mariadbd --bootstrap --datadir="$half" --skip-log-bin
  move_into_place
}

prepare() {
  [[ -w $data ]] || die "user $(id -u) cannot write $data" "give that directory to user $(id -u)"
  [[ ! -d $data/mysql ]] || return 0
  # Nothing but what a cut-off start left, or what a file system brings, may be cleared away
  [[ -e $half || -z $(ls -A "$data") || $(ls -A "$data") == lost+found ]] || die \
    "$data is not empty, and holds no database" "mount an empty directory there, or one that MariaDB made"
  initialise
}

[[ ${1:-} != -* ]] || set -- mariadbd "$@"
case " $* " in
  *' --help '* | *' --version '* | *' -V '*) exec "$@" ;;
esac
if [[ ${1:-} == mariadbd || ${1:-} == mysqld ]]; then
  [[ $(id -u) != 0 ]] || drop_root "$@"
  prepare
  # The passwords are of no use to the server
  unset MARIADB_ROOT_PASSWORD MARIADB_PASSWORD
fi
exec "$@"
