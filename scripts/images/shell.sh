# shellcheck shell=sh
# What engine.sh and images.sh share: how they speak, how they bound a command
# in time, and how they reach another Debian release through the mirror and key
# that the machine's own apt sources name.

started_at=$(date +%s)

say() {
  printf '[%3ds] %s\n' "$(($(date +%s) - started_at))" "$*"
}

warn() {
  printf 'warning: %s\n' "$*" >&2
}

# fail MESSAGE HINT...: one hint a line
fail() {
  printf 'error: %s\n' "$1" >&2
  shift
  for hint in "$@"; do
    printf 'hint: %s\n' "$hint" >&2
  done
  exit 1
}

have() {
  command -v "$1" >/dev/null 2>&1
}

# bounded SECONDS COMMAND...: macOS has no timeout(1); there nothing here can hang an install
bounded() {
  limit=$1
  shift
  if have timeout; then
    timeout -k 5 "$limit" "$@"
  else
    "$@"
  fi
}

# patiently SECONDS COMMAND...: the same for what takes long, so that a signal to the script ends it
# at once: a shell handles signals only between commands or in `wait`
patiently() {
  limit=$1
  shift
  timeout -k 5 "$limit" "$@" &
  child=$!
  result=0
  wait "$child" || result=$?
  child=''
  return "$result"
}

# Where the docker client looks for its engine; empty where there is no client
engine_endpoint() {
  if [ -n "${DOCKER_HOST:-}" ]; then
    printf '%s\n' "$DOCKER_HOST"
  else
    bounded 10 docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null || :
  fi
}

is_root() {
  [ "$(id -u)" -eq 0 ]
}

# running_as PID NAME: a pid file outlives its process: the number may belong to another one by
# now, or to a zombie, where no init reaps
running_as() {
  [ -n "$1" ] && grep -qs "^State:[[:space:]]*[^ZX]" "/proc/$1/status" && grep -qsx "Name:[[:space:]]*$2" "/proc/$1/status"
}

# os_field KEY: one value of os-release, unquoted
os_field() {
  sed -n "s/^$1=//p" "${STACKCTL_OS_RELEASE:-/etc/os-release}" 2>/dev/null | head -n 1 | tr -d "\"'"
}

# Prints "URI SUITE KEYRING" for each binary source with a main component that apt
# is configured with, in both of its formats; KEYRING is - where none is named.
apt_sources() {
  etc=${STACKCTL_APT_ETC:-/etc/apt}
  for list in "$etc/sources.list" "$etc"/sources.list.d/*.list; do
    [ -r "$list" ] || continue
    sed -n 's/#.*//; s/^[[:space:]]*deb[[:space:]]\{1,\}//p' "$list" | awk '{
      keyring = "-"; first = 1
      if ($1 ~ /^\[/) {
        while (first <= NF) {
          option = $first; gsub(/[\[\]]/, "", option)
          if (option ~ /^signed-by=/) keyring = substr(option, 11)
          if ($(first++) ~ /\]$/) break
        }
      }
      for (i = first + 2; i <= NF; i++) if ($i == "main") print $first, $(first + 1), keyring
    }'
  done
  for list in "$etc"/sources.list.d/*.sources; do
    [ -r "$list" ] || continue
    { cat "$list" && echo; } | awk '
      function flush_stanza(  u, s, i, j, nu, ns) {
        if (field["types"] ~ /(^| )deb( |$)/ && field["enabled"] !~ /^ *no/ && field["components"] ~ /(^| )main( |$)/) {
          nu = split(field["uris"], u, " "); ns = split(field["suites"], s, " ")
          keyring = field["signed-by"]; gsub(/^ +| +$/, "", keyring)
          if (keyring !~ /^\/[^ ]*$/) keyring = "-"
          for (i = 1; i <= nu; i++) for (j = 1; j <= ns; j++) print u[i], s[j], keyring
        }
        split("", field)
      }
      /^#/ { next }
      /^[[:space:]]*$/ { flush_stanza(); next }
      /^[[:space:]]/ { gsub(/^[[:space:]]+/, " "); field[key] = field[key] $0; next }
      { key = tolower($0); sub(/:.*/, "", key); sub(/^[^:]*:[[:space:]]*/, ""); field[key] = $0 }'
  done
}

# debian_source SUFFIX: "URI KEYRING" of the Debian archive ("" or "-security") that this machine
# uses, which only Debian itself does. Others publish suites of the same name, so the archive is
# the one that also has -updates.
debian_source() {
  [ "$(os_field ID)" = debian ] || return 0
  apt_sources | awk -v codename="$(os_field VERSION_CODENAME)" -v suffix="$1" '
    $2 == codename suffix || $2 ~ ("^(stable|oldstable|testing|oldoldstable)" suffix "$") { uri[++n] = $1; keyring[n] = $3 }
    suffix == "" && $2 ~ /-updates$/ { archive[$1] = 1 }
    END {
      for (i = 1; i <= n; i++) if (uri[i] in archive) { print uri[i], keyring[i]; exit }
      if (n) print uri[1], keyring[1]
    }'
}

# Cloud images name a file of mirrors instead of a mirror; a container cannot see that file.
plain_uri() {
  case $1 in
    mirror+file:*) sed -n '/^[a-z]/{s/[[:space:]].*//p;q;}' "${1#mirror+file:}" ;;
    *) printf '%s\n' "$1" ;;
  esac
}

debian_keyring() {
  for keyring in "$1" /usr/share/keyrings/debian-archive-keyring.gpg /usr/share/keyrings/debian-archive-keyring.pgp; do
    if [ -r "$keyring" ]; then
      printf '%s\n' "$keyring"
      return
    fi
  done
}

# write_debian_sources SUITE FILE: sources of that release alone, its security updates with it.
# STACKCTL_DEBIAN_MIRROR stands in where the machine's sources name no Debian archive (Ubuntu).
write_debian_sources() {
  found=$(debian_source "")
  uri=$(plain_uri "${STACKCTL_DEBIAN_MIRROR:-${found%% *}}")
  [ -n "$uri" ] || return 1
  keyring=$(debian_keyring "${found##* }")
  option=${keyring:+"[signed-by=$keyring] "}
  printf 'deb %s%s %s main\n' "$option" "$uri" "$1" >"$2"
  found=$(debian_source -security)
  if [ -n "$found" ] && [ -z "${STACKCTL_DEBIAN_MIRROR:-}" ]; then
    printf 'deb %s%s %s-security main\n' "$option" "$(plain_uri "${found%% *}")" "$1" >>"$2"
  fi
}

# apart FOLDER COMMAND...: an apt command that sees FOLDER/sources.list and nothing of the
# machine's own sources, lists or cache, so that the other release cannot reach its upgrades
apart() {
  folder=$1
  tool=$2
  shift 2
  mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
  bounded 300 "$tool" -qq \
    -o Dir::Etc::sourcelist="$folder/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::Lists="$folder/lists" -o Dir::Cache="$folder/cache" \
    -o APT::Sandbox::User=root -o APT::Update::Error-Mode=any -o Acquire::Retries=3 -o Acquire::http::Timeout=30 "$@"
}
