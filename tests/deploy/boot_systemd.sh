#!/usr/bin/env bash
# Boots systemd beside the system that runs: over the same files, of which it changes its own copies alone, in namespaces of
# its own (processes, mounts, network, names) and without the capabilities that reach beyond them. As soon as it is up it
# runs SCRIPT as root, and ends. FOLDER is the same folder inside, at /shared: what SCRIPT says goes to FOLDER/said, and
# its exit code to FOLDER/status. Needs root.
#
#   boot_systemd.sh SCRIPT FOLDER
set -euo pipefail

if [ "${1:-}" != --inside ]; then
  exec unshare --pid --fork --kill-child --mount --net --uts --ipc --mount-proc "$0" --inside "$@"
fi
script=$(realpath "$2")
folder=$(realpath "$3")

mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mkdir /mnt/changes /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/changes,workdir=/mnt/work /mnt/root
cd /mnt/root
mount -t proc proc proc
mount --bind -o ro proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
for place in run tmp dev; do mount -t tmpfs tmpfs $place; done
for device in null zero full random urandom tty; do
  touch dev/$device
  mount --bind /dev/$device dev/$device
done
mkdir dev/pts dev/shm dev/mqueue
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mkdir -p shared
mount --bind "$folder" shared
touch shared/console dev/console
mount --bind shared/console dev/console
mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
mkdir sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd,xattr cgroup sys/fs/cgroup/systemd
ip link set lo up

: >etc/fstab
install -m 755 "$script" run-when-up
cat >etc/systemd/system/run-when-up.service <<'UNIT'
[Service]
Type=oneshot
ExecStart=/bin/sh -c '/run-when-up; echo $? >/shared/status'
StandardOutput=file:/shared/said
StandardError=inherit
ExecStopPost=/bin/systemctl --no-block exit
UNIT
# Not chroot, within which nobody may make the user namespaces that units ask for.
pivot_root . mnt
cd /
umount --lazy /mnt
exec setpriv --bounding-set=-sys_module,-sys_boot,-sys_rawio,-sys_time,-syslog,-mknod \
  env --ignore-environment container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --unit=run-when-up.service
