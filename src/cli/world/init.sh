#!/bin/sh
# The first process of the outer namespace: builds a root that shows nothing of the host but its programs, starts the main
# program, reaps orphans, and ends everything when the launcher is gone.
# fd 3 Node's channel · fd 4 life pipe (a line: the uid map is written; its end: the launcher is gone) · fd 5 ready ·
# fd 6... listening sockets of the host's loopback
# args: MODE(root|plain) REPOSITORY STATE COMMAND...
set -e
if [ "$1" != mapped ]; then
  echo ready >&5
  read -r _ <&4
  # Until here we are nobody. --keep-caps made this exec possible; now become uid 0 of the namespace.
  g=--clear-groups; [ "$(cat /proc/self/setgroups)" = deny ] && g=--keep-groups
  exec setpriv --reuid 0 --regid 0 $g --inh-caps=-all --ambient-caps=-all sh "$0" mapped "$@"
fi
shift; mode=$1 repository=$2 state=$3; shift 3
[ "$mode" = plain ] && sh "$(dirname "$0")/bind.sh" "$repository" "$state"
ro() { mount -o remount,bind,ro "$1"; }
mount -t tmpfs -o mode=755,size=4m tmpfs /mnt/root
cd /mnt/root
mkdir usr etc dev proc sys run tmp var mnt root home
mount --rbind /usr usr; ro usr
mount --rbind /etc etc; ro etc
for l in bin sbin lib lib32 lib64 libx32; do
  if [ -L /$l ]; then ln -s "$(readlink /$l)" $l; elif [ -d /$l ]; then mkdir $l; mount --rbind /$l $l; ro $l; fi
done
mount -t tmpfs -o mode=755,size=1m tmpfs dev
for n in null zero full random urandom tty; do : > dev/$n; mount --bind /dev/$n dev/$n; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts dev/pts; ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd; ln -s fd/0 dev/stdin; ln -s fd/1 dev/stdout; ln -s fd/2 dev/stderr
mount -t tmpfs -o mode=1777,size=64m tmpfs dev/shm
mount -t proc proc proc
# Twice: `ip netns exec` takes one off before it mounts its own, which the kernel allows only beside a visible one.
mount -t sysfs sysfs sys; mount --bind sys sys
mount -t tmpfs -o mode=755,size=64m tmpfs run; mkdir run/netns run/lock
mount -t tmpfs -o mode=1777,size=256m tmpfs tmp
mount -t tmpfs -o mode=755,size=16m tmpfs var; mkdir -p var/lib var/log var/tmp; ln -s /run var/run; chmod 1777 var/tmp
mkdir -p ".$repository"; mount --rbind /mnt/repository ".$repository"; ro ".$repository"
mkdir -p ".$state" 2>/dev/null || :; mount --rbind /mnt/state ".$state" # after the repository: it may lie inside
pivot_root . mnt
cd /
umount -l /mnt
hostname ottavia
ip link set lo up
"$@" 4<&- 5<&- &
main=$!
( exec 3<&-; cat <&4 >/dev/null; kill -KILL $main ) & # the launcher died
exec 3<&- 4<&- 5<&-
wait $main
exit $?
