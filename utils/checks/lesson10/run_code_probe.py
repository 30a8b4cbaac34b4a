"""How the check of exercise 10.6 looks at an answer: what it returns, and what it leaves."""

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from utils.checks.engine.compare import Seen

HERE = "it runs in the notebook's own process"
MOVED = "it leaves the notebook in another folder than before"
OURS = "course_check_"
WAITS = "it waits for ever: the check ended the program"
PATIENCE = 6  # seconds for a program that takes none, where a busy machine let the usual two pass
_last = {"answer": None, "here": False}


def _runs_here(answer):
    """True if an answer runs its code in this process: then the check hands it nothing more."""
    if _last["answer"] is not answer:
        mark = "course_ran_here"
        with contextlib.suppress(AttributeError):
            delattr(sys, mark)
        try:
            answer(f"setattr(__import__('sys'), '{mark}', True)")
        except NotImplementedError:
            raise
        except BaseException as error:
            if not isinstance(error, Exception) and not hasattr(sys, mark):
                raise  # the time is up, or an interrupt
        _last.update(answer=answer, here=hasattr(sys, mark))
        with contextlib.suppress(AttributeError):
            delattr(sys, mark)
    return _last["here"]


def _children() -> set[int]:
    """The processes that this one has started."""
    tasks = "/proc/self/task"
    try:
        return {
            int(number)
            for task in os.listdir(tasks)
            for number in Path(tasks, task, "children").read_text().split()
        }
    except OSError:  # no Linux, or a thread has just ended
        import psutil  # ipykernel needs it, too

        return {child.pid for child in psutil.Process().children()}


def _end(numbers: set[int]) -> None:
    """End processes, and all that they have started."""
    if not numbers:
        return
    import psutil

    ended = []
    for number in numbers:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(number)
            ended += [*process.children(recursive=True), process]
    for process in ended:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(ended, timeout=1)


@contextlib.contextmanager
def _nothing_left(seconds: float) -> Iterator[threading.Event]:
    """End what is still running afterwards; end it early (and say so) if an answer waits on it."""
    before, waited = _children(), threading.Event()

    def enough():
        waited.set()
        _end(_children() - before)

    watch = threading.Timer(seconds + 4, enough)
    watch.daemon = True
    watch.start()
    try:
        yield waited
    finally:
        watch.cancel()
        _end(_children() - before)


def _folder() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:  # it is gone
        return None


def _outcome(answer, code, seconds):
    try:
        found = answer(code) if seconds is None else answer(code, seconds)
    except (subprocess.SubprocessError, UnicodeDecodeError) as error:
        return f"it raises a {type(error).__name__}"
    if isinstance(found, tuple | list) and len(found) == 2 and isinstance(found[1], str):
        return found[0], found[1].replace("\r\n", "\n")
    return found


def _called(answer, code, seconds):
    with _nothing_left(seconds or 2) as waited:
        found = _outcome(answer, code, seconds)
    return WAITS if waited.is_set() else found


def _in_peace(answer, code, seconds):
    """As `_called`, for a program that takes no time: nobody is wrong because others work here."""
    found = _called(answer, code, seconds)
    late = _pair(found) and found[0] == "time" and seconds is None
    return _called(answer, code, PATIENCE) if late else found


def _pair(found):
    return isinstance(found, tuple) and isinstance(found[1], str)


@contextlib.contextmanager
def _typed(text):
    """Standard input as if somebody typed."""
    try:
        kept = os.dup(0)
    except OSError:
        yield
        return
    reading, writing = os.pipe()
    os.write(writing, text)
    os.close(writing)
    os.dup2(reading, 0)
    os.close(reading)
    try:
        yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)


@contextlib.contextmanager
def _own_places() -> Iterator[tuple[str, str]]:
    """A folder that stands for the notebook's, and one for temporary files; both are removed."""
    usual = tempfile.tempdir
    if usual and OURS in usual:  # left by an answer that was given up
        usual = None
    tempfile.tempdir = usual
    with tempfile.TemporaryDirectory(prefix=OURS, ignore_cleanup_errors=True) as whole:
        places = [os.path.realpath(Path(whole, name)) for name in ("notebook", "tmp")]
        for place in places:
            os.mkdir(place)
        tempfile.tempdir = places[1]
        try:
            yield places[0], places[1]
        finally:
            tempfile.tempdir = usual


@contextlib.contextmanager
def _within(folder: str) -> Iterator[list[str]]:
    """Be in a folder, and say whether an answer has gone elsewhere."""
    before, said = _folder() or os.path.expanduser("~"), []
    os.chdir(folder)
    inside = _folder()
    try:
        yield said
        said += [MOVED] * (_folder() != inside)
    finally:
        os.chdir(before)


def _twice(answer, code, seconds, places):
    """Two programs one after the other, in whatever folder."""
    found = _in_peace(answer, code, seconds)
    if not _pair(found):
        return found
    again = _in_peace(answer, code, seconds)
    left = [os.listdir(place) for place in places]
    there = "the folder of the notebook" if left[0] else "something" if left[1] else "nothing"
    return Seen({"result": found, "the same again": again, "what is left behind": there})


def _at_the_limit(answer, code, seconds, whole):
    """What is said of a program that takes too long, and whether it goes on afterwards."""
    with _nothing_left(seconds) as waited:
        beats = Path(whole, "beats")
        beats.touch()
        found = _outcome(answer, f"PATH = {str(beats)!r}\n{code}", seconds)
        sizes = [beats.stat().st_size]
        if sizes[0] and _pair(found) and found[0] == "time":
            time.sleep(0.2)
            sizes.append(beats.stat().st_size)
    if waited.is_set():
        return WAITS
    for said in "working\n", b"working\n":  # how much of it is seen in time is left open
        if isinstance(found, tuple) and found[0] == "time" and isinstance(found[1], type(said)):
            found = "time", found[1] if found[1] != said[: len(found[1])] else said[:0]
    return Seen({"result": found, "it still runs afterwards": sizes[-1] > sizes[0]})


def _looked_at(answer, code, seconds, how, places):
    if _runs_here(answer):
        return HERE
    if how == "folder":
        return _twice(answer, code, seconds, places)
    if how == "limit":
        return _at_the_limit(answer, code, seconds, Path(places[0]).parent)
    with _typed(b"typed\n") if how == "typed" else contextlib.nullcontext():
        found = _in_peace(answer, code, seconds)
    if not _pair(found):
        return found
    status, output = found
    if how in ("last line", "typed") and status == "error":
        output = "".join(output.splitlines(keepends=True)[-1:])
    if how == "status":
        output = ""
    if how == "beginning":  # how bytes that are no UTF-8 are shown is left open
        output = output[:3]
    return status, output


def watched(answer, code, seconds=None, how="plain"):
    """What comes back, as far as it is the same on every machine."""
    with _own_places() as places:
        here = places[0] if how == "folder" else _folder() or tempfile.gettempdir()
        with _within(here) as moved:
            found = _looked_at(answer, code, seconds, how, places)
    return MOVED if moved else found
