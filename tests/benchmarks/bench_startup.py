"""Start-up of mongod: the bare binary started by hand, and ours, side by side.

Both begin with an empty folder and end when the port accepts a connection. They take turns, so
that a busy moment of the machine hits both. Goal: ours at most 1.2 times the bare binary.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import psutil

from leftopen import loopback, open_case
from leftopen.engines import mongodb
from leftopen.engines.config import dump, merge
from leftopen.engines.mongodb import MongoServer

GOAL = 1.2


def accepts(port: int) -> bool:
    """Whether something accepts connections on the port."""
    try:
        loopback.connect("127.0.0.1", port, timeout=1).close()
    except OSError:
        return False
    return True


def bare(mongod: Path) -> float:
    """Seconds from the start of the bare binary, with the lab's own settings, to its open port."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        begun = time.perf_counter()
        (folder / "data").mkdir()
        port = loopback.free_port()
        config = folder / "mongod.conf"
        config.write_text(dump(merge({}, mongodb.lab_settings(folder, port))))
        process = subprocess.Popen([mongod, "--config", config], stdout=subprocess.DEVNULL)
        try:
            while not accepts(port):
                time.sleep(0.001)
            return time.perf_counter() - begun
        finally:
            process.kill()
            process.wait()


def ours() -> float:
    """Seconds from the call to a server that accepts."""
    begun = time.perf_counter()
    server = MongoServer({})
    took = time.perf_counter() - begun
    server.close()
    return took


def case() -> tuple[float, float]:
    """Seconds to open the whole SenseNets case, and the resident memory of its mongod in MiB."""
    begun = time.perf_counter()
    lab = open_case("sensenets")
    took = time.perf_counter() - begun
    memory = psutil.Process(lab.server_pid).memory_info().rss / 2**20
    lab.close()
    return took, memory


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    mongod = mongodb.find()
    bare(mongod), ours()  # once, so that the binary is in the page cache for both
    pairs = [(bare(mongod), ours()) for _ in range(rounds)]
    medians = [statistics.median(side) for side in zip(*pairs, strict=True)]
    opened = [case() for _ in range(5)]
    print(f"mongod {mongodb.version(mongod)}, {rounds} rounds, in turn; seconds")
    print(f"{'':28}{'median':>8}{'least':>8}{'most':>8}")
    for name, side in zip(("bare binary by hand", "ours"), zip(*pairs, strict=True), strict=True):
        print(f"{name:28}{statistics.median(side):8.3f}{min(side):8.3f}{max(side):8.3f}")
    ratio = medians[1] / medians[0]
    print(
        f"ours / bare: {ratio:.2f} (goal: at most {GOAL}; {'met' if ratio <= GOAL else 'NOT MET'})"
    )
    print(
        f"open_case('sensenets'), records and relay included: "
        f"{statistics.median(t for t, _ in opened):.2f} s, mongod then has "
        f"{statistics.median(m for _, m in opened):.0f} MiB"
    )


if __name__ == "__main__":
    main()
