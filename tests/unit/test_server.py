"""A server in a local container."""

from __future__ import annotations

from ansible_collections.hitless.paas.plugins.module_utils import _server


def test_another_trusted_ca_is_another_image():
    tags = {_server.image_tag(certificates) for certificates in ({}, {"a.crt": b"1"}, {"a.crt": b"2"}, {"b.crt": b"1"})}
    assert len(tags) == 4
    assert all(tag.startswith("hitless-server:") for tag in tags)


def test_a_server_is_published_on_loopback_alone():
    words = _server.run_command("hitless-shop-dev", "hitless-server:1", {22: 2222, 80: 8080}, {"hitless.app": "shop"})
    published = [words[i + 1] for i, word in enumerate(words) if word == "--publish"]
    assert published == ["127.0.0.1:2222:22", "127.0.0.1:8080:80"]
    assert "--privileged" not in words
    assert words[-4:-1] == ["hitless-server:1", "sh", "-c"]
