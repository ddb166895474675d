# shellcheck shell=sh
# shellcheck disable=SC2154 # what is not set here is set in images.sh
# How an image is made from Debian's packages, and how it reaches its everyday name.

debian_lists() {
  [ ! -e "$scratch/apart/ready" ] || return 0
  mkdir -p "$scratch/apart"
  write_debian_sources "$release" "$scratch/apart/sources.list" || fail "apt's sources name no Debian archive, and these images are built from Debian $release" \
    "name one: STACKCTL_DEBIAN_MIRROR=URL $root/images.sh"
  if [ -z "$(debian_keyring -)" ]; then
    install_package debian-archive-keyring
    write_debian_sources "$release" "$scratch/apart/sources.list"
  fi
  apart "$scratch/apart" apt-get update >"$scratch/log" 2>&1 || show_log "this machine's mirror does not serve Debian $release" \
    "name one that does: STACKCTL_DEBIAN_MIRROR=URL $root/images.sh"
  touch "$scratch/apart/ready"
}

show_log() {
  tail -n 20 "$scratch/log" >&2
  fail "$@"
}

# unpack PACKAGE: its files, in the scratch folder, with nothing installed
unpack() {
  debian_lists
  (cd "$scratch" && apart "$scratch/apart" apt-get download "$1") >"$scratch/log" 2>&1 || show_log "could not download $1" "is the mirror reachable?"
  dpkg-deb -x "$scratch/$1"_*.deb "$scratch/$1"
}

version_of() {
  debian_lists
  apart "$scratch/apart" apt-cache show --no-all-versions "$1" | sed -n 's/^Version: //p' | head -n 1
}

# apt's way to the mirror, where there is a proxy; as build arguments they stay out of the image
apt_proxy() {
  for scheme in http https; do
    eval "value=\${${scheme}_proxy:-}"
    [ -n "$value" ] || value=$(apt-config dump --format '%v%n' "Acquire::$scheme::Proxy" | head -n 1)
    case $value in
      '' | DIRECT) ;;
      *) export "${scheme}_proxy=$value" ;;
    esac
  done
}

# A frozen mirror's lists look expired; where this machine's apt is told not to mind, so are the images'
validity_options() {
  apt-config dump --format '%f=%v%n' Acquire::Check-Valid-Until Acquire::Check-Date | while IFS='=' read -r option value; do
    [ -z "$value" ] || printf -- '--aptopt=%s "%s"\n' "$option" "$value"
  done
}

install_package() {
  say "apt-get install $1"
  DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l bounded 300 apt-get -qq -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$1" >"$scratch/log" 2>&1 ||
    show_log "could not install $1" "the reason stands above; put it right (apt-get update?), then run this again"
}

ensure_base() {
  base=stackctl-base:$release
  base_content=$release-$(hash_of "$root/images/base")
  [ "$(label "$base" stackctl.image.content || :)" != "$base_content" ] || return 0
  have mmdebstrap || install_package mmdebstrap
  debian_lists
  say "making the base: Debian $release"
  set --
  while IFS= read -r option; do
    set -- "$@" "--dpkgopt=$option"
  done <"$root/images/base/dpkg.cfg"
  validity_options >"$scratch/options"
  while IFS= read -r option; do
    set -- "$@" "$option"
  done <"$scratch/options"
  # shellcheck disable=SC2016 # $1 is the hook's
  # Without the hook the merged /usr comes from a package that brings all of perl
  patiently 900 mmdebstrap --quiet --mode=root --variant=apt "$@" \
    --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --include=usr-is-merged \
    --customize-hook="upload '$root/images/base/apt.conf' /etc/apt/apt.conf.d/90image" \
    --customize-hook='rm -f "$1"/var/cache/apt/*.bin' \
    "$release" "$scratch/base.tar" "$scratch/apart/sources.list" >"$scratch/log" 2>&1 ||
    show_log "mmdebstrap could not make the base" "the reason stands above; put it right, then run this again"
  old=$(id_of "$base")
  docker import --change "LABEL stackctl.image.content=$base_content" --change 'CMD ["bash"]' \
    --change "LABEL stackctl.image.built-from=\"Debian $release, mmdebstrap --variant=apt\"" "$scratch/base.tar" "$base" >/dev/null
  rm -f "$scratch/base.tar"
  [ -z "$old" ] || docker rmi "$old" >/dev/null 2>&1 || :
}

