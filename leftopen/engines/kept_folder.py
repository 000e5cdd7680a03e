"""A folder that cannot outlive its notebook, for what a lesson plays as another place."""

import weakref

from leftopen.engines.process import ServerProcess


class KeptFolder:
    """A private folder, gone when this Python process is gone, however that ends.

    The keeper of ``process.py`` holds it, without a server.

    Attributes:
        path: where it is; its owner alone may look into it.
        close: removes it now; safe to call twice.

    Raises:
        EngineFailed: as for :class:`leftopen.engines.process.ServerProcess`.
    """

    def __init__(self) -> None:
        process = ServerProcess()
        self.path = process.folder / "kept"
        self.path.mkdir(mode=0o700)
        self.close = weakref.finalize(self, process.close)
