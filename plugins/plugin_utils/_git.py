# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources in git repositories: what may be asked of git, a cache of what was fetched, and one tree for each commit.

``<cache>/git/<digest of the URL>/`` holds ``lock`` (a flock while anything in it changes), ``mirror`` (a bare, shallow repository whose
``refs/hitless/<commit>`` were fetched whole), ``trees/<commit>/`` and, once that is whole, ``trees/<commit>.json``.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._files import read_json, write_json

# Whoever sets this variable may read this machine's files anyway; whoever only names a URL may not.
ALLOW_FILE = "HITLESS_GIT_ALLOW_FILE"
_SCHEMES = ("https", "http", "ssh", "git")
_SCP = re.compile(r"(?P<user>[A-Za-z0-9_][\w.+-]*)@(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\]):(?P<path>[^/:-].*|/(?!/).*)")
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*|[0-9A-Fa-f:]+")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_BAD_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)")
_LONGEST = 1000
_TIMEOUT = 3600
_TREES_KEPT = 5
# A run that has begun may need its tree until its upload is done.
_IN_USE_SECONDS = 3600
_HELPER = '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$HITLESS_GIT_USER" "$HITLESS_GIT_TOKEN"; }; f'
# What git and ssh complain of, in small letters; code; what is said of the URL; hint. The first that fits counts.
_FAILURES: tuple[tuple[tuple[str, ...], str, str, str], ...] = (
    (("host key verification failed",), "authentication_refused", "The ssh server of %s is not the one that is known by its key.",
     "ssh-keygen -R HOST, when its key was changed on purpose."),
    (("unprotected private key", "error in libcrypto", "invalid format"), "authentication_refused", "ssh does not accept the private key for %s.",
     "chmod 600 the key's file, and see that it is a private key without a passphrase."),
    (("authentication failed", "could not read username", "could not read password", "permission denied", "http basic: access denied", "returned error: 401",
      "returned error: 403", "invalid username", "invalid credentials", "too many authentication failures"),
     "authentication_refused", "%s refused the authentication, or asks for one.", "Set source.token or source.key in hitless.yml."),
    (("not found", "does not appear to be a git repository", "does not exist", "not exported", "returned error: 404"), "repository_unknown",
     "There is no git repository at %s, or it is hidden from these credentials.", "Correct source.git, or set source.token or source.key."),
    (("not allowed",), "source_invalid", "A submodule of %s has a URL of a kind that is not allowed.", "Change it to https or ssh in .gitmodules."),
)  # fmt: skip
_AWAY = (
    "could not resolve", "connection refused", "timed out", "timeout", "failed to connect", "no route to host", "network is unreachable",
    "connection reset", "early eof", "unexpected disconnect", "connection closed", "couldn't connect", "unable to connect", "the remote end hung up",
    "returned error: 5", "certificate",
)  # fmt: skip
# Which files configure git, and whom it trusts, is for whoever runs this; what else git reads from its environment is set here.
_KEPT = ("GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH")
_NOT_GIVEN = ("not our ref", "unadvertised object", "couldn't find remote ref")


@dataclass(frozen=True)
class Repository:
    """What is asked for.

    Attributes:
        url: https, http, ssh, git, or ``user@host:path``.
        ref: branch, tag, full ``refs/…`` or whole commit; None for what the repository's HEAD names.
        key: file of a private key, or None for what ssh finds by itself.
        token: value that is sent as the password to the URL's own host, or None.
        submodules: whether submodules are fetched too.
        run: what tells one run from others: within it a ref stays what it was at first, for every host gets the same commit.
    """

    url: str
    ref: str | None = None
    key: str | None = None
    token: str | None = field(default=None, repr=False)
    submodules: bool = True
    run: str | None = None


@dataclass(frozen=True)
class Checkout:
    """A commit in a folder, which must not be changed.

    Attributes:
        folder: absolute path.
        commit: its id.
        branch: name of the branch that was asked for, or None.
    """

    folder: str
    commit: str
    branch: str | None


