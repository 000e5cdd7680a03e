"""The environment variables of a service: what is taken, and whether they let the Internet in."""

import difflib
import functools
from collections.abc import Iterable, Mapping

import psycopg
from psycopg.conninfo import conninfo_to_dict

from leftopen import loopback
from leftopen.errors import ConfigRefused, NotLoopback

HOST = "UVICORN_HOST"
EVERYWHERE = ("0.0.0.0", "::")
UNCHANGED = "Nothing has changed: the service runs with its earlier environment."
_UVICORN = "UVICORN_"  # uvicorn reads each of its options from such a variable too
_DATABASE = "DATABASE_URL"


def reaches_out(environment: Mapping[str, str]) -> bool:
    """Whether a service with this environment could be reached from the Internet.

    Raises:
        ConfigRefused: it names an address that is not this machine's.
    """
    host = environment[HOST]
    if host in EVERYWHERE:
        return True
    try:
        loopback.addresses(host)
    except NotLoopback:
        raise ConfigRefused(
            f"{HOST}: {host!r} is not an address of this lab's machine, so uvicorn could not "
            "listen on it. Write 127.0.0.1 for this machine alone, or 0.0.0.0 for every address. "
            f"{UNCHANGED}"
        ) from None
    return False


def checked(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables, once each is text and the database is on this machine.

    Raises:
        ConfigRefused: one is not text, its name cannot be a variable's, or DATABASE_URL cannot be
            read.
        NotLoopback: DATABASE_URL leads to another machine.
    """
    for name, value in environment.items():
        if not name.isidentifier():
            raise ConfigRefused(
                f"{name!r} cannot be the name of a variable. Give one as TOKEN_KEY: letters, "
                f"digits and underscores. {UNCHANGED}"
            )
        if not isinstance(value, str) or "\0" in value:
            raise ConfigRefused(
                f"{name} must be text (str), but it is {type(value).__name__}. {UNCHANGED}"
            )
    try:
        place = conninfo_to_dict(environment.get(_DATABASE, ""))
    except psycopg.Error as error:
        why = str(error).strip().rstrip(".")
        raise ConfigRefused(f"{_DATABASE} cannot be read: {why}. {UNCHANGED}") from None
    for host in ",".join(str(place.get(key) or "") for key in ("host", "hostaddr")).split(","):
        if host and not host.startswith("/"):  # those are sockets
            loopback.addresses(host)
    return dict(environment)


def warn_of_unknown(names: Iterable[str]) -> None:
    """Say which variables look as if they were uvicorn's, and are not: it takes no notice."""
    for name in names:
        if name.startswith(_UVICORN) and name not in _options():
            near = difflib.get_close_matches(name, _options(), 1)
            meant = f" Did you mean {near[0]}?" if near else ""
            print(f"uvicorn knows no {name}: it has no effect.{meant}")


@functools.cache
def _options() -> frozenset[str]:
    from uvicorn.main import main

    return frozenset(_UVICORN + option.name.upper() for option in main.params)
