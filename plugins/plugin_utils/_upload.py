# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The upload of a source: which commands prepare it and move it. Pure."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError

# The mode of a file is its x-bit and nothing else, as in the digest. Content decides what is sent: times and sizes may lie.
_OPTIONS = (
    "--checksum", "--links", "--perms", "--times", "--omit-dir-times", "--force", "--from0", "--files-from=-",
    "--chmod=Du=rwx,Dgo=rx,Fu=rwX,Fgo=rX", "--stats", "--no-human-readable", "--timeout=300",
)  # fmt: skip
_VANISHED = 24
# Runs a command as root where sudo wants the password that is the first line of stdin; what follows is the command's. sudo asks a program for it,
# for no process may be given it as an argument; the program has it from the environment, which sudo does not pass on.
_WITH_PASSWORD = """IFS= read -r HITLESS_WORD
export HITLESS_WORD
SUDO_ASKPASS=$(mktemp -p "$HOME" .hitless.XXXXXX) || exit
export SUDO_ASKPASS
trap 'rm -f "$SUDO_ASKPASS"' EXIT
printf '#!/bin/sh\\nprintf "%%s\\\\n" "$HITLESS_WORD"\\n' > "$SUDO_ASKPASS"
chmod 700 "$SUDO_ASKPASS"
sudo -A "$@"
"""
_PASSWORD_FIRST = Path(__file__).with_name("_password_first.py")
_SENT = re.compile(r"^Total bytes sent: (\d+)$", re.MULTILINE)


def prepare_script(staged: str, digest: str) -> str:
    """Make ``<digest>.partial`` out of the newest source on the host, so that only differences travel. Says nothing on stdout, which is rsync's."""
    return f"""
mkdir -p {staged}
cd {staged}
if [ ! -d {digest}.partial ]; then
  newest=$(ls -1td -- */ 2>/dev/null | head -n 1)
  if [ -n "$newest" ]; then mv -T -- "${{newest%/}}" {digest}.partial; else mkdir {digest}.partial; fi
fi
for other in * ; do
  [ "$other" = {digest}.partial ] || rm -rf -- "$other"
done
"""


def names(files: Sequence[str]) -> bytes:
    """The list of files as rsync reads it: each ended by NUL."""
    return b"".join(os.fsencode(file) + b"\0" for file in files)


def quote_word(word: str) -> str:
    """``word`` as one word of rsync's ``-e``, which knows quotes but no escapes: a quote inside quotes is doubled."""
    return "'%s'" % word.replace("'", "''") if re.search(r"[^A-Za-z0-9_./:=@%+,-]", word) or not word else word


def sudo_words(has_password: bool) -> list[str]:
    """The words before a command that run it as root, with the password as the first line of stdin or without one."""
    return ["sh", "-c", _WITH_PASSWORD, "sudo"] if has_password else ["sudo", "-n"]


def password_first(ssh: Sequence[str], file: str) -> list[str]:
    """``ssh`` with the line in ``file`` before all that rsync sends."""
    return [sys.executable, str(_PASSWORD_FIRST), file, *ssh]


def rsync_command(folder: str, target: str, ssh: Sequence[str] | None, host: str, become: Sequence[str], script: str) -> list[str]:
    """The rsync command that makes ``target`` hold the files named on its stdin.

    Args:
        folder: the source on the controller.
        target: the folder on the host.
        ssh: the ssh command without a host, or None when the host is this machine.
        host: what ssh is to call.
        become: the words before a command that run it as root, or none.
        script: what a shell does on the host before rsync starts there, as root.
    """
    source = folder.rstrip("/") + "/"
    there = [*become, "sh", "-c", script + 'exec rsync "$@"', "rsync"]
    if ssh is None:
        return [*there, *_OPTIONS, source, target + "/"]
    shell = " ".join(quote_word(word) for word in ssh)
    address = "[%s]" % host if ":" in host else host
    return ["rsync", *_OPTIONS, "-e", shell, "--rsync-path=" + shlex.join(there), source, "%s:%s/" % (address, target)]


def bytes_sent(output: str) -> int:
    """How many bytes rsync says it sent."""
    found = _SENT.search(output)
    return int(found.group(1)) if found else 0


def upload_error(code: int, complaint: str, host: str) -> HitlessError:
    """What a failed rsync means."""
    last = next((line for line in complaint.strip().splitlines() if line and not line.startswith("rsync error")), "exit status %d" % code)
    kept = "What arrived is kept for the next try; what runs was left as it was."
    if "No space left on device" in complaint:
        return HitlessError(
            "disk_full", "The disk of %s is full, so the source could not be uploaded. %s" % (host, kept), "Free some space on the host, then deploy again."
        )
    if code == _VANISHED:
        return source_changed()
    if code == 127 or "rsync: command not found" in complaint or "rsync: not found" in complaint:
        return HitlessError("upload_failed", "%s has no rsync, so nothing was uploaded." % host, "hitless configure")
    if "sudo" in complaint and "password" in complaint:
        message = "sudo asks for a password on %s, so nothing was uploaded." % host
        return HitlessError("upload_failed", message, "Let the user run sudo without a password, or give it as ansible_become_password.")
    return HitlessError("upload_failed", "The upload to %s failed: %s. %s" % (host, last, kept), "Deploy again.")


def source_changed() -> HitlessError:
    """The source is not any more what was planned."""
    message = "The source changed while it was deployed, so it was not built. What runs was left as it was."
    return HitlessError("source_changed", message, "Deploy again when nothing writes to the folder.")
