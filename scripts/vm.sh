#!/bin/sh
# Makes the disk of the guest machine that tests/vm boots: another kernel, cgroup v2, systemd, a newer engine.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=images/shell.sh
. "$root/images/shell.sh"
# shellcheck source=images/build.sh
. "$root/images/build.sh"

release=trixie
home=${STACKCTL_VM_HOME:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/stackctl-vm}
python=${STACKCTL_VM_PYTHON:-$root/../.venv-dev/bin/python}
disk_size=6G
needed_mb=6000
packages=linux-image-cloud-amd64,initramfs-tools,systemd-sysv,dbus,udev,kmod,iproute2,procps,openssh-server
packages=$packages,docker.io,docker-cli,docker-compose,iptables,apparmor,ca-certificates,python3,python3-venv
images='busybox:1.35 postgres:15'
mode='make'

usage() {
  cat <<'USAGE'
usage: scripts/vm.sh [--path | --clean | --help]

Makes, once, the disk of the guest machine that `make vm` boots with qemu: Debian 13 with its kernel,
systemd, Docker engine and Python, the packages of requirements/runtime.txt, and the images
busybox:1.35 and postgres:15 of the engine here. It is kept until what it is made of changes; who
boots it does so on an overlay. Prints the folder it is in, last.

  --path   only print that folder; exit code 1 where it is not made yet
  --clean  remove every disk that this script made
  --help   this text

Needs root, x86_64, Debian or Ubuntu, an engine with those images (scripts/engine.sh,
scripts/images.sh --test) and .venv-dev; installs qemu-system-x86, qemu-utils, mmdebstrap, e2fsprogs
and openssh-client where they are missing, and never calls sudo itself.
STACKCTL_VM_HOME=DIR               where the disks are kept (the user's cache folder)
STACKCTL_DEBIAN_MIRROR=URL         a Debian mirror to use instead of the one in apt's own sources
USAGE
}

parse() {
  for argument in "$@"; do
    case $argument in
      --path | --clean) mode=${argument#--} ;;
      -h | --help)
        usage
        exit 0
        ;;
      *)
        printf 'error: unknown option %s\n' "$argument" >&2
        usage >&2
        exit 2
        ;;
    esac
  done
}

# --- which disk ---------------------------------------------------------------

ingredients() {
  cd "$root"
  for part in vm images/base images/busybox images/postgres; do
    find "$part" -type f | LC_ALL=C sort | while read -r file; do sha256sum "$file"; done
  done
  sha256sum vm.sh ../requirements/runtime.txt
}

made() {
  [ -e "$kept/disk.img" ]
}

# Disks of other recipes go, unless a guest runs on one: it holds the folder's lock, shared
drop_other_disks() {
  for other in "$home"/[0-9a-f]*; do
    [ -d "$other" ] && [ "$other" != "$kept" ] || continue
    flock -n "$other" rm -rf "$other" || say "$other is in use, and stays"
  done
}

# --- preconditions ------------------------------------------------------------

