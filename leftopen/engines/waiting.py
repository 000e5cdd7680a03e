"""A progress bar for a wait of seconds: in a notebook's output, or on a terminal.

In a notebook the bar is taken away at the end, and what stays in the cell is an empty text, always
the same, so that a notebook's outputs can be compared.
"""

import html
import sys
from types import TracebackType


class Waiting:
    """A bar that moves forward as steps are done, and is gone at the end.

    Args:
        what: what is waited for, as ``"OpenSearch starts"``.
        steps: how many steps there are.
    """

    def __init__(self, what: str, steps: int) -> None:
        self._what, self._steps, self._done = what, steps, 0
        self._handle = None
        self._bar = None

    def __enter__(self) -> "Waiting":
        if _in_notebook():
            from IPython.display import display

            self._handle = display({"text/plain": ""}, raw=True, display_id=True)
            self._show()
        else:
            from tqdm import tqdm

            self._bar = tqdm(desc=self._what, total=self._steps, leave=False, disable=None)
        return self

    def reach(self, step: int, words: str = "") -> None:
        """Say that so many steps are done, and what the last one was."""
        step = min(step, self._steps)
        if step <= self._done:
            return
        if self._bar is not None:
            self._bar.update(step - self._done)
        self._done = step
        if self._handle is not None:
            self._show(words)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        if self._handle is not None:
            self._handle.update({"text/plain": ""}, raw=True)

    def _show(self, words: str = "") -> None:
        told = html.escape(f"{self._what} {words}".strip())
        bar = f"<progress max='{self._steps}' value='{self._done}'></progress>"
        plain = f"{self._what}: step {self._done} of {self._steps}"
        shown = {"text/html": f"<div role='status'>{bar} {told}</div>", "text/plain": plain}
        self._handle.update(shown, raw=True)


def _in_notebook() -> bool:
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    shell = get_ipython()
    return shell is not None and hasattr(shell, "kernel")
