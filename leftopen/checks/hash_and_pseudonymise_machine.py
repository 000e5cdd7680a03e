"""Exercise 14, question 3: a copy of this process that takes itself for another machine.

It has another name, another user, another day, and none of this machine's files and variables. All
of it ends with the copy.
"""

import os
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path

from leftopen.checks.hash_and_pseudonymise_keys import elsewhere, put_in_place, stop_the_clock

_NAME = "another-machine"
_KEPT = {"PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "LANG"}
_CODE = {".py", ".pyc", ".so", ".pyd", ".dylib"}
# Of /dev no more than this: on Linux a disk in memory is there, /dev/shm.
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_PROGRAMS = (sys.prefix, sys.base_prefix, *_DEVICES, "/proc", "/lib", "/usr")
_MODULES = {
    "uuid": {"getnode": lambda: 0x14C0FFEE},
    "platform": {"node": lambda: _NAME, "uname": lambda: types.SimpleNamespace(node=_NAME)},
    "socket": {"gethostname": lambda: _NAME, "getfqdn": lambda *_: _NAME},
    "getpass": {"getuser": lambda: _NAME},
    "os": {
        "getlogin": lambda: _NAME,
        "getuid": lambda: 4711,
        "uname": lambda: types.SimpleNamespace(nodename=_NAME),
    },
}


def on_another_machine(work: Callable[[], object]) -> object | None:
    """What some work returns there, as JSON has it; nothing if there can be no such copy.

    If it raises an error, the name of the error.
    """

    def there() -> object:
        _move()
        try:
            return work()
        except Exception as error:  # what came of it is the answer
            return type(error).__name__

    return elsewhere(there, salted_hash=True)


def _move() -> None:
    stop_the_clock()
    new = {}
    for module, functions in _MODULES.items():
        space = vars(sys.modules[module]) if module in sys.modules else {}
        new |= {space[name]: other for name, other in functions.items() if name in space}
    put_in_place(new, _MODULES)
    home = tempfile.gettempdir()
    os.chdir(home)
    for name in set(os.environ) - _KEPT:
        del os.environ[name]
    os.environ["HOME"] = home
    sys.addaudithook(_no_file)


def _no_file(event: str, given: tuple) -> None:
    """Files of this machine cannot be read there, but for those of programs."""
    if event == "sqlite3.connect" and given[0] != ":memory:":
        raise FileNotFoundError(given[0])
    if event != "open" or not isinstance(given[0], str | bytes | os.PathLike):
        return
    if (given[2] or 0) & os.O_WRONLY:
        return
    path = Path(os.fsdecode(given[0])).absolute()
    if path.suffix in _CODE or any(path.is_relative_to(place) for place in _PROGRAMS):
        return
    raise FileNotFoundError(os.fsdecode(given[0]))
