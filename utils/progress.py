"""A progress bar that leaves plain text in a saved notebook: no widget that is gone tomorrow."""

from collections.abc import Iterable

from IPython import get_ipython
from IPython.display import display
from tqdm import tqdm


class _Line:
    """A file for tqdm that shows the last line written to it in place of the one before."""

    def __init__(self) -> None:
        self._shown = None

    def write(self, text: str) -> None:
        """Show a line (carriage returns and empty lines are passed over)."""
        line = {"text/plain": text.strip()}
        if line["text/plain"] and self._shown is None:
            self._shown = display(line, raw=True, display_id=True)
        elif line["text/plain"]:
            self._shown.update(line, raw=True)

    def flush(self) -> None:
        """Nothing waits to be written."""


def bar(steps: Iterable | None = None, said: str = "", **options: object) -> tqdm:
    """A bar that grows with every step: `for batch in bar(batches, "training"):`.

    Args:
        steps: what to go through; None to count by hand with `update`.
        said: in front of the bar.
        **options: for tqdm (`total`, `unit`, ...).

    Returns:
        The steps, one by one. What stays in the notebook is one line of text.
    """
    if get_ipython() and "file" not in options:
        options["file"] = _Line()
    return tqdm(steps, desc=said or None, mininterval=0.3, ncols=70, **options)
