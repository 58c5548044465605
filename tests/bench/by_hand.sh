#!/bin/bash
# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What a person writes who deploys by hand: upload, start, wait until healthy, switch the router, drain, stop the old one.
# What serves comes back by itself after a reboot, as with the product: enabled units, and weights in HAProxy's checked file.
# Usage: by_hand.sh steps|once FOLDER RELEASE SSH-WORD...   (the last word is user@host)
# "steps" calls ssh for each step, as such scripts do; "once" is the tightest that can be written: one call for all of them.
set -euo pipefail
way=$1 folder=$2 release=$3
shift 3
words=("$@")
host=${words[-1]}
unset 'words[-1]'

functions=$(cat <<'HOST'
set -euo pipefail
cd /srv/by-hand
if [ "$(cat slot 2>/dev/null)" = a ]; then new=b old=a port=19102; else new=a old=b port=19101; fi
router() {
  python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect("/run/haproxy/admin.sock"); s.sendall(sys.argv[1].encode() + b"\n"); print(s.makefile().read(), end="")' "$1"
}
column() { router "show stat by-hand-pool 4 -1" | awk -F, -v server="$1" -v column="$2" '$2 == server {print $column}'; }
start() {
  cp -a source "releases/$1"
  cat > "/etc/systemd/system/by-hand-$1.service" <<UNIT
[Service]
DynamicUser=yes
WorkingDirectory=/srv/by-hand/releases/$1
Environment=PORT=$port HOST=127.0.0.1
ExecStart=/usr/bin/python3 web.py
[Install]
WantedBy=multi-user.target
UNIT
  systemctl enable --quiet --now "by-hand-$1"
}
healthy() {
  { exec 3<>/dev/tcp/127.0.0.1/$port && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && read -r _ code _ <&3; } 2>/dev/null || return 1
  exec 3>&-
  [ "$code" = 200 ]
}
up() { case $(column $new 18) in UP*) ;; *) return 1 ;; esac; }
switch() {
  config=/etc/haproxy/hitless/apps/by-hand.cfg
  sed "s/^\\(    server $new .* weight\\) .*/\\1 100/; s/^\\(    server $old .* weight\\) .*/\\1 0/" $config > $config.new
  haproxy -c -f /etc/haproxy/haproxy.cfg -f $config.new >/dev/null
  mv $config.new $config
  router "set server by-hand-pool/$new state ready; set server by-hand-pool/$new weight 100; set server by-hand-pool/$old weight 0" >/dev/null
}
drained() { [ "$(column $old 5)" = 0 ]; }
finish() {
  last=$(readlink current || true)
  echo $new > slot
  ln -sfn "releases/$1" current
  [ -n "$last" ] || return 0
  systemctl disable --quiet --now "by-hand-${last##*/}"
  rm "/etc/systemd/system/by-hand-${last##*/}.service"
}
HOST
)
run() { "${words[@]}" "$host" bash -s <<<"$functions"$'\n'"$1"; }

rsync -a --delete --no-owner --no-group -e "${words[*]}" "$folder/" "$host:/srv/by-hand/source/"
if [ "$way" = once ]; then
  run "start $release
until healthy; do sleep 0.02; done
until up; do sleep 0.02; done
switch
until drained; do sleep 0.02; done
finish $release"
else
  run "start $release"
  until run healthy; do sleep 0.2; done
  until run up; do sleep 0.2; done
  run switch
  until run drained; do sleep 0.2; done
  run "finish $release"
fi
