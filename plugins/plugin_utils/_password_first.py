# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program: ``FILE COMMAND…`` runs the command with what is in the file before its own stdin. rsync calls it in place of ssh.

No pipe of a shell does this: a shell waits for both of its ends, and rsync keeps its own end open until the command has ended.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from contextlib import suppress
from typing import BinaryIO, cast


def _pump(file: str, target: BinaryIO) -> None:
    with suppress(BrokenPipeError), target, open(file, "rb") as first:
        shutil.copyfileobj(first, target)
        while chunk := os.read(0, 65536):
            target.write(chunk)
            target.flush()


def main() -> None:
    """Run the program."""
    file, *command = sys.argv[1:]
    child = subprocess.Popen(command, stdin=subprocess.PIPE)
    threading.Thread(target=_pump, args=(file, cast(BinaryIO, child.stdin)), daemon=True).start()
    # The pump may still wait for its stdin, which ends after this process.
    os._exit(child.wait())


if __name__ == "__main__":
    main()
