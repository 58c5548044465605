# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image of local servers, from a real registry."""

import os
import socket
import subprocess
import urllib.error
import urllib.request

import pytest
from ansible_collections.hitless.paas.plugins.module_utils import _docker_server, _server
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from conftest import wait_until

CONFIG = "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"


def docker(*words):
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True).stdout


def answers(port):
    try:
        with urllib.request.urlopen("http://127.0.0.1:%d/v2/" % port, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture
def registry(tmp_path):
    """The address of Debian's docker-registry, on a loopback port, which engines trust without TLS."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = tmp_path / "config.yml"
    config.write_text(CONFIG.format(folder=tmp_path / "data", port=port))
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=log, stderr=log)
    try:
        wait_until(lambda: answers(port), what="the registry's start")
        yield "127.0.0.1:%d" % port
    finally:
        process.terminate()
        process.wait(10)


def test_a_server_is_made_of_what_a_registry_has(registry):
    base = registry + "/debian:12"
    docker("tag", _docker_server.ensure_image(), base)
    docker("push", "--quiet", base)
    docker("rmi", base)
    server = _docker_server.DockerServer("e2e-image-%d" % os.getpid(), "dev", base)
    try:
        found = server.ensure({_server.SSH: None, _server.HTTP: None, _server.HTTPS: None})
        server.wait(60)
        _docker_server.wait_for_ssh(_server.server_of(found)["port"], 30)
        assert found["Config"]["Image"] == _server.image_tag(_docker_server.trusted_certificates(), base)
        assert server.host_key().startswith("ssh-ed25519 ")
    finally:
        server.remove()
        docker("rmi", "--force", base, _server.image_tag(_docker_server.trusted_certificates(), base))


def test_an_image_that_was_asked_for_is_not_replaced_by_another(registry):
    with pytest.raises(HitlessError, match="cannot be had") as caught:
        _docker_server.ensure_image(registry + "/nothing:1")
    assert caught.value.code == "image_unavailable"
    assert "nothing was changed" in caught.value.message
