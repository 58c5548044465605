"""Runs once a deployment, before the new release takes requests: the place of a migration."""

from pathlib import Path

VERSION = (Path(__file__).parent / "VERSION").read_text(encoding="utf-8").strip()

if __name__ == "__main__":
    print(f"release {VERSION} prepared")
