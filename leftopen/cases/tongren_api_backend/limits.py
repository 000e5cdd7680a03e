"""How often a login may fail: for one account, and from one address."""

import time

from fastapi import HTTPException

SECONDS = 60
MOST = {"account": 5, "address": 20}
failed: dict[tuple[str, str], list[float]] = {}


def recent(kind: str, name: str) -> list[float]:
    """When logins of this account, or from this address, failed in the last minute."""
    times = [at for at in failed.pop((kind, name), []) if at > time.monotonic() - SECONDS]
    return failed.setdefault((kind, name), times)


def check(**names: str) -> None:
    """Refuse a login that would be one too many."""
    for kind, name in names.items():
        if len(times := recent(kind, name)) >= MOST[kind]:
            wait = int(times[-MOST[kind]] + SECONDS - time.monotonic()) + 1
            raise HTTPException(429, "Too many tries.", {"Retry-After": str(wait)})


def note(**names: str) -> None:
    """Count a login that failed."""
    for kind, name in names.items():
        recent(kind, name).append(time.monotonic())
