"""Run Python code that somebody else, or a model, has written: apart, and with limits.

The code runs in a process of its own, in an empty folder that is removed afterwards, with limits of
time, memory and output; it can write no file, start no process, and open no connection. It goes
when the notebook's kernel goes, however that happens.
This keeps accidents in, and most mischief. It is no wall against an expert: Python's own guards can
be got round from within Python. Code that may be malicious belongs into a virtual machine.

Time, output, files, processes and the network are limited everywhere; memory where the operating
system offers it (Linux).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

# Runs first in the new process. The code comes by standard input, and cannot read on from there.
GUARD = r"""
import os, sys, threading, time
seconds, megabytes, kilobytes = map(int, sys.argv[1:4])
leaving = []
def leave_with_the_parent(os=os, time=time, leaving=leaving, home=os.getcwd(), parent=os.getppid()):
    while os.getppid() == parent:
        time.sleep(0.2)
    leaving.append(True)
    try:
        os.chdir("/")
        os.remove(os.path.join(home, "output"))
        os.rmdir(home)
    finally:
        os._exit(1)
if hasattr(os, "killpg"):  # Windows gives no process a new parent
    threading.Thread(target=leave_with_the_parent, daemon=True).start()
try:
    import resource as r
    for kind, limit in ((r.RLIMIT_CPU, seconds), (r.RLIMIT_AS, megabytes << 20),
                        (r.RLIMIT_FSIZE, kilobytes << 10), (r.RLIMIT_CORE, 0)):
        try:
            r.setrlimit(kind, (limit, limit))
        except (ValueError, OSError):
            pass
    del r, kind, limit
except ImportError:
    pass
code = compile(sys.stdin.buffer.read().decode("utf-8"), "<code>", "exec")
FORBIDDEN = (
    "socket.", "subprocess.", "ctypes.", "shutil.", "winreg.", "ftplib.", "http.",
    "urllib.", "smtplib.", "os.exec", "os.fork", "os.posix_spawn", "os.spawn",
    "os.startfile", "os.system", "os.kill", "os.remove", "os.rename", "os.rmdir",
    "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
    "os.chflags", "os.utime", "os.putenv", "os.unsetenv", "os.add_dll_directory",
    "pty.", "tempfile.", "mmap.", "resource.", "signal.pthread_kill",
    "sys.addaudithook", "gc.", "cpython.", "webbrowser.", "sqlite3.", "syslog.",
    "fcntl.", "msvcrt.",
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
def guard(event, given, FORBIDDEN=FORBIDDEN, WRITING=WRITING, str=str, int=int,
          isinstance=isinstance, PermissionError=PermissionError, leaving=leaving):
    if leaving:
        return
    if event == "open":
        path, mode, flags = given
        writes = isinstance(flags, int) and flags & WRITING
        if writes or isinstance(mode, str) and mode.strip("rbtU"):
            raise PermissionError("this code may not write files")
    elif event == "import" and given[0] in ("ctypes", "_ctypes", "_posixsubprocess"):
        raise PermissionError("this code may not import " + given[0])
    elif event.startswith(FORBIDDEN):
        raise PermissionError("this code may not use " + event)
sys.addaudithook(guard)
del guard, FORBIDDEN, WRITING, os, threading, time, leaving, leave_with_the_parent
del seconds, megabytes, kilobytes
sys.argv = [""]
exec(code, {"__name__": "__main__"})
"""


@dataclass(frozen=True)
class Ran:
    """What became of a run: `status` is "ok", "error", "time", "memory" or "output"."""

    status: str
    output: str  # what it printed, errors included


def run(code: str, seconds: int = 2, megabytes: int = 300, kilobytes: int = 20) -> Ran:
    """Run Python code with limits, and say what became of it.

    Args:
        code: a whole program.
        seconds: of CPU time; the clock gets five times as much.
        megabytes: of memory.
        kilobytes: of output; what is printed beyond it ends the run.

    Returns:
        The status, and the output up to its limit.

    Raises:
        TypeError: `code` is no string.
        ValueError: a limit that is not a positive whole number.
    """
    if not isinstance(code, str):
        raise TypeError(f"code is a {type(code).__name__}: give the program as a string")
    for limit in (seconds, megabytes, kilobytes):
        if not isinstance(limit, int) or limit < 1:
            raise ValueError(f"a limit of {limit!r}: give whole numbers from 1")
    with tempfile.TemporaryDirectory(prefix="course-run-", ignore_cleanup_errors=True) as folder:
        printed = Path(folder) / "output"
        limits = [str(limit) for limit in (seconds, megabytes, kilobytes)]
        with printed.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-X", "utf8", "-c", GUARD, *limits],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={"PATH": os.defpath, "SYSTEMROOT": os.environ.get("SYSTEMROOT", "")},
                start_new_session=True,
            )
            ended = _watch(process, code, printed, seconds, kilobytes)
        text = printed.read_bytes()[: kilobytes << 10].decode("utf-8", "replace")
    return Ran(_status(process.returncode, ended, text), text)


def _watch(
    process: subprocess.Popen, code: str, printed: Path, seconds: int, kilobytes: int
) -> str:
    """Wait for the end; say what limit it went over, if that was seen from outside."""
    try:
        with contextlib.suppress(OSError):  # it may have ended before it has read everything
            process.stdin.write(code.encode("utf-8", "replace"))
        with contextlib.suppress(OSError):
            process.stdin.close()
        end = time.monotonic() + 5 * seconds
        while process.poll() is None:
            if time.monotonic() > end:
                return "time"
            if printed.stat().st_size >= kilobytes << 10:
                return "output"
            time.sleep(0.01)
        return "output" if printed.stat().st_size >= kilobytes << 10 else ""
    finally:
        _kill(process)


def _kill(process: subprocess.Popen) -> None:
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)  # it may have children after all
        else:
            process.kill()
    process.wait()


def _status(code: int, ended: str, text: str) -> str:
    if ended:
        return ended
    if code == 0:
        return "ok"
    if code == -getattr(signal, "SIGXCPU", 0) or code == -getattr(signal, "SIGKILL", 0):
        return "time"
    return "memory" if "MemoryError" in text else "error"
