# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PHP apps, served by nginx and php-fpm that run as the service itself, with everything they write in /tmp."""

from __future__ import annotations

import shlex

from ._plan import Plan, steps
from ._tree import Files, table
from ._versions import pinned, set_version

_SERVER = ".hitless/serve.sh"
# Debian packages of the extensions that composer.json may ask for and that are not part of php-cli.
_EXTENSIONS = ("bcmath", "curl", "gd", "gmp", "imagick", "imap", "intl", "ldap", "mbstring", "mysql", "pgsql", "redis", "soap", "sqlite3", "xml", "zip")
_ALIASES = {"dom": "xml", "simplexml": "xml", "xmlwriter": "xml", "pdo_mysql": "mysql", "mysqli": "mysql", "pdo_pgsql": "pgsql", "pdo_sqlite": "sqlite3"}

# Written into the app by its build; PORT is known only when a replica starts. %s is the folder of the documents.
_SCRIPT = r"""#!/bin/sh
# Serves the app on 127.0.0.1:$PORT with nginx in front of php-fpm. Made by the build.
set -eu
run=$(mktemp -d /tmp/php.XXXXXX)
fpm=$(command -v php-fpm || ls /usr/sbin/php-fpm* | tail -n 1)
cat >"$run/fpm.conf" <<FPM
[global]
error_log = $run/fpm.log
daemonize = no
[www]
listen = $run/fpm.sock
pm = dynamic
pm.max_children = ${PHP_WORKERS:-10}
pm.start_servers = 2
pm.min_spare_servers = 1
pm.max_spare_servers = 3
clear_env = no
catch_workers_output = yes
decorate_workers_output = no
FPM
cat >"$run/nginx.conf" <<NGINX
daemon off;
pid $run/nginx.pid;
error_log stderr;
events { worker_connections 1024; }
http {
  include /etc/nginx/mime.types;
  access_log off;
  client_max_body_size 64m;
  client_body_temp_path $run/body;
  fastcgi_temp_path $run/fastcgi;
  proxy_temp_path $run/proxy;
  scgi_temp_path $run/scgi;
  uwsgi_temp_path $run/uwsgi;
  server {
    listen 127.0.0.1:$PORT;
    root %s;
    index index.php index.html;
    location / { try_files \$uri \$uri/ /index.php\$is_args\$args; }
    location ~ /\.(?!well-known) { deny all; }
    location ~ \.php\$ {
      try_files \$uri =404;
      include /etc/nginx/fastcgi_params;
      fastcgi_param SCRIPT_FILENAME \$document_root\$fastcgi_script_name;
      fastcgi_param HTTP_PROXY "";
      fastcgi_pass unix:$run/fpm.sock;
    }
  }
}
NGINX
"$fpm" --nodaemonize --force-stderr --fpm-config "$run/fpm.conf" &
fpm_pid=$!
# Before 1.19.5 nginx has no -e, and only complains that it cannot open its usual log.
if nginx -h 2>&1 | grep -q -e ' -e filename'; then set -- -e stderr; fi
nginx "$@" -c "$run/nginx.conf" &
nginx_pid=$!
trap 'kill -QUIT "$nginx_pid"; wait "$nginx_pid"; kill -QUIT "$fpm_pid"; wait "$fpm_pid"; rm -rf "$run"; exit 0' TERM INT
# Neither is of use without the other.
while kill -0 "$fpm_pid" && kill -0 "$nginx_pid"; do sleep 1 & wait $!; done
kill "$fpm_pid" "$nginx_pid" || true
rm -rf "$run"
exit 1
"""


def detect_php(files: Files, distribution: str) -> Plan | None:
    """The plan of an app with a composer.json, or with an index.php where documents are served from."""
    marker = files.first("composer.json", "index.php", "public/index.php", "web/index.php", "wp-config.php")
    if marker is None:
        return None
    plan = Plan("php", toolchain=["php-cli", "php-fpm", "nginx-light"])
    plan.because("language", "php", marker)
    composer = files.json("composer.json")
    required: dict[str, str] = table(composer, "require")
    set_version(plan, "php", pinned(files, "php") or ((str(required["php"]), "composer.json") if "php" in required else None), distribution)
    _framework(files, plan, required)
    _packages(files, plan, required)
    documents = next((folder for folder in ("public", "web", "webroot", "htdocs", "") if files.has(f"{folder}/index.php".lstrip("/"))), None)
    if documents is None:
        plan.no_start("an index.php, in the folder itself or in public/")
        return plan
    root = f"/app/{documents}".rstrip("/")
    plan.build = steps(plan.build, f"mkdir -p .hitless && printf %s {shlex.quote(_SCRIPT % root)} > {_SERVER}")
    plan.web(f"sh {_SERVER}", f"{documents}/index.php".lstrip("/"))
    return plan


def _framework(files: Files, plan: Plan, required: dict[str, str]) -> None:
    by_package = {
        "laravel/framework": "laravel",
        "symfony/framework-bundle": "symfony",
        "slim/slim": "slim",
        "cakephp/cakephp": "cakephp",
        "codeigniter4/framework": "codeigniter",
    }
    name = next((name for package, name in by_package.items() if package in required), None)
    wordpress = files.first("wp-config.php", "wp-config-sample.php", "wp-load.php") or (
        "composer.json" if "johnpbloch/wordpress" in required or "roots/wordpress" in required else None
    )
    if name:
        plan.framework = name
        plan.because("framework", name, "composer.json")
    elif wordpress:
        plan.framework = "wordpress"
        plan.because("framework", "wordpress", wordpress)
        plan.need("php-mysql", "php-gd", "php-xml", "php-mbstring", "php-curl", "php-zip")
    if name == "laravel":
        # What Laravel compiles and logs goes where it can be written.
        plan.env.update({"APP_ENV": "production", "LOG_CHANNEL": "stderr", "VIEW_COMPILED_PATH": "/tmp"})
        plan.warn(
            "Laravel keeps sessions, uploads and its file cache in storage/: mount it (mounts: {/app/storage: storage}) or use a database or Redis for them."
        )
    if name == "symfony":
        plan.env.update({"APP_ENV": "prod", "APP_DEBUG": "0"})
        plan.build = steps(plan.build, "php bin/console cache:warmup" if files.has("bin/console") else None)


def _packages(files: Files, plan: Plan, required: dict[str, str]) -> None:
    names = {name.removeprefix("ext-").lower() for name in required if name.startswith("ext-")}
    if plan.framework in ("laravel", "symfony"):
        names |= {"mbstring", "xml", "curl"}
    plan.need(*(f"php-{_ALIASES.get(name, name)}" for name in sorted(names) if _ALIASES.get(name, name) in _EXTENSIONS))
    if not files.has("composer.json"):
        return
    plan.package_manager = "composer"
    plan.because("package manager", "composer", "composer.json")
    plan.need("composer", "unzip", "git")
    plan.dependency_dirs = ["vendor"]
    plan.lockfiles = [path for path in ("composer.lock", "composer.json") if files.has(path)]
    # Scripts and the autoloader see the app's code, so they belong to the build and not to the layer of dependencies.
    plan.install = "composer install --no-dev --no-interaction --no-progress --prefer-dist --no-scripts --no-autoloader"
    scripts = "composer run-script --no-dev post-autoload-dump" if plan.framework == "laravel" else None
    plan.build = steps("composer dump-autoload --no-dev --optimize --no-scripts", scripts, plan.build)
