"""The cases of the course, each a real server in the state in which it was found."""

import importlib

from leftopen.errors import LeftOpenError
from leftopen.lab import Lab

_CASES = ("sensenets", "smart_city", "tongren", "tongren_api")
_open: dict[str, Lab] = {}


def open_case(name: str) -> Lab:
    """Open a case: a real server on this machine, invented records, configured as it was found.

    A notebook has one lab of each case: to open a case again closes the earlier one and starts
    afresh. The server and all its files are gone when the notebook's kernel ends.

    Args:
        name: the name of a case, as ``"sensenets"``.

    Raises:
        LeftOpenError: there is no case of that name.
        EngineMissing: its database server is not installed; the message says how to bring it.
        EngineFailed: the server does not start, or the records could not be loaded.
    """
    if name not in _CASES:
        raise LeftOpenError(f"There is no case named {name!r}. There is: {', '.join(_CASES)}.")
    if earlier := _open.pop(name, None):
        earlier.close()
    _open[name] = importlib.import_module(f"leftopen.cases.{name}").open_lab()
    return _open[name]
