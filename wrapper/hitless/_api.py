# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs as functions that yield typed events."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hitless._errors import ConfigError, RunFailed
from hitless._events import Deployed, Event, Failed, make

if TYPE_CHECKING:
    from collections.abc import Callable

    from hitless._project import Project
    from hitless._run import Run

Folder = str | os.PathLike[str]

# Readers share a playbook; every other verb has one of its own name.
READERS = ("status", "ps", "events", "logs")
# So do those that end in what is done to a domain.
_DOMAIN = "domain_"
_NEED_A_SERVER = (*READERS, "configure", "push", "rollback", "cancel", "domain_add", "domain_remove", "domain_list", "domain_sync")


def prepare(
    verb: str, project: Project, passthrough: Callable[[str], None] | None = None, progress: Callable[[str], None] | None = None, **options: Any
) -> Run:
    """The run of a verb; ``deploy`` to a local server that does not exist yet becomes ``up``.

    Args:
        verb: ``deploy``, ``rollback``, ``domain_add``, ...
        project: the app and its target.
        passthrough: gets every line that Ansible shows.
        progress: gets the name of each task as it begins.
        options: become the variables ``hitless_<name>`` of the run; None and False are left out.

    Raises:
        ConfigError: the verb needs a server and there is none.
    """
    from hitless._run import Run

    if verb in _NEED_A_SERVER and not project.is_created():
        raise ConfigError(f"The target {project.target} of {project.app} has no server yet; nothing was done.", "hitless up")
    if verb in READERS:
        options["what"] = verb
    if options.get("source") and os.path.exists(options["source"]):
        options["source"] = os.path.abspath(options["source"])  # ansible-playbook has another present folder
    extravars = {f"hitless_{name}": value for name, value in options.items() if value is not None and value is not False}
    if verb.startswith(_DOMAIN):
        extravars["hitless_domain_action"] = verb.removeprefix(_DOMAIN)
    return Run(playbook(verb, project), project, extravars, passthrough, progress)


def playbook(verb: str, project: Project) -> str:
    """The playbook of a verb."""
    if verb in READERS:
        return "info"
    return "domain" if verb.startswith(_DOMAIN) else starting_verb(verb, project)


def starting_verb(verb: str, project: Project) -> str:
    """The verb that is run: a first ``deploy`` has to make the server as well."""
    return "up" if verb == "deploy" and not project.is_created() else verb


def _run(verb: str, folder: Folder, target: str | None, file: Folder | None, **options: Any) -> Iterator[Event]:
    from hitless._project import open_project

    yield from prepare(verb, open_project(folder, target, file), **options).events()


def create(folder: Folder = ".", target: str | None = None, *, file: Folder | None = None) -> Iterator[Event]:
    """Make the target's server, or check the servers that it names."""
    return _run("create", folder, target, file)


def configure(folder: Folder = ".", target: str | None = None, *, file: Folder | None = None, force: bool = False) -> Iterator[Event]:
    """Prepare the target's hosts; ``force`` does so again where it was done."""
    return _run("configure", folder, target, file, force=force)


def push(
    folder: Folder = ".",
    target: str | None = None,
    *,
    file: Folder | None = None,
    source: str | None = None,
    ref: str | None = None,
    builder: str | None = None,
) -> Iterator[Event]:
    """Upload the source and build it, without releasing it; the arguments are those of ``deploy``."""
    return _run("push", folder, target, file, source=source, ref=ref, builder=builder)


def deploy(
    folder: Folder = ".",
    target: str | None = None,
    *,
    file: Folder | None = None,
    force: bool = False,
    wait: float | None = None,
    source: str | None = None,
    ref: str | None = None,
    builder: str | None = None,
) -> Iterator[Event]:
    """Build and release the app.

    Args:
        folder: the app's folder.
        target: name of the target; the only one where there is one, ``dev`` without a hitless.yml.
        file: the configuration file, when it is not ``hitless.yml`` in the folder.
        force: make a new release although nothing changed.
        wait: seconds to wait for another run that holds the app's lock.
        source: a folder, an archive or a git URL, instead of what hitless.yml says; paths are relative to the present folder.
        ref: branch, tag or commit of a git source.
        builder: instead of what hitless.yml says: ``auto``, ``native``, ``dockerfile``, ...

    Yields:
        Events as they happen; the last one is a ``Deployed`` or a ``Failed``.

    Raises:
        ConfigError: hitless.yml, the folder or the target is wrong; nothing was started.
        InstallationError: the collection cannot be used.
    """
    return _run("deploy", folder, target, file, force=force, wait=wait, source=source, ref=ref, builder=builder)


