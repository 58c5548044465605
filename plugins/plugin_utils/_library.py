# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The library: the code of our modules as it is kept on a host, compiled, under a digest of what is in it. Pure but for reading those files.

Packing, sending and unpacking a module takes Ansible about 0.4 s each time; running it from the library takes 0.1 s.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

from ansible_collections.hitless.paas.plugins.module_utils._paths import LIBRARY

_PLUGINS = Path(__file__).resolve().parents[1]
_PACKAGE = "ansible_collections/hitless/paas/plugins"
_STAND_IN = "module_utils/_stand_in.py"
_RUN = b"import os, sys\nsys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))\nfrom ansible.module_utils.basic import main\nmain()\n"

# A script ends with this status when the host does not have the library.
MISSING = 83
_KEEP_DAYS = 7


def files() -> dict[str, bytes]:
    """What is in the library: content by path."""
    found = {path.relative_to(_PLUGINS).as_posix(): path.read_bytes() for kind in ("modules", "module_utils") for path in (_PLUGINS / kind).glob("*.py")}
    return {"run.py": _RUN, "ansible/module_utils/basic.py": found.pop(_STAND_IN), **{f"{_PACKAGE}/{name}": found[name] for name in sorted(found)}}


def _folder() -> str:
    digest = hashlib.sha256()
    for name, content in files().items():
        digest.update(b"%s\0%d\0%s" % (name.encode(), len(content), content))
    return f"{LIBRARY}/{digest.hexdigest()[:32]}"


# Where a host keeps it. Known when this is imported, which Ansible does once, before it forks a worker for each task.
FOLDER = _folder()


def archive() -> bytes:
    """It as a compressed tar file."""
    import tarfile  # needed once a host and version

    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=6) as tar:
        for name, content in files().items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def run_script(python: str) -> str:
    """Run the modules that stdin names; ends with ``MISSING`` when the library is not there. Isolated: nothing that is installed on the host gets in."""
    return f"test -f {FOLDER}/run.py || exit {MISSING}; exec {python} -I -S {FOLDER}/run.py"


def install_script(python: str) -> str:
    """Unpack the archive on stdin and give it its name when it is complete; what no controller has used for days goes."""
    name = FOLDER.rpartition("/")[2]
    return f"""set -eu
umask 022
mkdir -p {LIBRARY}
cd {LIBRARY}
new=$(mktemp -d .new.XXXXXX)
tar -xzf - -C "$new" --no-same-owner
{python} -I -S -m compileall -q --invalidation-mode unchecked-hash "$new" >/dev/null
chmod 755 "$new"
sync -f .
mv -T "$new" {name} 2>/dev/null || rm -rf "$new"
find . -mindepth 1 -maxdepth 1 ! -name {name} -mtime +{_KEEP_DAYS} -exec rm -rf {{}} +
test -f {name}/run.py
"""
