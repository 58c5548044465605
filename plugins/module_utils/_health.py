# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether new replicas are healthy: probes, predicates and one loop over all replicas of a deployment."""

from __future__ import annotations

import http.client
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError

_FIRST_DELAY = 0.05
_GROWTH = 1.4
_LOG_LINES = 50
_MOST_PROBES = 16
_ENDED = ("failed", "exited", "absent")


class Answer(NamedTuple):
    """What a probe found."""

    ok: bool
    detail: str


# What a replica answers that has not opened its port yet; every replica starts like this, so it is no news.
NOT_LISTENING = Answer(False, "connection refused")


class Progress(NamedTuple):
    """What is known of one replica so far. Times are those of the clock; ``passes`` counts passes in a row.

    ``ending`` is how its last process ended. ``doomed`` says why waiting longer makes no sense, or is None.
    """

    answer: Answer = NOT_LISTENING
    passes: int = 0
    probes: int = 0
    due: float = 0.0
    restarts: int = 0
    ending: str = None
    alive_since: float = None
    doomed: str = None


# --- predicates ------------------------------------------------------------------------------------------------------


def is_expected(status, expect):
    """True when the HTTP status (int) is among ``expect``, such as ``200,204,301-399``."""
    ranges = [part.partition("-") for part in expect.split(",")]
    return any(int(first) <= status <= int(last or first) for first, _dash, last in ranges)


def doom(state, ending, health):
    """Why a replica in ``state`` whose last process came to ``ending`` will never be healthy, or None while it may."""
    ended = "ended with %s" % ending if ending else "ended"
    if state.state in _ENDED:
        return ended
    return "%s, and was started again %d times" % (ended, state.restarts) if state.restarts >= health["failures"] else None


def is_healthy(progress, health):
    """True after enough passes in a row."""
    return progress.passes >= health["successes"]


def next_delay(progress, health):
    """Seconds to the next probe: soon at first, since most apps are up within a second, then slower; between two passes the interval."""
    if progress.passes:
        return health["interval"]
    return min(health["interval"], _FIRST_DELAY * _GROWTH ** min(progress.probes, 20))


def lived_through(progress, state, now, health):
    """The Answer for a replica that cannot be asked: it is healthy once it has run for one interval without an end."""
    if state.state != "running":
        return Answer(False, state.state)
    lived = progress.alive_since is not None and now - progress.alive_since >= health["interval"]
    return Answer(lived, "running" if lived else "has just started")


def seen(progress, state, now, health):
    """``progress`` after a look at the process: a restart takes back every pass."""
    if state.restarts != progress.restarts or state.state != "running":
        progress = progress._replace(passes=0, restarts=state.restarts, alive_since=None)
    if state.state == "running" and progress.alive_since is None:
        progress = progress._replace(alive_since=now)
    ending = state.status or progress.ending
    return progress._replace(ending=ending, doomed=doom(state, ending, health))


def answered(progress, answer, now, health):
    """``progress`` after a probe."""
    progress = progress._replace(answer=answer, passes=progress.passes + 1 if answer.ok else 0, probes=progress.probes + 1)
    return progress._replace(due=now + next_delay(progress, health))


# --- probes ----------------------------------------------------------------------------------------------------------


def probe_http(replica, health):
    """GET the path; a redirect is an answer like any other, and not followed."""
    connection = http.client.HTTPConnection(replica.address, replica.port, timeout=health["timeout"])
    try:
        connection.request("GET", health["path"], headers={"Host": "localhost", "User-Agent": "hitless", "Connection": "close"})
        status = connection.getresponse().status
    except ConnectionRefusedError:
        return NOT_LISTENING
    except socket.timeout:
        return Answer(False, "no answer to GET %s within %g s" % (health["path"], health["timeout"]))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(False, "no HTTP answer to GET %s: %s" % (health["path"], str(error) or type(error).__name__))
    finally:
        connection.close()
    return Answer(is_expected(status, health["expect"]), "HTTP %d to GET %s" % (status, health["path"]))


def probe_tcp(replica, health):
    """Open a connection."""
    try:
        socket.create_connection((replica.address, replica.port), timeout=health["timeout"]).close()
    except ConnectionRefusedError:
        return NOT_LISTENING
    except OSError as error:
        return Answer(False, "no connection: %s" % error)
    return Answer(True, "connected")


