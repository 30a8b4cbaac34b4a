"""Run a learner's answer so that nothing it does can harm the notebook or the check.

An answer may loop forever, print, raise, warn, change a random state or call `exit()`. Here it runs
in a thread of its own with a time limit, its prints are caught, and the random states are restored.
"""

import contextlib
import contextvars
import ctypes
import io
import logging
import math
import random
import sys
import sysconfig
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np


class TooSlow(BaseException):
    """Raised inside an answer whose time is up (no Exception: its `except` must not eat it)."""


def own_session(function: Callable[[], Any]) -> Any:
    """Return `function()`, computed with settings that no earlier cell can have changed.

    In a fresh thread gradients are on, NumPy's error state, print options and any default device
    are Python's own; what holds for the whole process (PyTorch's default dtype, deterministic
    algorithms, precision, threads) is set, and put back afterwards.

    Raises:
        BaseException: what `function` raises.
    """
    torch = sys.modules.get("torch")
    put_back = _settings_of_torch(torch) if torch else []
    try:
        return _in_thread(function, contextvars.Context())
    finally:
        for put, value in reversed(put_back):
            put(value)


def _settings_of_torch(torch: Any) -> list[tuple[Callable, Any]]:
    """Give PyTorch the settings of a check; how each was, and what puts it back."""
    before = [
        (torch.set_default_dtype, torch.get_default_dtype()),
        (torch.use_deterministic_algorithms, torch.are_deterministic_algorithms_enabled()),
        (torch.set_float32_matmul_precision, torch.get_float32_matmul_precision()),
        (torch.autograd.set_detect_anomaly, torch.is_anomaly_enabled()),
    ]
    for (put, _), value in zip(before, (torch.float32, False, "highest", False), strict=True):
        put(value)
    return before


def call_with_limit(function: Callable[[], Any], seconds: float) -> Any:
    """Return `function()`, or raise what it raises.

    Args:
        function: called without arguments, in a thread of its own.
        seconds: the CPU time that it may take, so that a busy machine makes nobody too slow. On
            the clock it may take five times as long: an answer that sleeps or waits is ended too.

    Raises:
        TooSlow: the time was up. A loop written in Python is ended; a call that is stuck inside
            compiled code is left behind as a daemon thread, which ends with the process.
    """
    return _in_thread(function, contextvars.copy_context(), seconds)


def _in_thread(
    function: Callable[[], Any], context: contextvars.Context, seconds: float = math.inf
) -> Any:
    box: dict[str, Any] = {}

    def target() -> None:
        torch = sys.modules.get("torch")
        if torch:
            torch.set_num_threads(1)  # of this thread
        try:
            box["value"] = function()
        except BaseException as error:  # noqa: B036  (an answer may even call exit())
            box["error"] = error

    thread = threading.Thread(target=context.run, args=(target,), daemon=True)
    thread.start()
    began, cpu_time = time.monotonic(), _cpu_clock(thread)
    try:
        while thread.is_alive():  # short waits: an exception meant for this thread gets through
            thread.join(0.05)
            if cpu_time() > seconds or time.monotonic() - began > 5 * seconds:
                break
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


def _cpu_clock(thread: threading.Thread) -> Callable[[], float]:
    """How many seconds a thread has computed so far; where no system call tells, always 0."""
    if not hasattr(time, "pthread_getcpuclockid"):  # Windows and macOS: the clock alone decides
        return lambda: 0.0
    try:
        clock = time.pthread_getcpuclockid(thread.ident)
    except OSError:  # it has ended already
        return lambda: 0.0

    def cpu_time() -> float:
        try:
            return time.clock_gettime(clock)
        except OSError:
            return 0.0

    return cpu_time


def reseed() -> None:
    """Set every random state to 0, so that no call depends on how much the last one drew."""
    torch = sys.modules.get("torch")
    random.seed(0)
    np.random.seed(0)
    if torch:
        torch.manual_seed(0)


@contextlib.contextmanager
def quiet() -> Iterator[io.StringIO]:
    """Catch prints, warnings and log messages; seed the random states; put all back afterwards.

    Yields:
        The buffer that receives everything printed.
    """
    torch = sys.modules.get("torch")
    python_state, numpy_state = random.getstate(), np.random.get_state()
    torch_state = torch.get_rng_state() if torch else None
    reseed()
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
            torch.set_rng_state(torch_state)


def ends_python(error: BaseException) -> bool:
    """True for what `exit()` raises."""
    return isinstance(error, SystemExit)


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
