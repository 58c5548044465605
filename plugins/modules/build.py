#!/usr/bin/python
# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: build
short_description: Upload the source of an app to a host and build it there, once
version_added: 0.1.0
description:
  - Makes C(/var/lib/hitless/<app>/staged/<digest>) on the host hold the source, and the artifact C(/srv/<app>/artifacts/<digest>) from it.
    Does nothing when the artifact exists.
  - The steps C(pre), C(install), C(build) and C(post), and C(install.<service>) and C(build.<service>) of services with commands of their own, run as the app's
    own user in a systemd unit with caps, that sees nothing of other apps, of the router or of secrets that are not build-time. Their output is shown line by
    line while they run.
  - What an install makes is kept by the digest of the lockfiles, the toolchain, the install command and the build-time variables; while they are the same,
    nothing is installed.
  - The artifact belongs to root and is read-only.
  - Through its action plugin the module runs as often as there are stages to wait for.
author:
  - The hitless maintainers (@hitless)
options:
  app:
    description: Name of the app.
    type: str
    required: true
  deployment:
    description: Id of the deployment that holds the app's lock.
    type: str
    required: true
  artifact:
    description: Digest (sha256, hexadecimal) of what is built.
    type: str
    required: true
  source:
    description: Digest (sha256, hexadecimal) that the source had when the deployment began. If it has changed since, nothing is built.
    type: str
    required: true
  folder:
    description:
      - Folder on the controller that holds the source; left out when the host has the source, or what is built from it, already.
      - The action plugin uploads it by rsync over the task's own connection, and only differences to the newest source on the host travel.
        An upload that is cut leaves a folder that ends in C(.partial), from which the next one goes on.
      - Files that C(.gitignore) or C(.hitlessignore) name are left out, and so are C(.git), C(.env), C(node_modules), C(.venv), C(__pycache__)
        and C(hitless.yml).
    type: path
  plan:
    description: The resolved app. Its C(build), C(env) and C(mounts) are used.
    type: dict
    required: true
  env:
    description:
      - All variables of the app. A build sees only those that a pattern of C(plan.build.build_env) names.
      - A JSON object in a text. The action plugin takes a dictionary as well.
    type: str
    default: ""
  secret_names:
    description: Names of the variables in O(env) whose values are masked in the log.
    type: list
    elements: str
    default: []
  upload:
    description: The phase C(upload) for the record as C(phase), and the C(names) of the files that arrived. The action plugin gives it.
    type: dict
attributes:
  check_mode:
    description: Says whether something would be built, and builds nothing.
    support: full
  diff_mode:
    description: Shows the artifact.
    support: full
"""

EXAMPLES = r"""
- name: Build
  hitless.paas.build:
    app: shop
    deployment: "20261121080000"
    artifact: "{{ begun.artifact }}"
    source: "{{ begun.deployment.source.digest }}"
    folder: "{{ hitless_settings.source }}"
    plan: "{{ begun.plan }}"
    env: "{{ hitless_env }}"
    secret_names: "{{ hitless_secret_names }}"
"""

RETURN = r"""
artifact:
  description: Path of the artifact on the host.
  returned: success
  type: str
  sample: /srv/shop/artifacts/4f0c9f
phases:
  description: The phases that ended so far, with C(name), C(state), C(started), C(finished) and C(seconds).
  returned: success
  type: list
  elements: dict
waiting:
  description: The stage whose unit runs now; null when the artifact is there.
  returned: success
  type: str
  sample: install
layer:
  description: Digest of the dependency layer, or null.
  returned: when something was built
  type: str
restored:
  description: Whether the dependencies came from a layer, so that nothing was installed.
  returned: success
  type: bool
  sample: true
diff:
  description: The artifact before and after.
  returned: success
  type: dict
events:
  description: What happened, as events.
  returned: success
  type: list
  elements: dict
error:
  description: The error. Its C(details) hold C(phase) and C(log_tail).
  returned: failure
  type: dict
  sample: {code: build_failed, message: "`npm ci` (install) ended with exit status 1.", hint: null, details: {phase: install, log_tail: []}, exit: 1}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hitless.paas.plugins.module_utils._arguments import OPTIONS
from ansible_collections.hitless.paas.plugins.module_utils._build import Build
from ansible_collections.hitless.paas.plugins.module_utils._env import from_json
from ansible_collections.hitless.paas.plugins.module_utils._errors import HitlessError
from ansible_collections.hitless.paas.plugins.module_utils._record import now
from ansible_collections.hitless.paas.plugins.module_utils._staged import complete
from ansible_collections.hitless.paas.plugins.module_utils._step_module import run_step

_STAGE_PHASES = {"toolchain": "install", "install": "install", "build": "build"}


def _events(phases, seen, waiting):
    """The events of the phases that ended in this call, and of the one that runs now."""
    ended = [{"event": "phase", "name": phase["name"], "state": phase["state"], "seconds": phase["seconds"]} for phase in phases[seen:]]
    return ended + ([{"event": "phase", "name": _STAGE_PHASES[waiting], "state": "running", "seconds": 0.0}] if waiting else [])


def _skipped():
    return [{"event": "phase", "name": name, "state": "skipped", "seconds": 0.0} for name in ("install", "build", "freeze")]


def run(module):
    """Do what can be done now, and say what has to be waited for."""
    args = module.params
    env = from_json(args["env"])
    secrets = [env[name] for name in args["secret_names"] if env.get(name)]
    build = Build(args["app"], args["deployment"], args["artifact"], args["source"], args["plan"], env, secrets)
    path = build.paths.artifact(args["artifact"])
    if args["upload"] and args["upload"]["names"] is not None:
        complete(build.paths.staged, args["source"], args["upload"]["names"])
    if build.is_ready:
        return {"changed": False, "artifact": path, "phases": [], "waiting": None, "restored": False, "diff": {}, "events": _skipped()}
    diff = {"before": "", "after": path + "\n"}
    if module.check_mode:
        return {"changed": True, "artifact": path, "phases": [], "waiting": None, "restored": False, "diff": diff, "events": []}
    seen = len(build.state["phases"])
    waiting = build.advance()
    state = build.state
    return {
        "changed": True,
        "artifact": path,
        "phases": state["phases"],
        "waiting": waiting,
        "layer": state.get("layer"),
        "restored": bool(state.get("restored")),
        "diff": diff,
        "events": _events(state["phases"], seen, waiting),
    }


def recorded(module, record):
    """Do what can be done now, and keep the phases that ended in the deployment's record."""
    if module.params["upload"]:
        record.add_phase(module.params["upload"]["phase"])
    try:
        result = run(module)
    except HitlessError as error:
        phase = error.details.get("phase", "build")
        record.add_phase({"name": phase, "state": "failed", "started": now(), "finished": now(), "seconds": 0.0})
        record.emit("phase", name=phase, state="failed", seconds=0.0)
        raise
    if result["changed"]:
        record.move("BUILDING")
    for phase in result["phases"]:
        record.add_phase(phase)
    if not result["waiting"]:
        record["build_seconds"] = round(sum(phase["seconds"] for phase in result["phases"]), 3)
    return dict(result, events=record.events + result["events"])


def main():
    module = AnsibleModule(argument_spec=OPTIONS["build"], supports_check_mode=True)
    run_step(module, lambda record, paths: recorded(module, record))


if __name__ == "__main__":
    main()
