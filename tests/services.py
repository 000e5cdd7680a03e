"""A small service for the tests of what runs it."""

import httpx
import pytest

from leftopen.engines.backend import Backend

MAIN = """import os

from fastapi import FastAPI
from fastapi.sse import EventSourceResponse

import parts

app = FastAPI()
assert os.environ.get("KEY") != "wrong"


@app.get("/")
def about():
    return {"word": parts.WORD, "environment": dict(os.environ)}


@app.get("/fail")
def fail():
    return [][parts.WORD]


@app.get("/end")
def end():
    os._exit(7)


@app.get("/stream", response_class=EventSourceResponse)
async def stream():
    async for number in parts.numbers():
        yield number
"""
PARTS = """import asyncio

WORD = "one"


async def numbers():
    try:
        for number in range(1_000_000):
            yield number
            await asyncio.sleep(0.05)
    finally:
        print("the stream has ended")
"""
FILES = {"main.py": MAIN, "parts.py": PARTS}


def word(service):
    """What the service says it is."""
    return httpx.get(service.uri).json()["word"]


@pytest.fixture(scope="module")
def kept():
    """The service that the tests of a module share."""
    service = Backend(FILES, {"WORD": "x"})
    yield service
    service.close()


@pytest.fixture
def service(kept):
    """The shared service as it was in the beginning, also where the test before changed it."""
    if not kept.is_running:
        kept.restart()
    if {name: kept.read(name) for name in kept.files} != FILES:
        kept.write_files(FILES)
    return kept
