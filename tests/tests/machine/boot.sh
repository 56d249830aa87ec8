#!/bin/sh
# The first process of a machine that consists of namespaces: usage: boot.sh ETC SSHD_CONFIG
#
# Mounts, host name and processes are its own; it ends with this process. What is in ETC lies over
# /etc, and nothing that the machine writes reaches the system around it.
set -eu
echo machine-under-test > /proc/sys/kernel/hostname
mount -t proc proc /proc
mount -t overlay overlay -o "ro,lowerdir=$1:/etc" /etc
# Neither the logins' records nor the sockets of the service manager.
mount -t tmpfs tmpfs /var/log
mount -t tmpfs tmpfs /run
mkdir -m 755 /run/sshd
exec /usr/sbin/sshd -D -e -f "$2"
