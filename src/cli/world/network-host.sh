#!/bin/sh
# Makes the mount namespace of a network host, which outlives its program: its own names of network namespaces, what it
# keeps and what it is configured with, and nothing of the rest of the stack.
# args: NAME KEPT STATE    afterwards /run/network-hosts/NAME is the namespace, in which KEPT/octavia is /var/lib/octavia and
# KEPT/etc is /mnt
set -e
name=$1 kept=$2 state=$3
hosts=/run/network-hosts
if [ ! -d $hosts ]; then
  mkdir $hosts
  mount --bind $hosts $hosts
  mount --make-private $hosts
fi
mkdir -p "$kept/octavia" "$kept/etc" /var/lib/octavia
: > $hosts/$name
exec unshare --mount=$hosts/$name --propagation private sh -ec '
mount -t tmpfs -o mode=755,size=1m tmpfs /run/netns
mount --bind "$1/octavia" /var/lib/octavia
mount --bind "$1/etc" /mnt
mount -t tmpfs -o mode=755,size=1m tmpfs /run/ottavia # PostgreSQL, which is somewhere else where hosts are machines
mount -t tmpfs -o mode=755,size=1m,ro tmpfs "$2"
' sh "$kept" "$state"
