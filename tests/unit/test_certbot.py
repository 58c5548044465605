# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What certbot keeps of a certificate, as it finds it after runs that were cut."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from ansible_collections.hitless.paas.plugins.module_utils._certbot import Certbot, checked_order
from authority import Authority

SERVER = "https://ca.example/dir"
ORDER = checked_order("shop", ["shop.example.com"], {"server": SERVER, "eab_kid": "kid", "eab_hmac_key": "key"})
NAME = "shop.example.com"
PARTS = ["renewal/shop.example.com.conf", "live/shop.example.com/privkey.pem", "live/shop.example.com/fullchain.pem"]


@pytest.fixture
def certbot(tmp_path):
    made = Certbot(str(tmp_path / "acme"), str(tmp_path / "logs"))
    made.prepare()
    return made


@pytest.fixture
def lineage(certbot):
    """The files of a certificate as certbot keeps them; gives its folder, the certificate and the key."""
    config = Path(certbot.folder) / "config"
    for folder in ("renewal", "live/" + NAME, "archive/" + NAME):
        (config / folder).mkdir(parents=True)
    chain, key = Authority().chain(NAME)
    (config / PARTS[0]).write_text("[renewalparams]\nserver = %s\naccount = x\n" % SERVER)
    for kind, text in (("privkey", key), ("cert", chain), ("chain", chain), ("fullchain", chain)):
        (config / "live" / NAME / (kind + ".pem")).write_text(text)
    return config, chain, key


def test_what_certbot_has_is_found_as_the_router_loads_it(certbot, lineage):
    _config, chain, key = lineage
    assert certbot.found(ORDER) == key + chain


def test_what_another_server_gave_is_not_taken(certbot, lineage):
    assert certbot.found(dict(ORDER, server="https://other.example/dir")) is None


@pytest.mark.parametrize("part", PARTS)
def test_what_is_not_whole_is_not_taken(certbot, lineage, part):
    (lineage[0] / part).unlink()
    assert certbot.found(ORDER) is None


def test_an_order_is_kept_for_root_alone(certbot):
    certbot.keep(ORDER)
    assert certbot.order(NAME) == ORDER
    assert certbot.orders() == [ORDER]
    path = Path(certbot.folder) / "orders" / (NAME + ".json")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(certbot.folder).st_mode) == 0o700


def test_a_removed_certificate_leaves_nothing_and_others_stay(certbot, lineage):
    other = dict(ORDER, names=["blog.example.com"])
    certbot.keep(ORDER)
    certbot.keep(other)
    assert certbot.remove(NAME) is True
    assert certbot.remove(NAME) is False
    assert certbot.orders() == [other]
    assert [path for path in Path(certbot.folder).rglob("*") if NAME in path.name] == []


def test_what_a_cut_run_left_goes(certbot):
    left = Path(certbot.folder) / "run-x"
    left.mkdir()
    (left / "cli.ini").write_text("eab-hmac-key = key\n")
    certbot.prepare()
    assert not left.exists()