def up(
    folder: Folder = ".",
    target: str | None = None,
    *,
    file: Folder | None = None,
    force: bool = False,
    wait: float | None = None,
    source: str | None = None,
    ref: str | None = None,
    builder: str | None = None,
) -> Iterator[Event]:
    """``create``, ``configure`` and ``deploy``, each as far as it is needed; the arguments are those of ``deploy``."""
    return _run("up", folder, target, file, force=force, wait=wait, source=source, ref=ref, builder=builder)


def rollback(
    folder: Folder = ".", target: str | None = None, *, file: Folder | None = None, to: str | None = None, wait: float | None = None
) -> Iterator[Event]:
    """Go back to the previous good release, or to that of the deployment ``to``."""
    return _run("rollback", folder, target, file, to=to, wait=wait)


def cancel(folder: Folder = ".", target: str | None = None, *, file: Folder | None = None, deployment: str | None = None) -> Iterator[Event]:
    """End the deployment that is under way, or the one named, and clean up after it."""
    return _run("cancel", folder, target, file, deployment=deployment)


def domain_add(
    names: str | Iterable[str],
    folder: Folder = ".",
    target: str | None = None,
    *,
    file: Folder | None = None,
    path: str | None = None,
    service: str | None = None,
    redirect_to: str | None = None,
    tls: bool | None = None,
    hsts: int | None = None,
    certificate: Mapping[str, Any] | None = None,
    certificate_file: Folder | None = None,
    key_file: Folder | None = None,
    wait: float | None = None,
) -> Iterator[Event]:
    """Lead host names to the app while it serves.

    Args:
        names: one host name, or several that get the same options.
        path: only this path and what is below it.
        service: the service that answers; ``web``, or else the first that takes requests.
        redirect_to: where requests are sent in place of answering them, a host name or the beginning of a URL.
        tls: whether they have a certificate; by default when a certificate authority can see that they are ours.
        hsts: seconds for which browsers ask by HTTPS alone.
        certificate: how it is had, over ``certificates`` of hitless.yml: ``email``, ``server``, ``staging``, ``challenge``,
            ``dns_auth_hook``, ``dns_cleanup_hook``, ``eab_kid``, ``ca_bundle``, ``skip_checks``, ``name`` (names that say the same are on one
            certificate). The key of the account is in the environment, ``HITLESS_EAB_KEY``.
        certificate_file, key_file: your own certificate with its chain, and its key.
        wait: seconds to wait for a step of a deployment of the app.
    """
    options: dict[str, Any] = {"path": path, "service": service, "redirect_to": redirect_to, "tls": tls, "hsts": hsts, "certificate": certificate}
    return _run("domain_add", folder, target, file, wait=wait, **domain_options(names, certificate_file=certificate_file, key_file=key_file, **options))


def domain_options(names: str | Iterable[str], **options: Any) -> dict[str, Any]:
    """The variables of a run about domains, without their prefix."""
    tls, files = options.pop("tls", None), {name: options.pop(name, None) for name in ("certificate_file", "key_file")}
    given = {"names": [names] if isinstance(names, str) else list(names), "tls": None if tls is None else "yes" if tls else "no", **options}
    given |= {name: os.path.abspath(path) for name, path in files.items() if path}
    given["certificate"] = {key: value for key, value in (options.get("certificate") or {}).items() if value} or None
    return {_DOMAIN + name: value for name, value in given.items()}


