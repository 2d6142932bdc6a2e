#!/bin/sh
# The mount namespace of a network host: its own names of network namespaces, what it keeps and what it is configured with,
# and nothing of the rest of the stack. Its programs join this process, which does nothing but stay. (A file that holds the
# namespace would do without it, but kernels refuse to bind one now and then: namespaces are not numbered in order.)
# args: KEPT STATE    KEPT/octavia becomes /var/lib/octavia, and KEPT/etc becomes /mnt
set -e
mount -t tmpfs -o mode=755,size=1m tmpfs /run/netns
mkdir -p "$1/octavia" "$1/etc" /var/lib/octavia
mount --bind "$1/octavia" /var/lib/octavia
mount --bind "$1/etc" /mnt
mount -t tmpfs -o mode=755,size=1m tmpfs /run/ottavia # PostgreSQL, which is somewhere else where hosts are machines
mount -t tmpfs -o mode=755,size=1m,ro tmpfs "$2"
echo ready
exec sleep infinity
