"""The relay that plays the Internet, with its address as a browser and a driver of HTTP want it."""

from leftopen import loopback
from leftopen.outside import Outside


class Internet(Outside):
    """The stranger's side of a server that speaks HTTP."""

    scheme = "http"

    @property
    def uri(self) -> str:
        """An address and nothing else, which is all that a stranger has."""
        return f"{self.scheme}://{loopback.HERE}:{self.port}"
