#!/bin/sh
# Makes the repository and the state folder reachable under /mnt in a private mount namespace. For root this runs before
# the user namespace exists (its shifted uid cannot walk through a home of mode 0700), for a plain user inside it.
# args: REPOSITORY STATE
set -e
mount -t tmpfs -o mode=755,size=1m tmpfs /mnt
mkdir /mnt/repository /mnt/state /mnt/root
mount --rbind "$1" /mnt/repository
mount --rbind "$2" /mnt/state
