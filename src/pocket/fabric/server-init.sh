#!/bin/sh
# The first process of a server. Stage 1, in a mount namespace of the cloud's, prepares the root; stage 2 runs in a user
# namespace of its own, in which those mounts are locked: read-only stays read-only whatever root in there does.
# args: NAME DISK RUNTIME TREE DRIVE    DISK/{etc,var,root} last over restarts; RUNTIME is shown as /opt/runtime; TREE is the image's
# folder or -, DRIVE the config drive's. It tells "born" and waits for a line (the uid map is written), then "up" and waits for another (the ports are
# plugged); its standard error becomes the server's console.
set -e
name=$1 disk=$2 runtime=$3 tree=$4 drive=$5
R=/tmp/root; mkdir -p $R; mount -t tmpfs -o mode=755,size=1m tmpfs $R; cd $R # /tmp/root of this mount namespace only
mkdir usr etc dev proc sys run tmp var opt opt/runtime srv mnt root home media
o=nosuid,nodev
{ for l in usr bin sbin lib lib32 lib64 libx32; do
    if [ -L /$l ]; then ln -s "$(readlink /$l)" $l; elif [ -d /$l ]; then mkdir -p $l; echo "/$l $R/$l none bind,ro,$o"; fi; done
  echo "$runtime $R/opt/runtime none bind,ro,$o
$disk/etc $R/etc none bind,$o
/etc/ssl/certs $R/etc/ssl/certs none bind,ro,$o
/etc/alternatives $R/etc/alternatives none bind,ro,$o
$disk/var $R/var none bind,$o
$disk/root $R/root none bind,$o
tmpfs $R/dev tmpfs mode=755,size=1m,nosuid
tmpfs $R/run tmpfs mode=755,size=64m,$o
tmpfs $R/tmp tmpfs mode=1777,size=128m,$o"
  if [ "$drive" != - ]; then mkdir media/config-2; echo "$drive $R/media/config-2 none bind,ro,$o"; fi
  if [ "$tree" != - ]; then for d in "$tree"/opt/* "$tree"/srv/*; do
    [ -d "$d" ] || continue; t=${d#"$tree"/}; mkdir -p $t; echo "$d $R/$t none bind,ro,$o"; done; fi
} > dev/fstab
mount -a -T dev/fstab
mkdir dev/pts dev/shm run/netns run/lock
{ for n in null zero full random urandom tty; do : > dev/$n; echo "/dev/$n $R/dev/$n none bind"; done
  echo "devpts $R/dev/pts devpts newinstance,ptmxmode=0666,mode=0620
tmpfs $R/dev/shm tmpfs mode=1777,size=64m,$o"; } > run/fstab
mount -a -T run/fstab
ln -s pts/ptmx dev/ptmx; ln -s /proc/self/fd dev/fd; ln -s fd/0 dev/stdin; ln -s fd/1 dev/stdout; ln -s fd/2 dev/stderr
cat > run/stage2 <<'S'
set -e
echo born
read -r _ # the uid map is written
exec setpriv --reuid 0 --regid 0 $g --inh-caps=-all --ambient-caps=-all sh -ec '
R=/tmp/root; mount --rbind $R $R; cd $R
mount -t proc -o nosuid,nodev,noexec proc proc; mount -t sysfs -o nosuid,nodev,noexec sysfs sys; mount --bind sys sys
pivot_root . mnt
cd /; umount -l /mnt; rm -f /run/stage2 /run/fstab /dev/fstab
hostname "$name"; unset name g; ip link set lo up
echo up
read -r _ # the ports are plugged
exec </dev/null >&2
[ -x /etc/rc.local ] && /etc/rc.local &
[ -x /var/lib/cloud/user-data ] && /var/lib/cloud/user-data &
while :; do wait; sleep 3600 & wait $!; done # stay, and reap
'
S
export name; g=--clear-groups; [ "$(cat /proc/self/setgroups)" = deny ] && g=--keep-groups; export g
exec unshare -U --keep-caps -n -m -p -u -i -f --kill-child=KILL --propagation private sh run/stage2
