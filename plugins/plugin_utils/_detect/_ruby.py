# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ruby apps: Rails, Sinatra and anything with a config.ru."""

from __future__ import annotations

import re

from ._plan import Plan, steps
from ._tree import Files
from ._versions import pinned, set_version

# A gem and the Debian packages that its extension is compiled against.
_HEADERS = {
    "pg": ("libpq-dev",),
    "mysql2": ("default-libmysqlclient-dev",),
    "sqlite3": ("libsqlite3-dev",),
    "nokogiri": ("libxml2-dev", "libxslt1-dev"),
    "psych": ("libyaml-dev",),
}
_FRAMEWORKS = (("rails", "rails"), ("hanami", "hanami"), ("sinatra", "sinatra"), ("roda", "roda"), ("rack", "rack"))
_SERVERS = {
    "puma": "puma -b tcp://127.0.0.1:$PORT -e production",
    "falcon": "falcon serve --bind http://127.0.0.1:$PORT",
    "unicorn": "unicorn -l 127.0.0.1:$PORT -E production",
    "thin": "thin start -a 127.0.0.1 -p $PORT -e production",
}


def detect_ruby(files: Files, distribution: str) -> Plan | None:
    """The plan of an app with a Gemfile or a config.ru; a Gemfile that only makes a site is the site's."""
    marker = files.first("Gemfile", "config.ru")
    gems = _gems(files)
    if marker is None or (marker == "Gemfile" and "jekyll" in gems and not files.has("config.ru")):
        return None
    plan = Plan("ruby", toolchain=["ruby"], env={"RACK_ENV": "production"})
    plan.because("language", "ruby", marker)
    set_version(plan, "ruby", pinned(files, "ruby") or _declared_version(files), distribution)
    name = next((name for gem, name in _FRAMEWORKS if gem in gems), "rack" if files.has("config.ru") else None)
    if name:
        plan.framework = name
        plan.because("framework", name, marker)
    if marker == "Gemfile":
        install_gems(files, plan, gems)
    if name == "rails":
        _rails(files, plan, gems)
    _start(files, plan, gems, bundled=marker == "Gemfile")
    return plan


def _gems(files: Files) -> set[str]:
    named = re.findall(r"^\s*gem\s*\(?\s*[\"']([\w-]+)[\"']", files.text("Gemfile"), re.MULTILINE)
    locked = re.findall(r"^    ([\w-]+) \(", files.text("Gemfile.lock"), re.MULTILINE)
    return {*named, *locked}


def _declared_version(files: Files) -> tuple[str, str] | None:
    match = re.search(r"^\s*ruby\s*\(?\s*[\"']([^\"']+)[\"']", files.text("Gemfile"), re.MULTILINE)
    return (match[1], "Gemfile") if match else None


def install_gems(files: Files, plan: Plan, gems: set[str]) -> None:
    """Bundler, told by the environment where things are, so that nothing is written outside of vendor/bundle."""
    plan.package_manager = "bundler"
    plan.because("package manager", "bundler", "Gemfile")
    plan.need("ruby-bundler", "ruby-dev", "build-essential", "libyaml-dev", "git")
    for gem in sorted(gems & set(_HEADERS)):
        plan.need(*_HEADERS[gem])
    plan.env.update({"BUNDLE_PATH": "/app/vendor/bundle", "BUNDLE_WITHOUT": "development:test", "BUNDLE_APP_CONFIG": "/app/vendor/.bundle"})
    plan.dependency_dirs = ["vendor/bundle"]
    plan.lockfiles = [path for path in ("Gemfile.lock", "Gemfile", ".ruby-version") if files.has(path)]
    if files.has("Gemfile.lock"):
        plan.env["BUNDLE_FROZEN"] = "true"
    plan.install = "bundle install --jobs 4"


def _rails(files: Files, plan: Plan, gems: set[str]) -> None:
    # What Rails writes while it runs goes to /tmp: /app is read-only.
    plan.env.update(
        {
            "RAILS_ENV": "production",
            "RAILS_LOG_TO_STDOUT": "1",
            "RAILS_SERVE_STATIC_FILES": "1",
            "PIDFILE": "/tmp/server.pid",
            "BOOTSNAP_CACHE_DIR": "/tmp/bootsnap",
        }
    )
    if gems & {"sprockets-rails", "sprockets", "propshaft", "webpacker", "shakapacker", "vite_rails"}:
        plan.build = steps(plan.build, "env SECRET_KEY_BASE_DUMMY=1 SECRET_KEY_BASE=only-for-assets bundle exec rails assets:precompile")
        plan.because("build", "rails assets:precompile", "Gemfile")


def _start(files: Files, plan: Plan, gems: set[str], bundled: bool) -> None:
    prefix = "bundle exec " if bundled else ""
    if not bundled:
        plan.need("puma", "ruby-rack")
        gems = {"puma"}
    server = next((name for name in _SERVERS if name in gems), None)
    if files.has("config.ru") and server:
        plan.web(prefix + _SERVERS[server], "config.ru")
    elif files.has("config.ru"):
        plan.no_start('a server in the Gemfile: gem "puma"')
    elif plan.framework == "sinatra" and (entry := files.first("app.rb", "main.rb", "server.rb", "web.rb")):
        plan.web(f"{prefix}ruby {entry} -o 127.0.0.1 -p $PORT -e production", entry)
    else:
        plan.no_start("a config.ru, or a Procfile with a line `web: <command>`")
