"""Run a learner's answer so that nothing it does can harm the notebook or the check.

An answer may loop forever, print, raise, warn, change a random state or call `exit()`. Here it runs
in a thread of its own with a time limit, its prints are caught, and the random states are restored.
"""

import contextlib
import contextvars
import ctypes
import io
import logging
import random
import sys
import sysconfig
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np


class TooSlow(BaseException):
    """Raised inside an answer whose time is up (no Exception: its `except` must not eat it)."""


def call_with_limit(function: Callable[[], Any], seconds: float) -> Any:
    """Return `function()`, or raise what it raises.

    Args:
        function: called without arguments, in a thread of its own.
        seconds: the time it may take.

    Raises:
        TooSlow: the time was up. A loop written in Python is ended; a call that is stuck inside
            compiled code is left behind as a daemon thread, which ends with the process.
    """
    box: dict[str, Any] = {}

    def target() -> None:
        try:
            box["value"] = function()
        except BaseException as error:  # noqa: B036  (an answer may even call exit())
            box["error"] = error

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(target,), daemon=True)
    thread.start()
    try:
        thread.join(seconds)
    finally:
        timed_out = thread.is_alive()
        for _ in range(10):
            if not thread.is_alive():
                break
            thread_id = ctypes.c_ulong(thread.ident)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread_id, ctypes.py_object(TooSlow))
            thread.join(0.1)
    if timed_out:
        raise TooSlow
    if "error" in box:
        raise box["error"]
    return box["value"]


@contextlib.contextmanager
def quiet() -> Iterator[io.StringIO]:
    """Catch prints, warnings and log messages; seed the random states; put all back afterwards.

    Yields:
        The buffer that receives everything printed.
    """
    torch = sys.modules.get("torch")
    python_state, numpy_state = random.getstate(), np.random.get_state()
    torch_state = (torch.get_rng_state(), torch.get_default_dtype()) if torch else None
    random.seed(0)
    np.random.seed(0)
    if torch:
        torch.manual_seed(0)
    printed, disabled = io.StringIO(), logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
        ):
            warnings.simplefilter("ignore")
            yield printed
    finally:
        logging.disable(disabled)
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        if torch:
            torch.set_rng_state(torch_state[0])
            torch.set_default_dtype(torch_state[1])


_LIBRARY_FOLDERS = tuple(
    str(Path(folder))
    for folder in {
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        str(Path(__file__).parents[2]),
    }
)


def learners_line(error: BaseException) -> str:
    """The last line of the learner's own code that an error went through, and the error itself.

    Args:
        error: an exception with its traceback.

    Returns:
        For example ``line 3: return q @ k`` and below it ``ValueError: matmul: …``; only the
        second line where no line of the learner's was reached (a call with wrong arguments).
    """
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((*_LIBRARY_FOLDERS, "<frozen", "<__array_function__"))
    ]
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = ""
    said = f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
    if not frames:
        return said
    return f"line {frames[-1].lineno}: {frames[-1].line}\n{said}"