package_of() {
  case $1 in
    busybox:*) echo busybox-static ;;
    python:*) echo python3 ;;
    postgres:*) echo postgresql-15 ;;
    redis:*) echo redis-server ;;
    nginx:*) echo nginx ;;
    mariadb:*) echo mariadb-server-core ;;
    rabbitmq:*) echo rabbitmq-server ;;
    nats:*) echo nats-server ;;
    memcached:*) echo memcached ;;
  esac
}

# build IMAGE: as the registry's name of it, so that the everyday name always comes from a pull
build() {
  package=$(package_of "$1")
  context=$scratch/context-${1%%:*}
  cp -R "$(folder_of "$1")" "$context"
  set -- "$1" --network=host
  if [ "$package" = busybox-static ]; then
    unpack busybox-static
    install -m 0755 "$scratch/busybox-static/bin/busybox" "$context/busybox"
  else
    apt_proxy
    ensure_base
    set -- "$@" --build-arg "BASE=$base" --build-arg http_proxy --build-arg https_proxy
  fi
  version=$(version_of "$package")
  say "building $1 from $package $version"
  name=$1
  shift
  # An attestation makes an index of it, whose parts the registry's sweep takes for untagged
  export BUILDX_NO_DEFAULT_ATTESTATIONS=1
  patiently 1800 docker build --quiet "$@" \
    --label "stackctl.image.content=$(wanted_content "$name")" \
    --label "stackctl.image.built-from=Debian $release, package $package $version" \
    --label "org.opencontainers.image.title=${name%%:*}" \
    --label "org.opencontainers.image.version=${name##*:}" \
    --label "org.opencontainers.image.description=Stands in for the official image where no hub is reachable; built by stackctl's scripts/images.sh from Debian's package $package, not by that image's publisher" \
    --label "org.opencontainers.image.created=$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
    --tag "$registry/library/$name" "$context" >"$scratch/log" 2>&1 ||
    show_log "could not build $name" "the reason stands above; put it right, then run this again"
}

push() {
  if [ -z "$pushing" ]; then
    start_registry writable
    pushing=yes
  fi
  say "pushing $1"
  patiently 900 docker push --quiet "$registry/library/$1" >"$scratch/log" 2>&1 || show_log "could not push $1 to $registry" "its log: $home/registry.log"
}

# fetch IMAGE: under its everyday name, from the mirror or, where the daemon is not ours, by a tag
fetch() {
  if [ -n "$mirror" ]; then
    patiently 120 docker pull --quiet "$1" >"$scratch/log" 2>&1 || show_log "the daemon cannot pull $1 from its mirror" "is the registry's log quiet? $home/registry.log"
  else
    patiently 120 docker pull --quiet "$registry/library/$1" >"$scratch/log" 2>&1 || show_log "the daemon cannot pull from $registry" "is it on this machine?"
    docker tag "$registry/library/$1" "$1"
  fi
  [ -z "$mirror" ] || docker rmi "$registry/library/$1" >/dev/null 2>&1 || :
}

id_of() {
  docker image inspect --format '{{.Id}}' "$1" 2>/dev/null || :
}

# replace IMAGE: by the one just pushed; what it was before goes, unless a container holds it
replace() {
  old=$(id_of "$1")
  fetch "$1"
  [ -z "$old" ] || [ "$old" = "$(id_of "$1")" ] || docker rmi "$old" >/dev/null 2>&1 || :
}
