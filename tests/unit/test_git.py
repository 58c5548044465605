# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be asked of git, and what its complaints mean."""

from __future__ import annotations

import pytest
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.plugin_utils._git import Repository, check_ref, check_url, environment, failure, is_url, shown


@pytest.mark.parametrize("url", [
    "https://git.example.com/ann/shop.git", "https://ann@git.example.com:8443/shop", "http://git.example.com/shop.git", "ssh://git@git.example.com:2222/~/shop.git",
    "git@git.example.com:ann/shop.git", "git@git.example.com:/srv/shop.git", "git://git.example.com/shop", "https://[2001:db8::1]/shop.git",
    "git@[2001:db8::1]:shop.git",
])  # fmt: skip
def test_urls_that_may_be_asked(url: str) -> None:
    check_url(url)
    assert is_url(url)


@pytest.mark.parametrize("url", [
    "", "-u", "--upload-pack=touch /tmp/x", "ext::sh -c touch% /tmp/x", "fd::17", "ext::https://git.example.com/x", "file:///etc", "file://localhost/etc",
    "ftp://git.example.com/x", "https://", "https:///x", "https://git.example.com", "ssh://-oProxyCommand=touch/x", "ssh://-oProxyCommand=x@git.example.com/x",
    "-oProxyCommand=x@git.example.com:x", "git@-oProxyCommand=x:y", "git@git.example.com:-x", "https://git.example.com/a b", "https://git.example.com/a\nb",
    "https://git.example.com\n@evil.example.com/x", "https://ann:secret@git.example.com/x", "https://git.example.com:port/x", "/srv/shop.git", "shop.git",
    "https://git.example.com/" + "x" * 2000, "http+unix://x/y", "https://a_b!c/x", "::https://x/y", "git@git.example.com:",
])  # fmt: skip
def test_urls_that_may_not(url: str) -> None:
    with pytest.raises(HitlessError) as caught:
        check_url(url)
    assert (caught.value.code, caught.value.exit) == ("source_invalid", 2)
    assert "secret" not in caught.value.message


def test_a_file_is_a_matter_of_whoever_owns_the_machine() -> None:
    check_url("file:///srv/shop.git", allow_file=True)


@pytest.mark.parametrize(("url", "good"), [
    ("https://git.example.com/x", True), ("http://git.example.com/x", False), ("http://127.0.0.1:80/x", True), ("git://git.example.com/x", False),
    ("git@git.example.com:x", False), ("ssh://git@git.example.com/x", False),
])  # fmt: skip
def test_a_token_goes_over_what_nobody_reads(url: str, good: bool) -> None:
    if good:
        check_url(url, has_token=True)
    else:
        with pytest.raises(HitlessError):
            check_url(url, has_token=True)


@pytest.mark.parametrize("ref", [None, "main", "v1.2.3", "feature/x_y", "refs/heads/main", "0" * 40, "日本", "a@b"])
def test_refs_that_may_be_asked(ref: str | None) -> None:
    check_ref(ref)


@pytest.mark.parametrize("ref", [
    "x" * 300, "a\0b", "", "-f", "--upload-pack=x", "a b", "a\nb", "a..b", "a:b", "a~1", "a^", "a*", "a?", "a[", "a\\b", "a@{1}", "@",
    "/a", "a/", "a//b", "a/.b", "a.lock", "a.",
    ".a",
])  # fmt: skip
def test_refs_that_may_not(ref: str) -> None:
    with pytest.raises(HitlessError):
        check_ref(ref)


def test_the_environment_of_git() -> None:
    environ = {"PATH": "/bin", "GIT_DIR": "/x", "GIT_SSH_COMMAND": "touch /x", "GIT_ASKPASS": "/x", "SSH_ASKPASS": "/x", "SSH_AUTH_SOCK": "/s",
               "GIT_SSL_CAINFO": "/ca",               "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.sshCommand",
               "GIT_CONFIG_VALUE_0": "x", "GIT_ALLOW_PROTOCOL": "ext"}  # fmt: skip
    found = environment(Repository("https://ann@git.example.com:8443/x", key="/keys/a b", token="t0k"), environ)
    assert "GIT_DIR" not in found
    assert found["GIT_ALLOW_PROTOCOL"] == "https:http:ssh:git"
    assert (found["GIT_TERMINAL_PROMPT"], found["GIT_ASKPASS"], found["SSH_AUTH_SOCK"], found["GIT_SSL_CAINFO"]) == ("0", "", "/s", "/ca")
    assert "-i '/keys/a b' -oIdentitiesOnly=yes" in found["GIT_SSH_COMMAND"]
    assert "-oBatchMode=yes" in found["GIT_SSH_COMMAND"]
    assert "SSH_ASKPASS" not in found
    settings = {found[f"GIT_CONFIG_KEY_{number}"]: found[f"GIT_CONFIG_VALUE_{number}"] for number in range(int(found["GIT_CONFIG_COUNT"]))}
    assert settings["core.hooksPath"] == "/dev/null"
    assert "credential.https://git.example.com:8443.helper" in settings
    assert "t0k" not in str(settings)
    assert (found["HITLESS_GIT_USER"], found["HITLESS_GIT_TOKEN"]) == ("ann", "t0k")


@pytest.mark.parametrize(("url", "text"), [
    ("https://ann:secret@h/x", "https://h/x"), ("https://ann@h/x", "https://ann@h/x"), ("git@h:x", "git@h:x"), ("https://h/\x1b[2Jx", "https://h/?[2Jx"),
])  # fmt: skip
def test_how_a_url_is_shown(url: str, text: str) -> None:
    assert shown(url) == text


@pytest.mark.parametrize(("complaint", "code"), [
    ("fatal: repository 'https://h/x/' not found", "repository_unknown"),
    ("ERROR: Repository not found.\nfatal: Could not read from remote repository.", "repository_unknown"),
    ("fatal: '/x' does not appear to be a git repository", "repository_unknown"),
    ("fatal: could not read Username for 'https://h': terminal prompts disabled", "authentication_refused"),
    ("remote: HTTP Basic: Access denied\nfatal: Authentication failed for 'https://h/x/'", "authentication_refused"),
    ("git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.", "authentication_refused"),
    ("Host key verification failed.\nfatal: Could not read from remote repository.", "authentication_refused"),
    ("ssh: Could not resolve hostname h: Name or service not known\nfatal: Could not read from remote repository.", "source_unreachable"),
    ("fatal: unable to access 'https://h/x/': Failed to connect to h port 443", "source_unreachable"),
    ("fatal: unable to access 'https://h/x/': server certificate verification failed. CAfile: none", "source_unreachable"),
    ("fatal: transport 'ext' not allowed", "source_invalid"),
    ("error: inflate: data stream error", None),
])  # fmt: skip
def test_what_a_complaint_means(complaint: str, code: str | None) -> None:
    error = failure(complaint, "https://h/x")
    assert (error.code if error else None) == code
