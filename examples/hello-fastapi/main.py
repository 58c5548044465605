"""The smallest FastAPI app that says which version of it answers."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Query
from fastapi.responses import PlainTextResponse

VERSION = (Path(__file__).parent / "VERSION").read_text(encoding="utf-8").strip()

app = FastAPI()


@app.get("/")
async def index():
    return {"app": "hello-fastapi", "version": VERSION, "pid": os.getpid()}


@app.get("/version", response_class=PlainTextResponse)
async def version():
    return f"{VERSION}\n"


@app.get("/healthz", response_class=PlainTextResponse)
async def healthz():
    return "ok\n"


@app.get("/slow")
async def slow(ms: Annotated[int, Query(ge=0, le=60000)] = 1000):
    await asyncio.sleep(ms / 1000)
    return {"version": VERSION, "ms": ms}