def is_url(text: str) -> bool:
    """Whether ``text`` is meant as a repository's URL and not as a path."""
    return "://" in text or "::" in text or bool(_SCP.fullmatch(text))


def shown(url: str) -> str:
    """``url`` as it may be shown: without a password, and printable."""
    bare = re.sub(r"^([a-z+]+://)([^/@]*:[^/@]*|[^/@]*:)@", r"\1", url)
    return re.sub(r"[^\x21-\x7e\xa0-\U0010ffff]", "?", bare)[:200]


def check_url(url: str, has_token: bool = False, allow_file: bool = False) -> None:
    """HitlessError ``source_invalid`` unless ``url`` names a place on a server that may be asked for it."""
    why, hint = _url_fault(url, has_token, allow_file)
    if why:
        raise HitlessError("source_invalid", f"The git URL {shown(url)!r} {why}. Nothing was changed.", hint)


def _url_fault(url: str, has_token: bool, allow_file: bool) -> tuple[str | None, str]:
    hint = "Use https://host/path.git, ssh://user@host/path.git or user@host:path.git."
    if not url or len(url) > _LONGEST or url.startswith("-") or re.search(r"[\x00-\x20\x7f]", url):
        return "is no URL", hint
    if _SCP.fullmatch(url):
        return ("cannot be used with a token: ssh takes keys", "Set source.key, or use the https URL.") if has_token else (None, "")
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        return "is no URL", hint
    if parts.scheme == "file" and "::" not in url.partition("://")[0]:
        return (None, "") if allow_file else ("is a path of this machine", f"Name the folder as the source, or set {ALLOW_FILE}=1 in the environment.")
    if parts.scheme not in _SCHEMES:
        return f"has a scheme other than {', '.join(_SCHEMES)}", hint
    if not _HOST.fullmatch(host) or parts.path.strip("/") == "" or (parts.username or "").startswith("-"):
        return "names no repository of a server", hint
    if parts.password is not None:
        return "holds a password", "Leave it out; set source.token to the name of a secret that holds it."
    if has_token and not (parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)):
        return "would carry the token unencrypted, or to nobody", "Use the https URL."
    return None, ""


def check_ref(ref: str | None) -> None:
    """HitlessError ``source_invalid`` unless ``ref`` may be the name of a branch, a tag or a commit."""
    if ref is None:
        return
    if not ref or len(ref) > 255 or ref[0] in "-./@" or ref.endswith(("/", ".")) or _BAD_REF.search(ref):
        raise HitlessError(
            "source_invalid", f"{ref[:80]!r} is no name of a branch, a tag or a commit. Nothing was changed.", "git ls-remote URL lists the names."
        )


