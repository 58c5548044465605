#!/bin/bash
# What a person writes who deploys by hand: upload, start, wait until healthy, switch the router, drain, stop the old one.
# Usage: by_hand.sh FOLDER RELEASE SSH-WORD...   (the last word is user@host)
set -euo pipefail
folder=$1 release=$2
shift 2
words=("$@")
host=${words[-1]}
unset 'words[-1]'

rsync -a --delete --no-owner --no-group -e "${words[*]}" "$folder/" "$host:/srv/by-hand/source/"
"${words[@]}" "$host" bash -s -- "$release" <<'HOST'
set -euo pipefail
release=$1
cd /srv/by-hand
cp -a source "releases/$release"
old=$(readlink current || true)
if [ "$(cat slot 2>/dev/null)" = a ]; then new_slot=b old_slot=a port=19102; else new_slot=a old_slot=b port=19101; fi
systemd-run -q --unit "by-hand-$release" -p DynamicUser=yes -p WorkingDirectory="/srv/by-hand/releases/$release" -E PORT=$port -E HOST=127.0.0.1 python3 web.py
for _ in $(seq 600); do
  if exec 3<>/dev/tcp/127.0.0.1/$port && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && read -r _ code _ <&3 && [ "$code" = 200 ]; then break; fi
  sleep 0.02
done 2>/dev/null
exec 3>&-
router() {
  python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect("/run/haproxy/admin.sock"); s.sendall(sys.argv[1].encode() + b"\n"); print(s.makefile().read(), end="")' "$1"
}
router "set server by-hand/$new_slot state ready; set server by-hand/$old_slot state drain" >/dev/null
while router "show stat" | grep -q "^by-hand,$old_slot,[0-9]*,[0-9]*,[1-9]"; do sleep 0.02; done
echo "$new_slot" > slot
ln -sfn "releases/$release" current
if [ -n "$old" ]; then systemctl stop "by-hand-${old##*/}"; fi
HOST
