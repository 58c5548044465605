# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line. Each verb is a thin call of one playbook; what takes time to import is imported where it is used."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from hitless import _api
from hitless._errors import EXIT_CONFIG, EXIT_INTERRUPTED, EXIT_OK, ConfigError, HitlessError
from hitless._events import Event, failure, finished, make
from hitless._view import JsonView, View, open_view, say

if TYPE_CHECKING:
    from hitless._project import Project
    from hitless._run import Run

_SHELLS = ("bash", "zsh", "fish")
_BUILDERS = ("auto", "native", "dockerfile", "image", "nixpacks", "railpack")
_EPILOG = (
    "Exit codes: 0 done, 1 failed and rolled back, 2 wrong configuration or usage, 3 locked by another run, "
    "4 host unreachable, 5 needs a person, 130 interrupted."
)

Command = Callable[..., int]


class _InOrder(click.Group):
    """Lists commands as they are defined: in the order of an app's life."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InOrder, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=lambda ctx, _param, value: _print_version(ctx) if value else None)
def cli() -> None:
    """Deploy web applications to your own servers without losing a request."""


def _print_version(context: click.Context) -> None:
    from hitless._collection import version

    click.echo(f"hitless {version()}")
    context.exit()


def _common(command: Command) -> Command:
    """Options that every verb takes."""
    for option in (
        click.option("-v", "--verbose", is_flag=True, help="Show what Ansible prints."),
        click.option("--json", "as_json", is_flag=True, help="One event a line, as JSON, and nothing else."),
        click.option("-f", "--file", type=click.Path(path_type=Path), help="The configuration file.  [default: hitless.yml]"),
        click.option("-t", "--target", help="Where to: a name in hitless.yml.  [default: the only one]"),
    ):
        command = option(command)
    return command


def _verb(name: str, *options: Callable[[Command], Command], text: str) -> None:
    """Add a command that runs the playbook of its name."""

    def command(**values: Any) -> int:
        return _perform(name, values)

    for option in reversed(options):
        command = option(command)
    cli.command(name, help=text)(_common(command))


_force = click.option("--force", is_flag=True, help="Do it again although nothing changed.")
_wait = click.option("--wait", type=click.FloatRange(min=0), metavar="SECONDS", help="Wait that long for another run to end.")
_detach = click.option("--detach", is_flag=True, help="Go on in the background.")
_deployment = click.argument("deployment", required=False)
_to = click.option("--to", metavar="DEPLOYMENT", help="The deployment to go back to.  [default: the good one before]")
_phase = click.option("--phase", help="The log of one phase: install, build, pre_deploy, ...")
_followed = click.option("-F", "--follow", is_flag=True, help="Go on with what the replicas write, until Ctrl-C.")
_source = click.option("--source", metavar="SOURCE", help="A folder, an archive or a git URL.  [default: source of hitless.yml, or its folder]")
_ref = click.option("--ref", metavar="REF", help="Branch, tag or commit of a git source.")
_builder = click.option("--builder", type=click.Choice(_BUILDERS), help="What builds.  [default: build.builder of hitless.yml, or what fits]")
_yes = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


@cli.command("init", help="Write hitless.yml.")
@click.option("--force", is_flag=True, help="Replace the file that is there.")
@click.option("--json", "as_json", is_flag=True, help="One event a line, as JSON, and nothing else.")
def _init(force: bool, as_json: bool) -> int:
    from hitless._project import write_file

    path, project = write_file(Path.cwd(), force)
    if as_json:
        return _answer("init", project, {"as_json": True}, [make("info", project.target, project.app, what="init", data={"file": str(path)})])
    say([f"Wrote {path}.", "hint: hitless plan, then hitless deploy"])
    return EXIT_OK


@cli.command("plan", help="Say what a deploy would do, asking no server.")
@_source
@_ref
@_builder
@_common
def _plan(source: str | None, ref: str | None, builder: str | None, **common: Any) -> int:
    project = _open(common)
    return _answer("plan", project, common, _api.plan(project.folder, project.target, file=project.file, source=source, ref=ref, builder=builder))


_verb("create", text="Make the target's server, or check the servers it names.")
_verb("configure", _force, text="Prepare the target's servers: packages, router, folders.")
_verb("push", _source, _ref, _builder, text="Upload and build without releasing.")
_verb("deploy", _force, _wait, _source, _ref, _builder, _detach, text="Build and release the app; no request is lost.")
_verb("up", _force, _wait, _source, _ref, _builder, _detach, text="create, configure and deploy, as far as each is needed.")
_verb("rollback", _to, _wait, text="Go back to the release before; nothing is built.")
_verb("status", text="What serves, since when and where.")
_verb("ps", text="The replicas that run.")
_verb("events", _deployment, text="The deployments so far, or the phases of one.")
_verb("logs", _deployment, _phase, _followed, text="The log of the last deployment, or of another.")


@cli.group("domain", cls=_InOrder, help="Host names of the app: add, remove, list, sync.")
def _domain() -> None:
    pass


_names = click.argument("names", metavar="NAME...", nargs=-1, required=True)
_readable = click.Path(exists=True, dir_okay=False)
_path = click.option("--path", metavar="/PATH", help="Only this path and what is below it.")


_CERTIFICATE = ("email", "server", "staging", "eab_kid", "challenge", "dns_auth_hook", "dns_cleanup_hook", "ca_bundle", "skip_checks", "name")


@_domain.command("add", help="Lead host names to the app; no request is lost.")
@_names
@_path
@click.option("--service", help="The service that answers.  [default: web]")
@click.option("--redirect-to", metavar="NAME|URL", help="Send requests there, to the same path, in place of answering them.")
@click.option("--no-tls", is_flag=True, help="Plain HTTP, without a certificate.")
@click.option("--hsts", type=click.IntRange(min=0), metavar="SECONDS", help="Have browsers ask by HTTPS alone for that long.")
@click.option("--email", help="Where the certificate authority writes to.")
@click.option("--acme-server", "server", metavar="URL", help="The directory of another certificate authority.  [default: Let's Encrypt]")
@click.option("--staging", is_flag=True, help="Let's Encrypt's staging server, whose certificates nobody trusts.")
@click.option("--eab-kid", metavar="ID", help="An account at the certificate authority; its key is in HITLESS_EAB_KEY.")
@click.option("--challenge", type=click.Choice(["http-01", "dns-01"]), help="How the name is seen to be yours.  [default: http-01]")
@click.option("--dns-hook", "dns_auth_hook", metavar="COMMAND", help="With dns-01: the command on the host that puts the record.")
@click.option("--dns-cleanup-hook", metavar="COMMAND", help="With dns-01: the command on the host that takes the record out.")
@click.option("--ca-bundle", metavar="FILE", help="Whom to trust, a file on the host, for a private certificate authority.")
@click.option("--skip-checks", is_flag=True, help="Ask the authority although a name does not seem to lead to the host.")
@click.option("--certificate-name", "name", metavar="NAME", help="Put the names on the certificate of this name.  [default: one each]")
@click.option("--certificate", "certificate_file", type=_readable, metavar="FILE", help="Your own certificate, with its chain.")
@click.option("--key", "key_file", type=_readable, metavar="FILE", help="The key of your own certificate.")
@_wait
@_common
def _domain_add(names: tuple[str, ...], no_tls: bool, wait: float | None, **values: Any) -> int:
    common = _take_common(values)
    certificate = {key: values.pop(key) for key in _CERTIFICATE}
    options = _api.domain_options(names, tls=False if no_tls else None, certificate=certificate, **values)
    return _follow("domain_add", _open(common), common, {"wait": wait, **options})


@_domain.command("remove", help="Take host names from the app.")
@_names
@_path
@_wait
@_common
def _domain_remove(names: tuple[str, ...], wait: float | None, **values: Any) -> int:
    common = _take_common(values)
    return _follow("domain_remove", _open(common), common, {"wait": wait, **_api.domain_options(names, **values)})


@_domain.command("list", help="The host names, where they lead and who asked for them.")
@_common
def _domain_list(**common: Any) -> int:
    return _follow("domain_list", _open(common), common, {})


@_domain.command("sync", help="Have the host names of hitless.yml again.")
@_wait
@_common
def _domain_sync(wait: float | None, **common: Any) -> int:
    return _follow("domain_sync", _open(common), common, {"wait": wait})


@cli.command("cancel", help="End the deployment that is under way, and clean up after it.")
@_deployment
@_common
def _cancel(deployment: str | None, **common: Any) -> int:
    from hitless import _detach

    project = _open(common)
    if deployment is None and _detach.stop(project):
        return _answer("cancel", project, common, [finished(project.target, project.app, "CANCELLED")])
    return _follow("cancel", project, common, {"deployment": deployment})


_verb("destroy", _yes, text="Remove the server that create made, and all that is on it.")


@cli.command("version", help="The version of hitless.")
@click.pass_context
def _version(context: click.Context) -> None:
    _print_version(context)


@cli.command("completion", help='Completion for a shell: eval "$(hitless completion bash)".')
@click.argument("shell", type=click.Choice(_SHELLS))
def _completion(shell: str) -> int:
    from click.shell_completion import get_completion_class

    completer = get_completion_class(shell)
    assert completer is not None
    click.echo(completer(cli, {}, "hitless", "_HITLESS_COMPLETE").source())
    return EXIT_OK


def _open(common: dict[str, Any]) -> Project:
    """The project, and on standard error what was assumed of it."""
    from hitless._project import open_project

    project = open_project(".", common["target"], common["file"])
    if project.assumptions:
        say(["There is no hitless.yml here, so:", *(f"  - {one}" for one in project.assumptions), "To write that down: hitless init", ""], error=True)
    return project


def _take_common(values: dict[str, Any]) -> dict[str, Any]:
    """The options that every verb takes, out of ``values``."""
    return {name: values.pop(name) for name in ("target", "file", "as_json", "verbose")}


def _perform(verb: str, values: dict[str, Any]) -> int:
    common = _take_common(values)
    detach = values.pop("detach", False)
    project = _open(common)
    if verb == "destroy":
        _confirm(project, values.pop("yes"), common["as_json"])
        values["confirmed"] = True
    if _api.starting_verb(verb, project) != verb:
        say([f"{project.target} does not exist yet, so it is made first, as hitless up does."], error=True)
    return _send_away(verb, project, common, values) if detach else _follow(verb, project, common, values)


def _answer(verb: str, project: Project, common: dict[str, Any], events: Iterable[Event]) -> int:
    """Show events that need no run."""
    view = open_view(verb, project.app, project.target, common["as_json"])
    for event in events:
        view.show(event)
    view.close()
    return EXIT_OK


def _follow(verb: str, project: Project, common: dict[str, Any], options: dict[str, Any]) -> int:
    """Run a verb and show its events."""
    view: View
    passthrough = (lambda text: view.line(text)) if common["verbose"] else None
    run = _api.prepare(verb, project, passthrough, lambda task: view.doing(task), **options)
    view = open_view(verb, project.app, project.target, common["as_json"])
    try:
        with _interruptible(run, view):
            for event in run.events():
                view.show(event)
    finally:
        view.close()
    return run.exit_code


@contextmanager
def _interruptible(run: Run, view: View) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and a closed terminal end the run cleanly."""

    def handler(_number: int, _frame: FrameType | None) -> None:
        view.stopping()
        run.interrupt()

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _send_away(verb: str, project: Project, common: dict[str, Any], options: dict[str, Any]) -> int:
    """Run a verb in the background."""
    from hitless import _detach

    arguments = [verb, "--json", "--target", project.target]
    if common["file"]:
        arguments += ["--file", str(common["file"])]
    if options.get("force"):
        arguments.append("--force")
    for name in ("wait", "source", "ref", "builder"):
        if options.get(name) is not None:
            arguments += [f"--{name}", str(options[name])]
    return _answer(verb, project, common, [_detach.start(project, arguments)])


def _confirm(project: Project, yes: bool, as_json: bool) -> None:
    if yes:
        return
    if as_json or not sys.stdin.isatty():
        raise ConfigError(f"destroy removes {project.target} of {project.app}, and nobody can be asked here; nothing was removed.", "hitless destroy --yes")
    if not click.confirm(f"Remove the server {project.target} of {project.app} and all that is on it?", err=True):
        raise ConfigError("Nothing was removed.")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in given
    try:
        code = cli.main(given, prog_name="hitless", standalone_mode=False)
    except click.UsageError as error:
        if as_json:
            return _refuse(ConfigError(error.format_message(), f"{error.ctx.command_path if error.ctx else 'hitless'} --help"), True)
        error.show()
        return EXIT_CONFIG
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except HitlessError as error:
        return _refuse(error, as_json)
    return code if isinstance(code, int) else EXIT_OK


def _refuse(error: HitlessError, as_json: bool) -> int:
    """Say why nothing was started."""
    if as_json:
        JsonView().show(failure(error))
    else:
        say([f"{'hitless: ' if number == 0 else '         '}{line}" for number, line in enumerate(str(error).splitlines())], error=True)
        say([f"hint: {error.hint}"] if error.hint else [], error=True)
    return error.exit