def domain_remove(
    names: str | Iterable[str],
    folder: Folder = ".",
    target: str | None = None,
    *,
    file: Folder | None = None,
    path: str | None = None,
    wait: float | None = None,
) -> Iterator[Event]:
    """Take host names from the app, or only ``path`` of them; they are free for other apps then."""
    return _run("domain_remove", folder, target, file, wait=wait, **domain_options(names, path=path))


def domain_list(folder: Folder = ".", target: str | None = None, *, file: Folder | None = None) -> Iterator[Event]:
    """The host names of the app: an ``Info`` a host."""
    return _run("domain_list", folder, target, file)


def domain_sync(folder: Folder = ".", target: str | None = None, *, file: Folder | None = None, wait: float | None = None) -> Iterator[Event]:
    """Make the host names be those of hitless.yml and those that were added, and put back what the router has lost."""
    return _run("domain_sync", folder, target, file, wait=wait)


def destroy(folder: Folder = ".", target: str | None = None, *, file: Folder | None = None) -> Iterator[Event]:
    """Remove what ``create`` made. The caller has asked whoever needs to be asked."""
    return _run("destroy", folder, target, file, confirmed=True)


def status(folder: Folder = ".", target: str | None = None, *, file: Folder | None = None) -> Iterator[Event]:
    """What serves, since when and where: an ``Info`` a host."""
    return _run("status", folder, target, file)


def ps(folder: Folder = ".", target: str | None = None, *, file: Folder | None = None) -> Iterator[Event]:
    """The replicas: an ``Info`` a host."""
    return _run("ps", folder, target, file)


def events(folder: Folder = ".", target: str | None = None, *, file: Folder | None = None, deployment: str | None = None) -> Iterator[Event]:
    """The deployments of the past, or the phases of one: an ``Info`` a host."""
    return _run("events", folder, target, file, deployment=deployment)


def logs(
    folder: Folder = ".",
    target: str | None = None,
    *,
    file: Folder | None = None,
    deployment: str | None = None,
    phase: str | None = None,
    follow: bool = False,
) -> Iterator[Event]:
    """The log of the last deployment, or of the one named; of one phase, where it is named. With ``follow`` a ``Log`` for each line that the replicas
    write, until the iterator is closed.
    """
    return _run("logs", folder, target, file, deployment=deployment, phase=phase, follow=follow)


def plan(
    folder: Folder = ".",
    target: str | None = None,
    *,
    file: Folder | None = None,
    source: str | None = None,
    ref: str | None = None,
    builder: str | None = None,
) -> Iterator[Event]:
    """What the app is and what a deploy would do, found out here: one ``Info`` with ``plan``, ``app``, ``source`` and ``rows``."""
    from hitless._project import open_project

    project = open_project(folder, target, file)
    yield make("info", project.target, project.app, what="plan", data=plan_of(project, source, ref, builder))


def plan_of(project: Project, source: str | None = None, ref: str | None = None, builder: str | None = None) -> dict[str, Any]:
    """The plan, what is made of it, the source, and the rows of the table that people read.

    Args:
        project: the app and its target.
        source: a folder, an archive or a git URL, instead of what hitless.yml says.
        ref: branch, tag or commit of a git source.
        builder: instead of what hitless.yml says.

    Raises:
        ConfigError: the source cannot be had, or the app's kind cannot be told.
    """
    from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
    from ansible_collections.hitless.paas.plugins.plugin_utils._origin import overridden, token_of
    from ansible_collections.hitless.paas.plugins.plugin_utils._planning import answer_of

    try:
        settings = overridden(project.settings.as_dict(), source, ref, builder)
        return answer_of(settings, token_of(settings["source"], project.settings.env, os.environ))
    except HitlessError as error:
        raise ConfigError(error.message, error.hint) from error


def result(run: Iterable[Event]) -> Deployed:
    """Go through a run's events and return its last one.

    Raises:
        RunFailed: the run ended with a ``Failed``.
    """
    last = next(iter(deque(run, maxlen=1)), None)
    if isinstance(last, Failed):
        raise RunFailed(last)
    if not isinstance(last, Deployed):
        raise ValueError("these events are not those of a whole run")
    return last
