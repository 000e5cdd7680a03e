"""How long a search lab takes to its first answer, and what it takes of memory and disk.

Run by `make bench`, or by itself: ``python tests/benchmarks/bench_search_lab.py [--repeat N]``.
The numbers of `leftopen/engines/README.md` come from here.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import psutil
from opensearchpy import OpenSearch

from leftopen import open_case
from leftopen.cases import smart_city
from leftopen.engines import opensearch_home
from leftopen.lab import Lab

FILES = smart_city.security_files("ada", "a-password-of-ada")


def size(folder) -> int:
    """The bytes of the files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def first_answer(lab: Lab) -> None:
    """Ask as somebody who may: the count of the residents."""
    login = {}
    if lab.inside.uri.startswith("https"):
        login = {"http_auth": ("ada", "a-password-of-ada"), "ca_certs": str(lab.certificates.ca)}
    OpenSearch(lab.inside.uri, **login).count(index="residents")


def small(**more) -> Lab:
    """A lab of an exercise."""
    return smart_city.small_lab(1, **more)


def measure(name: str, open_it: Callable[[], Lab], repeat: int, end: str = "close") -> None:
    """Time from the call to the first answer; memory and disk of the last lab."""
    seconds = []
    for _ in range(repeat):
        begun = time.perf_counter()
        lab = open_it()
        first_answer(lab)
        seconds.append(time.perf_counter() - begun)
        used = psutil.Process(lab.server_pid).memory_info().rss
        disk = size(lab.config_folder.parent)
        getattr(lab, end)()
    print(
        f"{name:44} median {statistics.median(seconds):5.1f} s, at most {max(seconds):5.1f} s; "
        f"{used / 2**20:.0f} MB of memory, {disk / 2**20:.1f} MB of disk"
    )


def main() -> None:
    """Measure each kind of opening."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    repeat = parser.parse_args().repeat
    home = opensearch_home.find()
    print(f"OpenSearch {opensearch_home.version(home)}: {size(home) / 2**20:.0f} MB, brought once")
    locked = {"config": smart_city.LOCKED, "security": FILES}
    measure("the case (17,000 documents)", lambda: open_case("smart_city"), repeat)
    measure("small, as found", small, repeat)
    measure("small, locked", lambda: small(**locked), repeat)
    small(**locked).retire()
    measure("small, locked, on a node that runs", lambda: small(**locked), repeat, end="retire")


if __name__ == "__main__":
    main()