def environment(repository: Repository, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment in which git may talk to the repository's server: nobody is asked, and only for this host is there a token."""
    kept = {name: value for name, value in environ.items() if name in _KEPT or not name.startswith(("GIT_", "SSH_ASKPASS"))}
    ssh = ["ssh", "-oBatchMode=yes", "-oStrictHostKeyChecking=accept-new", "-oConnectTimeout=30", "-oServerAliveInterval=30"]
    ssh += ["-i", repository.key, "-oIdentitiesOnly=yes"] if repository.key else []
    schemes = [*_SCHEMES, "file"] if environ.get(ALLOW_FILE) == "1" else _SCHEMES
    fixed = {
        "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "GIT_SSH_COMMAND": shlex.join(ssh), "GIT_SSH_VARIANT": "ssh",
        "GIT_ALLOW_PROTOCOL": ":".join(schemes), "GIT_ADVICE": "0",
    }  # fmt: skip
    settings = [("core.hooksPath", "/dev/null"), ("core.fsmonitor", "false"), ("core.autocrlf", "false"), ("submodule.recurse", "false")]
    settings += [("http.lowSpeedLimit", "1"), ("http.lowSpeedTime", "60"), ("gc.autoDetach", "false")]
    if repository.token is not None:
        parts = urlsplit(repository.url)
        # The values stay in the environment of git; its configuration names only the variables.
        fixed |= {"HITLESS_GIT_USER": parts.username or "x-access-token", "HITLESS_GIT_TOKEN": repository.token}
        settings += [("credential.helper", ""), (f"credential.{_place(parts)}.helper", _HELPER)]
    for number, (name, value) in enumerate(settings):
        fixed |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return {**kept, **fixed, "GIT_CONFIG_COUNT": str(len(settings))}


def _place(parts: SplitResult) -> str:
    """Scheme, host and port, as git compares them."""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def checkout(repository: Repository, cache: str) -> Checkout:
    """The commit that ``repository`` names, in a folder below ``cache``; only what is not there yet is fetched.

    Raises:
        HitlessError: ``source_invalid``, ``repository_unknown``, ``authentication_refused``, ``ref_unknown``, ``source_unreachable`` or ``source_failed``.
    """
    check_url(repository.url, repository.token is not None, os.environ.get(ALLOW_FILE) == "1")
    check_ref(repository.ref)
    if repository.key and not os.access(repository.key, os.R_OK):
        message = f"The private key {repository.key} of the git source cannot be read. Nothing was changed."
        raise HitlessError("config_invalid", message, "Correct source.key in hitless.yml.")
    home = Path(cache, "git", hashlib.sha256(os.fsencode(repository.url)).hexdigest()[:32])
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = _Store(repository, home)
    with store.locked():
        return store.checkout()


class _Broken(Exception):
    """Something in the cache is not as git left it; a new cache may do."""


class _Store:
    """The cache of one URL; every method but ``locked`` needs the lock."""

    def __init__(self, repository: Repository, home: Path) -> None:
        self.repository = repository
        self.home = home
        self.mirror = home / "mirror"
        self.trees = home / "trees"
        self._env = environment(repository, os.environ)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Wait for whoever uses the cache of this URL."""
        with open(self.home / "lock", "w", encoding="ascii") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def checkout(self) -> Checkout:
        """The tree of the commit; a cache that was cut or damaged is made anew once."""
        try:
            return self._checkout()
        except _Broken:
            for folder in (self.mirror, self.trees):
                shutil.rmtree(folder, ignore_errors=True)
        try:
            return self._checkout()
        except _Broken as error:
            message = f"git could not read {shown(self.repository.url)}: {error}. Nothing was changed."
            raise HitlessError("source_failed", message, "Try the same by hand: git clone") from error

    def _checkout(self) -> Checkout:
        self._make_mirror()
        commit, branch = self._fetched()
        tree = self.trees / (commit if self.repository.submodules else commit + ".alone")
        mark = tree.with_name(tree.name + ".json")
        if mark.exists() and self._is_clean(tree):
            os.utime(mark)
        else:
            self._make_tree(tree, commit)
            write_json(str(mark), {"v": 1, "commit": commit})
            self._prune(tree.name)
        return Checkout(str(tree), commit, branch)

    # --- the mirror --------------------------------------------------------------------------------------------------

    def _make_mirror(self) -> None:
        if not (self.mirror / "HEAD").exists():
            shutil.rmtree(self.mirror, ignore_errors=True)
            self._git("init", "--quiet", "--bare", "--", str(self.mirror), cwd=self.home)
            # Relative URLs of submodules, and Git LFS, start from here. There is no password in it.
            self._git("config", "remote.origin.url", self.repository.url)
        # Whoever held these locks was killed: the lock of the whole is ours.
        for name in ("shallow.lock", "packed-refs.lock", "config.lock"):
            (self.mirror / name).unlink(missing_ok=True)
        for left in (self.mirror / "refs").rglob("*.lock"):
            left.unlink()

    def _fetched(self) -> tuple[str, str | None]:
        """The commit, whole in the mirror, and its branch."""
        wanted = self.repository.ref
        if wanted and _COMMIT.fullmatch(wanted):
            if not self._has(wanted):
                self._fetch(wanted, None)
            return wanted, None
        commit, name = self._looked_up(wanted)
        if not self._has(commit):
            self._fetch(commit, name)
        return commit, name.removeprefix("refs/heads/") if name.startswith("refs/heads/") else None

    def _looked_up(self, wanted: str | None) -> tuple[str, str]:
        """``_look_up``, once a run."""
        path, asked = self.home / "resolved.json", [self.repository.run, wanted]
        try:
            kept = read_json(str(path)) if self.repository.run else None
        except ValueError:
            kept = None
        if isinstance(kept, dict) and kept.get("asked") == asked:
            return kept["commit"], kept["name"]
        commit, name = self._look_up(wanted)
        if self.repository.run:
            write_json(str(path), {"asked": asked, "commit": commit, "name": name}, 0o600)
        return commit, name

    def _look_up(self, wanted: str | None) -> tuple[str, str]:
        """The commit and the full name of a ref, as the server says now."""
        names = ["HEAD"] if wanted is None else [wanted] if wanted.startswith("refs/") else [f"refs/heads/{wanted}", f"refs/tags/{wanted}"]
        asked = [*names, *(f"{name}^{{}}" for name in names if name.startswith("refs/tags/"))]
        listed = self._ask("ls-remote", "--symref", "--", self.repository.url, *asked).splitlines()
        refs = {name: value for value, _tab, name in (line.partition("\t") for line in listed)}
        links = {line.split("\t")[1]: line.split("\t")[0].removeprefix("ref: ") for line in listed if line.startswith("ref: ")}
        found = [name for name in names if name in refs]
        commits = {refs.get(f"{name}^{{}}", refs[name]) for name in found}
        if not found or not _COMMIT.fullmatch(next(iter(commits))):
            raise self._ref_unknown(wanted)
        if len(commits) > 1:
            message = f"{wanted} is a branch and a tag of {shown(self.repository.url)}, and they differ. Nothing was changed."
            raise HitlessError("ref_unknown", message, f"Name one of them: refs/heads/{wanted} or refs/tags/{wanted}")
        return commits.pop(), links.get(found[0], found[0])

    def _has(self, commit: str) -> bool:
        """Whether a commit was fetched whole: git sets a ref only after it has checked that nothing is missing."""
        return bool(self._git("for-each-ref", "--format=%(objectname)", f"refs/hitless/{commit}").strip())

    def _fetch(self, commit: str, name: str | None) -> None:
        """Fetch one commit and nothing before it; from a server that gives only what it has a name for, that, and at last everything."""
        tries = [["--depth=1", f"+{commit}:refs/hitless/{commit}"]]
        tries += [["--depth=1", f"+{name}:refs/hitless/{commit}"]] if name else []
        tries += [["--depth=2147483647", "+refs/heads/*:refs/all/heads/*", "+refs/tags/*:refs/all/tags/*"]]
        for words in tries:
            try:
                self._ask("fetch", "--quiet", "--no-tags", "--no-auto-gc", "--no-recurse-submodules", "--no-write-fetch-head", *self._fetch_words(words))
            except _NotGiven:
                continue
            if self._git("rev-parse", "--quiet", "--verify", f"{commit}^{{commit}}", may_fail=True).strip() == commit:
                self._git("update-ref", f"refs/hitless/{commit}", commit)
                return
        raise self._ref_unknown(commit)

    def _fetch_words(self, words: list[str]) -> list[str]:
        return [words[0], "--", self.repository.url, *words[1:]]

    # --- trees -------------------------------------------------------------------------------------------------------

    def _make_tree(self, tree: Path, commit: str) -> None:
        self._forget(tree)
        self.trees.mkdir(mode=0o700, exist_ok=True)
        self._git("worktree", "add", "--quiet", "--force", "--detach", str(tree), commit)
        if self.repository.submodules and (tree / ".gitmodules").is_file():
            try:
                self._ask("submodule", "--quiet", "update", "--init", "--recursive", "--depth=1", cwd=tree)
            except _NotGiven as error:
                message = f"A submodule of {shown(self.repository.url)} names a commit that its own repository does not have. Nothing was changed."
                raise HitlessError("ref_unknown", message, "Push the commit of the submodule.") from error

    def _is_clean(self, tree: Path) -> bool:
        return tree.is_dir() and not self._git("status", "--porcelain", "--ignored", cwd=tree, may_fail=True, failed="?").strip()

    def _forget(self, tree: Path) -> None:
        tree.with_name(tree.name + ".json").unlink(missing_ok=True)
        shutil.rmtree(tree, ignore_errors=True)
        self._git("worktree", "prune")

    def _prune(self, kept: str) -> None:
        """Forget the trees that were not used for longest."""
        marks = sorted(self.trees.glob("*.json"), key=lambda mark: mark.stat().st_mtime, reverse=True)
        left = {mark.name.split(".")[0] for mark in marks[:_TREES_KEPT]} | {kept.split(".")[0]}
        for mark in marks[_TREES_KEPT:]:
            if mark.stem == kept or mark.stat().st_mtime > time.time() - _IN_USE_SECONDS:
                left.add(mark.name.split(".")[0])
                continue
            self._forget(self.trees / mark.stem)
        for name in self._git("for-each-ref", "--format=%(refname)", "refs/hitless").split():
            if name.rpartition("/")[2] not in left:
                self._git("update-ref", "-d", name)
        self._git("gc", "--auto", "--quiet", may_fail=True)

    # --- git ---------------------------------------------------------------------------------------------------------

    def _git(self, *words: str, cwd: Path | None = None, may_fail: bool = False, failed: str = "") -> str:
        """The output of git on what is here already; ``_Broken`` when it fails."""
        done = self._run(words, cwd)
        if done.returncode == 0:
            return done.stdout.decode("utf-8", "surrogateescape")
        if may_fail:
            return failed
        raise _Broken(self._complaint(done))

    def _ask(self, *words: str, cwd: Path | None = None) -> str:
        """The output of git that asks the server."""
        done = self._run(words, cwd)
        if done.returncode == 0:
            return done.stdout.decode("utf-8", "surrogateescape")
        complaint = done.stderr.decode("utf-8", "replace")
        if any(word in complaint.lower() for word in _NOT_GIVEN):
            raise _NotGiven
        error = failure(complaint, shown(self.repository.url))
        if error is None:
            raise _Broken(self._complaint(done))
        raise error

    def _run(self, words: tuple[str, ...], cwd: Path | None) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                ["git", *words], cwd=cwd or self.mirror, env=self._env, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_TIMEOUT
            )
        except FileNotFoundError as error:
            raise HitlessError("source_failed", "This machine has no git. Nothing was changed.", "Install git here.") from error
        except subprocess.TimeoutExpired as error:
            raise _unreachable(shown(self.repository.url), "it did not end within an hour") from error

    def _complaint(self, done: subprocess.CompletedProcess[bytes]) -> str:
        text = done.stderr.decode("utf-8", "replace")
        if self.repository.token:
            text = text.replace(self.repository.token, "********")
        return _last(text) or f"exit status {done.returncode}"

    def _ref_unknown(self, wanted: str | None) -> HitlessError:
        where = shown(self.repository.url)
        if wanted is None:
            return HitlessError("ref_unknown", f"{where} has no commit yet. Nothing was changed.", "Push one, or set source.ref.")
        message = f"{where} has no branch, tag or commit {wanted}. Nothing was changed."
        return HitlessError("ref_unknown", message, f"git ls-remote {shlex.quote(where)} lists the names; a commit is given with all its 40 characters.")


class _NotGiven(Exception):
    """The server does not give what it was asked for in this way."""


def failure(complaint: str, url: str) -> HitlessError | None:
    """What git's complaint about a server means; None when it is not about the server."""
    said = complaint.lower()
    for words, code, sentence, hint in _FAILURES:
        if any(word in said for word in words):
            return HitlessError(code, sentence % url + " Nothing was changed.", hint)
    return _unreachable(url, _last(complaint)) if any(word in said for word in _AWAY) else None


def _unreachable(url: str, why: str) -> HitlessError:
    return HitlessError("source_unreachable", f"{url} cannot be reached: {why}. Nothing was changed.", "Try again.")


def _last(text: str) -> str:
    """The last line of a complaint that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:", "ssh:"))] or lines
    return telling[-1].partition(": ")[2] or telling[-1] if telling else ""
