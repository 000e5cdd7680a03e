"""The relay that plays the Internet, with its address as a browser and a driver of HTTP want it."""

import os

from leftopen import loopback
from leftopen.outside import Outside


class Internet(Outside):
    """The stranger's side of a server that speaks HTTP.

    From here on this process asks 127.0.0.1 itself, and no proxy that its environment names: a
    university's proxy would look for the lab on its own machine.

    Args:
        target_port: as for :class:`leftopen.outside.Outside`.
    """

    scheme = "http"

    def __init__(self, target_port: int) -> None:
        super().__init__(target_port)
        for name in ("no_proxy", "NO_PROXY"):  # programs differ in which of them they read
            hosts = [host for host in os.environ.get(name, "").split(",") if host.strip()]
            if loopback.HERE not in map(str.strip, hosts):
                os.environ[name] = ",".join([*hosts, loopback.HERE])

    @property
    def uri(self) -> str:
        """An address and nothing else, which is all that a stranger has."""
        return f"{self.scheme}://{loopback.HERE}:{self.port}"
