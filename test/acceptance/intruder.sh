#!/bin/sh
# What somebody with root inside a server tries. Each line says what came of it; "end" closes the list.
try() { what=$1; shift; if "$@" >/tmp/out 2>&1; then echo "TRIED $what: possible ($(head -c 80 /tmp/out | tr '\n' ' '))"; else echo "TRIED $what: refused"; fi; }
sh_() { what=$1; try "$what" sh -c "$2"; }
ip -br addr show dev eth0
sh_ "read the host's passwords" 'cat /etc/shadow'
sh_ "see the state folder" "ls $STATE_DIR"
sh_ "see the repository" "ls $REPOSITORY"
sh_ "see homes" 'ls /home/* /root/.ssh'
sh_ "see PostgreSQL's socket" 'ls /run/ottavia /run/pocket'
sh_ "make /usr writable" 'mount -o remount,bind,rw /usr && touch /usr/written'
sh_ "write the runtime" 'mount -o remount,bind,rw /opt/runtime && : > /opt/runtime/written'
sh_ "write core_pattern" 'echo x > /proc/sys/kernel/core_pattern'
sh_ "open a disk" 'mknod /tmp/disk b 254 0 && head -c1 /tmp/disk'
sh_ "see other processes" 'ps ax | grep -E "[o]ttavia.ts|[p]ostgres"'
sh_ "reach through the first process" "ls /proc/1/root$STATE_DIR"
sh_ "load a module" 'modprobe dummy'
sh_ "enter a switch" 'ls /run/netns | grep sw-'
sh_ "find the old root" 'ls /mnt/*'
sh_ "set the clock" 'date -s 2001-01-01'
sh_ "read the kernel's log" 'dmesg'
sh_ "reach the APIs on loopback" "curl -sS --max-time 2 http://127.0.0.1:5000/v3"
sh_ "reach the APIs through the gateway" "curl -sS --max-time 2 http://10.0.0.1:5000/v3"
sh_ "reach the controllers' network" "curl -sS --max-time 2 http://$CONTROLLER:9877/"
sh_ "take another address" 'ip addr add 10.0.0.250/24 dev eth0 && curl -sS --max-time 2 --interface 10.0.0.250 http://$NEIGHBOUR/'
ip addr del 10.0.0.250/24 dev eth0 2>/dev/null
sh_ "send from a macvlan with an address of its own" 'ip link add m0 link eth0 type macvlan mode bridge && ip link set m0 up && ip addr add 10.0.0.251/24 dev m0 && curl -sS --max-time 2 --interface m0 http://$NEIGHBOUR/'
ip link del m0 2>/dev/null
sh_ "take another MAC" 'ip link set eth0 down && ip link set eth0 address fa:16:3e:00:00:aa && ip link set eth0 up && curl -sS --max-time 2 http://$NEIGHBOUR/'
echo "TRIED end"
