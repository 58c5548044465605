# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Site generators that are not Node's: Hugo, Jekyll, MkDocs, Sphinx."""

from __future__ import annotations

import posixpath
import re

from ._plan import Plan, steps
from ._ruby import install_gems
from ._tree import Files
from ._versions import pinned, set_version

_VENV = "python3 -m venv .venv"
_PIP = ".venv/bin/pip install --disable-pip-version-check"


def detect_hugo(files: Files, distribution: str) -> Plan | None:
    """Hugo: its configuration, or the older config.toml beside folders that only Hugo has."""
    config = files.first("hugo.toml", "hugo.yaml", "hugo.yml", "hugo.json", "config/_default/hugo.toml", "config/_default/config.toml")
    if config is None and files.folders & {"archetypes", "layouts", "themes"} and "content" in files.folders:
        config = files.first("config.toml", "config.yaml", "config.yml")
    if config is None:
        return None
    plan = Plan("hugo", framework="hugo", toolchain=["hugo"])
    plan.because("language", "hugo", config)
    set_version(plan, "hugo", pinned(files, "hugo"), distribution)
    if files.has("go.mod"):
        plan.need("golang-go", "git")
    plan.build = "hugo --minify --destination public"
    plan.because("build", plan.build, config)
    plan.static("public", config)
    return plan


def detect_jekyll(files: Files, distribution: str) -> Plan | None:
    """Jekyll, from the Gemfile or else from the distribution."""
    in_gemfile = bool(re.search(r"gem\s*\(?\s*[\"'](?:jekyll|github-pages)[\"']", files.text("Gemfile")))
    if not in_gemfile and not (files.has("_config.yml") and files.folders & {"_posts", "_layouts", "_includes", "_pages"}):
        return None
    plan = Plan("ruby", framework="jekyll", toolchain=["ruby"], env={"JEKYLL_ENV": "production", "LANG": "C.UTF-8"})
    plan.because("framework", "jekyll", "Gemfile" if in_gemfile else "_config.yml")
    if in_gemfile:
        install_gems(files, plan, {"jekyll"})
        plan.build = "bundle exec jekyll build --destination _site"
    else:
        plan.need("jekyll")
        plan.build = "jekyll build --destination _site"
    plan.because("build", plan.build, "Gemfile" if in_gemfile else "_config.yml")
    plan.static("_site", "_config.yml")
    return plan


def detect_mkdocs(files: Files, distribution: str) -> Plan | None:
    """MkDocs."""
    config = files.first("mkdocs.yml", "mkdocs.yaml")
    if config is None:
        return None
    material = bool(re.search(r"^\s*name:\s*[\"']?material\b", files.text(config), re.MULTILINE))
    plan = _python_site(files, "mkdocs", config, "mkdocs-material" if material else "mkdocs", "docs")
    match = re.search(r"^site_dir:\s*[\"']?([\w./-]+)", files.text(config), re.MULTILINE)
    output = match[1].strip("/") if match else "site"
    plan.build = f".venv/bin/mkdocs build --config-file {config}"
    plan.because("build", plan.build, config)
    plan.static(output, config)
    return plan


def detect_sphinx(files: Files, distribution: str) -> Plan | None:
    """Sphinx: a conf.py that says so."""
    config = next(
        (
            path
            for path in ("docs/conf.py", "docs/source/conf.py", "doc/conf.py", "source/conf.py", "conf.py")
            if re.search(r"^(?:extensions|html_theme|project)\s*=", files.text(path), re.MULTILINE)
        ),
        None,
    )
    if config is None:
        return None
    folder = posixpath.dirname(config) or "."
    plan = _python_site(files, "sphinx", config, "sphinx", folder)
    theme = re.search(r"^html_theme\s*=\s*[\"'](\w+)[\"']", files.text(config), re.MULTILINE)
    extra = {"sphinx_rtd_theme": "sphinx-rtd-theme", "furo": "furo", "pydata_sphinx_theme": "pydata-sphinx-theme"}.get(theme[1] if theme else "")
    plan.install = steps(plan.install, f"{_PIP} {extra}" if extra and not plan.package_manager else None)
    plan.build = f".venv/bin/sphinx-build -b html {folder} _site"
    plan.because("build", plan.build, config)
    plan.static("_site", config)
    return plan


def _python_site(files: Files, name: str, config: str, package: str, folder: str) -> Plan:
    """A generator that pip installs: from requirements that name it, else by its own name."""
    plan = Plan("python", framework=name, toolchain=["python3", "python3-venv"], dependency_dirs=[".venv"])
    plan.because("framework", name, config)
    plan.path(".venv/bin")
    paths = (f"{folder}/requirements.txt", "requirements-docs.txt", "docs-requirements.txt", "requirements/docs.txt", "requirements.txt")
    requirements = next((path for path in paths if re.search(rf"^{name}\b", files.text(path), re.MULTILINE | re.IGNORECASE)), None)
    plan.lockfiles = [requirements or config]
    plan.package_manager = "pip" if requirements else None
    plan.install = steps(_VENV, f"{_PIP} -r {requirements}" if requirements else f"{_PIP} {package}")
    plan.because("install", requirements or package, requirements or config)
    return plan
