"""The service that answers with data."""

from pathlib import Path

from flask import Flask

VERSION = (Path(__file__).parent / "VERSION").read_text(encoding="utf-8").strip()

app = Flask(__name__)


@app.get("/version")
def version():
    return f"api {VERSION}\n", {"Content-Type": "text/plain"}


@app.get("/healthz")
def healthz():
    return "ok\n", {"Content-Type": "text/plain"}