require_machine() {
  [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || fail "the guest machine runs on Linux on x86_64 only, and this is $(uname -s) on $(uname -m)" \
    "run these tests on such a machine"
  have apt-get || fail "the guest is made from Debian's packages, and this system has no apt" "run these tests on Debian or Ubuntu"
  is_root || fail "making the guest's root file system needs root" "run: sudo $root/vm.sh"
  "$python" -m pip --version >/dev/null 2>&1 || fail "$python has no pip" "run: $root/venv.sh --editable .venv-dev dev"
  for image in $images; do
    bounded 20 docker image inspect "$image" >/dev/null 2>&1 || fail "the engine here has no $image" "run: $root/engine.sh && $root/images.sh --test"
  done
}

require_space() {
  free=$(df -Pm "$home" | awk 'NR == 2 { print $4 }')
  [ "$free" -ge "$needed_mb" ] || fail "$home has $free MB free, and making the guest's disk takes $needed_mb" \
    "name another folder: STACKCTL_VM_HOME=DIR"
}

install_tools() {
  for pair in qemu-system-x86_64:qemu-system-x86 qemu-img:qemu-utils mmdebstrap:mmdebstrap mke2fs:e2fsprogs ssh-keygen:openssh-client; do
    have "${pair%%:*}" || install_package "${pair#*:}"
  done
}

one_at_a_time() {
  exec 9>"$home/making.lock"
  flock -w 1800 9 || fail "another vm.sh has held $home/making.lock for half an hour" "see: fuser -v $home/making.lock"
}

# --- making it ----------------------------------------------------------------

fetch_packages() {
  say "the packages of requirements/runtime.txt, for the guest's Python 3.13"
  bounded 600 "$python" -m pip --no-input download --quiet --require-hashes --only-binary=:all: \
    --python-version 3.13 --implementation cp --platform manylinux2014_x86_64 --platform manylinux_2_28_x86_64 \
    --requirement "$root/../requirements/runtime.txt" --dest "$wheels" >"$scratch/log" 2>&1 ||
    show_log "could not fetch the packages of requirements/runtime.txt" "the reason stands above; put it right, then run this again"
}

save_images() {
  say "the images: $images"
  # shellcheck disable=SC2086 # names without spaces
  patiently 600 docker save --output "$images_file" $images
}

make_root() {
  debian_lists
  say "Debian $release with $(printf '%s\n' "$packages" | tr ',' ' ' | wc -w) packages and what they need"
  set --
  while IFS= read -r option; do
    set -- "$@" "--dpkgopt=$option"
  done <"$root/images/base/dpkg.cfg"
  validity_options >"$scratch/options"
  while IFS= read -r option; do
    set -- "$@" "$option"
  done <"$scratch/options"
  patiently 1200 mmdebstrap --quiet --mode=root --variant=apt "$@" \
    --include="$packages" --customize-hook="'$root/vm/furnish.sh' \"\$1\" '$making' '$wheels' '$images_file'" \
    "$release" "$scratch/root" "$scratch/apart/sources.list" >"$scratch/log" 2>&1 ||
    show_log "mmdebstrap could not make the guest's root" "the reason stands above; put it right, then run this again"
}

make_disk() {
  say "its disk"
  mke2fs -q -t ext4 -L root -d "$scratch/root" "$making/disk" "$disk_size" >"$scratch/log" 2>&1 ||
    show_log "mke2fs could not make the guest's disk" "is there space in $home?"
  rm -rf "$scratch/root" "$images_file"
}

# The same machine that tests/vm/guest.py boots, without a network
first_boot() {
  say "its first boot, which fills its engine with the images"
  patiently 900 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 2048 -no-reboot -nodefaults -no-user-config -display none \
    -serial "file:$scratch/console" -kernel "$making/vmlinuz" -initrd "$making/initrd.img" \
    -append "$(cat "$making/cmdline")" -drive "file=$making/disk,if=virtio,format=raw,cache=unsafe" >"$scratch/log" 2>&1 || :
  grep -qs 'first boot: done' "$scratch/console" || {
    tail -n 40 "$scratch/console" >&2 || :
    show_log "the guest did not finish its first boot" "its last words, and qemu's, stand above"
  }
}

make_guest() {
  require_machine
  mkdir -p "$home"
  one_at_a_time
  ! made || return 0
  require_space
  scratch=$(mktemp -d "$home/scratch.XXXXXX") child=''
  trap leave EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  chmod 0755 "$scratch"
  making=$scratch/guest wheels=$scratch/wheels images_file=$scratch/images.tar
  mkdir "$making"
  install_tools
  ssh-keygen -q -t ed25519 -N '' -C stackctl-guest -f "$making/key"
  echo 'root=/dev/vda rw rootfstype=ext4 console=ttyS0 quiet net.ifnames=0 mitigations=off rcupdate.rcu_expedited=1 systemd.firstboot=no' >"$making/cmdline"
  fetch_packages
  save_images
  make_root
  make_disk
  first_boot
  mv "$making/disk" "$making/disk.img"
  rm -rf "$kept"
  mv "$making" "$kept"
  drop_other_disks
  say "the guest's disk is made: $(du -sm "$kept" | cut -f 1) MB"
}

leave() {
  code=$?
  trap - EXIT
  if [ -n "$child" ]; then
    kill "$child" 2>/dev/null || :
    wait "$child" || :
  fi
  rm -rf "$scratch"
  exit "$code"
}

clean() {
  for disk in "$home"/[0-9a-f]*; do
    [ ! -e "$disk/disk.img" ] || flock -n "$disk" rm -rf "$disk" || fail "$disk is in use" "end the tests that run on it, then run this again"
  done
  rm -f "$home/making.lock"
}

main() {
  parse "$@"
  kept=$home/$(ingredients | sha256sum | cut -c 1-16)
  case $mode in
    clean) clean ;;
    path) made || fail "the guest's disk is not made, or not of this recipe" "run: $root/vm.sh" ;;
    make) made || make_guest ;;
  esac
  [ "$mode" = clean ] || printf '%s\n' "$kept"
}

main "$@"
