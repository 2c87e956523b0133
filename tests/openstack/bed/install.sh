#!/bin/bash
# Installs what two OpenStack clouds need; starts nothing. Usage: install.sh DIRECTORY     Wants Debian 12 and root.
# Both releases come from PyPI at the versions written down in constraints/, each in an environment of its own.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"
home=$1

# One at a time: the second finds what the first installed.
mkdir -p "$home/venv"
exec 9>"$home/venv/.lock"
flock 9

packages=(rabbitmq-server mariadb-server-core mariadb-client-core qemu-utils qemu-system-x86 genisoimage
  libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients libvirt-dev pkg-config gcc)
if ! dpkg-query --show --showformat='${db:Status-Status}\n' "${packages[@]}" 2>/dev/null | grep -c '^installed$' \
    | grep -qx "${#packages[@]}"; then
  # The packages are wanted, their services are not: this keeps Debian from starting them.
  policy=/usr/sbin/policy-rc.d
  [ -e $policy ] || { install -m755 <(printf '#!/bin/sh\nexit 101\n') $policy; trap 'rm -f $policy' EXIT; }
  apt-get update --quiet --quiet
  DEBIAN_FRONTEND=noninteractive apt-get install --quiet --quiet --yes --no-install-recommends \
    --option Dpkg::Use-Pty=0 "${packages[@]}" >/dev/null
fi
id -u libvirt-qemu >/dev/null 2>&1 || useradd --system --no-create-home --user-group --shell /usr/sbin/nologin libvirt-qemu
# "mount -t nfs" of a share on this machine becomes a bind mount: its kernel may know no NFS.
[ -e /sbin/mount.nfs ] || install -m755 bin/mount.nfs /sbin/mount.nfs

# Called with a version such as 3.10: where that Python is.
python() {
  local found
  for found in "$HOME"/.pyenv/versions/"$1".*/bin/python "$(command -v "python$1" || true)"; do
    "$found" -c "import sys, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null \
      && { echo "$found"; return; }
  done
  echo "The test clouds need Python $1, which is not on this machine" >&2
  return 1
}

# Called with a cloud and a Python: its environment, unless the same one is there.
environment() {
  local cloud=$1 venv=$home/venv/$1
  local wanted
  wanted=$("$2" --version; cat "constraints/$cloud.txt" plugins/*.* | sha256sum)
  [ "$(cat "$venv/.installed" 2>/dev/null)" != "$wanted" ] || return 0
  rm -rf "$venv"
  "$2" -m venv "$venv"
  cp -r plugins "$venv/plugins"  # built there, not here
  # The versions are complete, so there is nothing to resolve; what is never imported need not be compiled.
  "$venv/bin/pip" install --quiet --quiet --disable-pip-version-check --no-deps --no-compile \
    --requirement "constraints/$cloud.txt" "$venv/plugins"
  cp plugins/pumphouse_bed_nova.py "$(echo "$venv"/lib/python3*/site-packages/nova/virt)/pumphouse_bed.py"
  echo "$wanted" > "$venv/.installed"
}

zed=$(python 3.10)
newest=$(python 3.11)
environment source "$zed" & first=$!
environment destination "$newest"
wait $first