class Watch(NamedTuple):
    """What to wait for, and by what means.

    Args:
        checks: {Replica: its health settings}.
        look: callable, list of Replica -> {Replica: State}.
        probe: callable, list of Replica -> {Replica: Answer} or, for one that cannot be asked, None.
        clock: callable, seconds as float.
        sleep: callable that waits so many seconds.
        report: callable (Replica, Answer), called when an answer differs from the one before.
    """

    checks: dict
    look: object
    probe: object
    report: object
    clock: object = time.monotonic
    sleep: object = time.sleep


def together(probe, replicas):
    """{Replica: probe(Replica)}, all at once, so that one that hangs delays no other."""
    if not replicas:
        return {}
    with ThreadPoolExecutor(max_workers=min(len(replicas), _MOST_PROBES)) as pool:
        return dict(zip(replicas, pool.map(probe, replicas)))


def wait(watch):
    """Wait until every replica is healthy, is doomed, or is out of time.

    Returns:
        {Replica: Progress}, of which those that are not healthy failed.
    """
    started = watch.clock()
    found = {replica: Progress() for replica in watch.checks}
    while True:
        now = watch.clock()
        _round(watch, found, now)
        healthy = [is_healthy(found[replica], health) for replica, health in watch.checks.items()]
        late = [not good and now - started >= health["deadline"] for good, health in zip(healthy, watch.checks.values())]
        if all(healthy) or any(late) or any(progress.doomed for progress in found.values()):
            return found
        due = [progress.due for replica, progress in found.items() if not is_healthy(progress, watch.checks[replica])]
        deadlines = [started + health["deadline"] for health in watch.checks.values()]
        watch.sleep(max(0.01, min(due + deadlines) - watch.clock()))


def _round(watch, found, now):
    """Look at every process, then ask those that are due."""
    states = watch.look(list(found))
    for replica, health in watch.checks.items():
        found[replica] = seen(found[replica], states[replica], now, health)
    due = [
        replica
        for replica, health in watch.checks.items()
        if not is_healthy(found[replica], health) and not found[replica].doomed and found[replica].due <= now and states[replica].state == "running"
    ]
    answers = watch.probe(due)
    for replica in due:
        health = watch.checks[replica]
        answer = answers[replica] or lived_through(found[replica], states[replica], now, health)
        if answer != found[replica].answer and (answer.ok or answers[replica]):
            watch.report(replica, answer)
        found[replica] = answered(found[replica], answer, watch.clock(), health)


# --- what went wrong -------------------------------------------------------------------------------------------------


def _name(replica):
    return "%s replica %d" % (replica.service, replica.n)


def explain(replica, progress, health, ports):
    """One clause that says why a replica is not healthy; ``ports`` is what it listens on."""
    if progress.doomed:
        return "%s %s" % (_name(replica), progress.doomed)
    endpoint = "%s:%s" % (replica.address, replica.port)
    if replica.port and progress.answer == NOT_LISTENING:
        where = "listens on %s" % " and ".join(ports) if ports else "listens on no port"
        return "%s was expected to listen on %s but %s" % (_name(replica), endpoint, where)
    return "%s was not healthy within %g s; its last answer was: %s" % (_name(replica), health["deadline"], progress.answer.detail)


def unhealthy(found, checks, runtime):
    """The HitlessError for what ``wait`` found, or None when every replica is healthy."""
    bad = [replica for replica in checks if not is_healthy(found[replica], checks[replica])]
    # One that has ended tells more than one that was still being waited for.
    bad.sort(key=lambda replica: (found[replica].doomed is None, replica.service, replica.n))
    if not bad:
        return None
    ports = {replica: runtime.listening(replica) for replica in bad}
    reasons = {replica: explain(replica, found[replica], checks[replica], ports[replica]) for replica in bad}
    first = bad[0]
    details = {"log_tail": runtime.logs(first, _LOG_LINES), "phase": "health"}
    details["replicas"] = [dict(_facts(replica), reason=reasons[replica], answer=found[replica].answer.detail, listens_on=ports[replica]) for replica in bad]
    hint = _hint(first, found[first], ports[first])
    return HitlessError("unhealthy", "%s. The new replicas were removed; what served before still does." % reasons[first], hint, details)


def _facts(replica):
    """Which replica it is, in an error's details."""
    return {"service": replica.service, "n": replica.n, "endpoint": "%s:%s" % (replica.address, replica.port) if replica.port else None}


def _hint(replica, progress, ports):
    if progress.doomed:
        return "Read the log above; the command is services.%s.command." % replica.service
    if progress.answer != NOT_LISTENING:
        return "Look at services.%s.health in hitless.yml." % replica.service
    if ports:
        return "Let the app listen on the address in $HOST and the port in $PORT."
    return "Read the log above; give it longer with services.%s.health.deadline." % replica.service
