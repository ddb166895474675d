#!/bin/sh
# Makes mmdebstrap's root the guest of the test suite; scripts/vm.sh's hook:
# furnish.sh ROOT FOLDER-OF-THE-DISK FOLDER-OF-WHEELS ARCHIVE-OF-IMAGES
set -eu

root=$1 guest=$2 wheels=$3 images=$4
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

# An emulated processor boots slowly enough. Its only link is slirp's, which nobody has to wait for; the
# rest serves screens, people, other hardware, or machines that live for long
silence() {
  for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer logrotate.timer systemd-tmpfiles-clean.timer getty@tty1.service serial-getty@ttyS0.service \
    systemd-networkd-wait-online.service systemd-network-generator.service systemd-pstore.service \
    modprobe@drm.service modprobe@efi_pstore.service modprobe@configfs.service modprobe@fuse.service \
    proc-sys-fs-binfmt_misc.automount systemd-binfmt.service dev-hugepages.mount dev-mqueue.mount \
    sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
  done
}

# The engine loads its own profile; those for a hundred programs that are not here take seconds
leave_apparmor_to_the_engine() {
  find "$root/etc/apparmor.d" -maxdepth 1 -type f -delete
}

shrink_initrd() {
  printf 'MODULES=list\n' >"$root/etc/initramfs-tools/conf.d/guest"
  printf '%s\n' virtio_pci virtio_blk ext4 >>"$root/etc/initramfs-tools/modules"
  chroot "$root" update-initramfs -u
}

start_at_boot() {
  for unit in first-boot.service systemd-networkd.service ssh.service docker.service; do
    chroot "$root" systemctl --quiet enable "$unit"
  done
}

let_in() {
  install -d -m 0700 "$root/root/.ssh"
  install -m 0600 "$guest/key.pub" "$root/root/.ssh/authorized_keys"
  echo "guest $(cut -d ' ' -f 1,2 "$root/etc/ssh/ssh_host_ed25519_key.pub")" >"$guest/known_hosts"
}

# What stackctl needs, pinned as everywhere; stackctl itself comes from the checkout, at each boot
install_packages() {
  cp -R "$wheels" "$root/wheels"
  chroot "$root" python3 -m venv /opt/stackctl
  chroot "$root" sh -c '/opt/stackctl/bin/pip --quiet --isolated install --no-index /wheels/*.whl'
  rm -rf "$root/wheels"
  ln -s /opt/stackctl/bin/stackctl "$root/usr/local/bin/stackctl"
}

main() {
  cp -R "$here/root/." "$root/"
  echo guest >"$root/etc/hostname"
  echo '127.0.0.1 localhost guest' >"$root/etc/hosts"
  mkdir -p "$root/var/log/journal"
  silence
  leave_apparmor_to_the_engine
  shrink_initrd
  start_at_boot
  let_in
  install_packages
  install -D "$images" "$root/var/lib/first-boot/images.tar"
  cp "$root"/boot/vmlinuz-* "$guest/vmlinuz"
  cp "$root"/boot/initrd.img-* "$guest/initrd.img"
  rm -rf "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb
}

main
