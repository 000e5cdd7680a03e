"""A small service for the tests of what runs it, and how they wait."""

import time

import httpx

WAIT = 60  # the longest wait for what must come; nothing is measured
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


def until(condition):
    """Wait until it holds."""
    deadline = time.monotonic() + WAIT
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


def as_before(service):
    """The service as it was in the beginning, also where the test before changed it."""
    if not service.is_running:
        service.restart()
    if {name: service.read(name) for name in service.files} != FILES:
        service.write_files(FILES)
    return service
