#!/bin/sh
# usage: machine.sh FOLDER CHECKOUT NODE
# Boots systemd over a copy-on-write view of this very system, in namespaces of its own, and stays until told to end.
# Says "pid N" (of its process 1, as seen from here). Every mount is in the namespaces, and goes with them.
set -eu
if [ "${4-}" = '' ]; then exec unshare --mount --propagation private sh "$0" "$1" "$2" "$3" outer; fi
dir=$1 checkout=$2 node=$3

if [ "$4" = outer ]; then
  mount -t tmpfs -o mode=755 tmpfs "$dir"
  mkdir "$dir/cgroup"
  mount -t cgroup2 cgroup2 "$dir/cgroup"
  group=$dir/cgroup/cms-machine-$$
  mkdir "$group"
  # Were this shell gone without a word, process 1 would go too, and all others with it.
  sh -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$group" \
    setpriv --pdeathsig KILL unshare --mount --uts --ipc --cgroup --pid --fork --kill-child --propagation private \
    sh "$0" "$dir" "$checkout" "$node" inner </dev/null &
  machine=$!
  trap 'kill -KILL $machine' TERM INT HUP
  # Who read our words may be gone.
  trap '' PIPE
  wait $machine || :
  # A trapped signal ends the first wait.
  wait $machine || :
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break
    sleep 0.1
  done
  exit 0
fi

# The old /proc is still here: it has the number by which others know this process.
read -r pid _ </proc/self/stat
root=$dir/root
mkdir "$dir/upper" "$dir/work" "$root"
mount -t overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" overlay "$root"
mkdir -p "$root/opt/cms/node_modules"
cp -r "$checkout/bin" "$checkout/dist" "$checkout/package.json" "$root/opt/cms/"
# What the bundles leave to others to load; root's own, as a service loads nothing that belongs to another user.
for each in @koromix @napi-rs koffi; do cp -r "$checkout/node_modules/$each" "$root/opt/cms/node_modules/"; done
chmod -R go+rX,go-w "$root/opt/cms"
: >"$root/opt/cms/node"
mount --bind "$node" "$root/opt/cms/node"

mount -t proc proc "$root/proc"
mount --bind -o ro "$root/proc/sys" "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
  : >"$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"

: >"$root/etc/machine-id"
: >"$root/etc/fstab"
units=$root/etc/systemd/system
rm -f "$units"/*.wants/* "$units"/cms*
# What belongs to hardware, the network or the kernel is not this machine's business.
for unit in getty.target systemd-networkd.service systemd-networkd.socket systemd-udevd.service \
  systemd-udev-trigger.service systemd-timesyncd.service systemd-resolved.service systemd-sysctl.service \
  systemd-modules-load.service systemd-random-seed.service systemd-binfmt.service systemd-remount-fs.service \
  sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount dev-hugepages.mount dev-mqueue.mount \
  proc-sys-fs-binfmt_misc.automount e2scrub_reap.service exim4.service; do
  ln -sf /dev/null "$units/$unit"
done
ln -sf /lib/systemd/system/multi-user.target "$units/default.target"
hostname cms-machine

cd "$root"
mkdir -p .old
pivot_root . .old
umount -l /.old
rmdir /.old
# Without it no credential reaches a service: systemd mounts them in a child's namespace. A host's root is shared too.
mount --make-rshared /
echo "pid $pid"
exec env -i container=unshare PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb \
  /lib/systemd/systemd --system --log-target=console --show-status=no
