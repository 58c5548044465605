"""The smallest Flask app that says which version of it answers."""

import os
import time
from pathlib import Path

from flask import Flask, request

VERSION = (Path(__file__).parent / "VERSION").read_text(encoding="utf-8").strip()

app = Flask(__name__)


@app.get("/")
def index():
    return {"app": "hello-flask", "version": VERSION, "pid": os.getpid()}


@app.get("/version")
def version():
    return f"{VERSION}\n", {"Content-Type": "text/plain"}


@app.get("/healthz")
def healthz():
    return "ok\n", {"Content-Type": "text/plain"}


@app.get("/slow")
def slow():
    ms = min(max(request.args.get("ms", 1000, type=int), 0), 60000)
    time.sleep(ms / 1000)
    return {"version": VERSION, "ms": ms}
