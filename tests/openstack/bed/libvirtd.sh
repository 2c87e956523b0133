#!/bin/bash
# A libvirtd for one cloud alone: its directories are mounted over the system's in a mount namespace of its own.
# Usage: unshare -m libvirtd.sh DIRECTORY HOST-UUID     The socket is DIRECTORY/run/libvirt-sock.
set -euo pipefail
dir=$1
mkdir -p "$dir"/{etc,run,lib,log,cache} /etc/libvirt /run/libvirt /var/lib/libvirt /var/log/libvirt /var/cache/libvirt
cat > "$dir/etc/libvirtd.conf" <<CONF
auth_unix_rw = "none"
unix_sock_rw_perms = "0700"
host_uuid = "$2"
CONF
cat > "$dir/etc/qemu.conf" <<CONF
user = "root"
group = "root"
dynamic_ownership = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
CONF
mount --bind "$dir/etc" /etc/libvirt
mount --bind "$dir/run" /run/libvirt
mount --bind "$dir/lib" /var/lib/libvirt
mount --bind "$dir/log" /var/log/libvirt
mount --bind "$dir/cache" /var/cache/libvirt
exec /usr/sbin/libvirtd -f /etc/libvirt/libvirtd.conf -p "$dir/run/libvirtd.pid"
