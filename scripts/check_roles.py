# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fails when a role's defaults and its argument specification differ."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent


def differences(role: Path) -> list[str]:
    """What a reader of one of the two files would be told wrongly."""
    defaults_file = role / "defaults" / "main.yml"
    defaults = yaml.safe_load(defaults_file.read_text()) or {} if defaults_file.exists() else {}
    spec = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    options = spec["main"].get("options", {})
    told = {name: option["default"] for name, option in options.items() if "default" in option and name.startswith(role.name + "_")}
    return [
        f"{role.name}: {name} is {defaults.get(name)!r} by default and {told.get(name)!r} by its specification"
        for name in sorted({*defaults, *told})
        if defaults.get(name) != told.get(name)
    ]


def main() -> None:
    """Check every role."""
    wrong = [line for role in sorted((ROOT / "roles").iterdir()) for line in differences(role)]
    print("\n".join(wrong), file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
