"""A server in a local container."""

from __future__ import annotations

import pytest
from ansible_collections.hitless.paas.plugins.module_utils import _server
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError


def test_another_trusted_ca_is_another_image():
    tags = {_server.image_tag(certificates) for certificates in ({}, {"a.crt": b"1"}, {"a.crt": b"2"}, {"b.crt": b"1"})}
    assert len(tags) == 4
    assert all(tag.startswith("hitless-server:") for tag in tags)


def test_another_base_is_another_image_and_is_what_it_begins_with():
    assert _server.image_tag({}, "registry.example.com/debian:12") != _server.image_tag({})
    assert _server.dockerfile("registry.example.com/debian:12").startswith("FROM registry.example.com/debian:12\n")


def test_a_server_is_published_on_loopback_alone():
    words = _server.run_command("hitless-shop-dev", "hitless-server:1", {22: 2222, 80: 8080}, {"hitless.app": "shop"})
    published = [words[i + 1] for i, word in enumerate(words) if word == "--publish"]
    assert published == ["127.0.0.1:2222:22", "127.0.0.1:8080:80"]
    assert "--privileged" not in words
    assert words[-4:-1] == ["hitless-server:1", "sh", "-c"]


def test_another_recipe_is_another_image(monkeypatch):
    before = _server.image_tag({})
    monkeypatch.setattr(_server, "PACKAGES", (*_server.PACKAGES, "jq"))
    assert _server.image_tag({}) != before


INSPECTED = {
    "Id": "3f4a",
    "Name": "/hitless-shop-dev",
    "HostConfig": {
        "PortBindings": {
            "22/tcp": [{"HostIp": "127.0.0.1", "HostPort": "40022"}],
            "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}],
            "443/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8443"}],
        }
    },
}


def test_what_is_kept_of_a_server_can_be_read_from_its_container():
    server = _server.server_of(INSPECTED)
    assert (server["host"], server["port"], server["http_port"], server["https_port"]) == ("127.0.0.1", 40022, 8080, 8443)
    assert server["container"] == "hitless-shop-dev"
    assert _server.known_hosts(server, "ssh-ed25519 AAAA root@x\n") == "[127.0.0.1]:40022 ssh-ed25519 AAAA\n"


def test_a_port_that_is_taken_is_left_to_its_holder():
    assert _server.choose_port(_server.HTTP, None, lambda port: True) == 8080
    assert _server.choose_port(_server.HTTP, None, lambda port: port >= 8082) == 8082
    assert _server.choose_port(_server.SSH, 2217, lambda port: True) == 2217
    assert _server.choose_port(_server.SSH, 2217, lambda port: port != 2217) == 2200
    with pytest.raises(HitlessError, match="No port from 2200 to 2299") as caught:
        _server.choose_port(_server.SSH, 2217, lambda port: False)
    assert caught.value.code == "ports_taken"


def test_ports_lie_below_those_of_outgoing_connections_and_replicas():
    assert max(port for ports in _server.PORTS.values() for port in ports) < 20000
