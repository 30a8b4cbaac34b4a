"""What every pytest run shares: a course home of its own, and a table of what the lessons cost.

`COURSE_BUDGET=1` makes a run fail if a lesson takes more than its budget of time or memory. Time is
CPU time of the kernel and of what it starts, so that a busy machine makes no lesson too slow.
"""

import contextlib
import os
import re
import tempfile
from collections import defaultdict
from pathlib import Path

import psutil
import pytest

SECONDS, GIGABYTES = 80, 3.0  # what a lesson may take: CPU seconds, and memory at its peak


def pytest_configure(config):
    """Keep progress in a temporary folder; xdist's workers and Jupyter's kernels inherit it."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        home = tempfile.TemporaryDirectory(prefix="course-home-", ignore_cleanup_errors=True)
        config.add_cleanup(home.cleanup)
        os.environ["COURSE_HOME"] = home.name


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Attach to a notebook cell's report what the summary wants to know (it survives xdist)."""
    try:
        return (yield)
    finally:
        if item.path.suffix == ".ipynb":
            lines = item.cell.source.strip().splitlines() or [""]
            seconds, peak = _used_by_kernel()
            item.user_properties += [
                ("first_line", lines[0]),
                ("cpu_so_far", seconds),
                ("peak_bytes", peak),
            ]


def _used_by_kernel() -> tuple[float, int]:
    """CPU seconds and the largest memory that processes started from here have used so far."""
    seconds, peaks = 0.0, [0]
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error, OSError):
            seconds += sum(process.cpu_times()[:4])  # user, system, and its children's, if known
            status = Path(f"/proc/{process.pid}/status")
            if status.exists():  # a zombie has no VmHWM
                found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
                peaks.append(int(found[1]) * 1024 if found else 0)
            else:  # Windows knows the peak as well; elsewhere it is the highest seen after a cell
                memory = process.memory_info()
                peaks.append(getattr(memory, "peak_wset", memory.rss))
    return seconds, max(peaks)


def _costs(reporter) -> tuple[list[tuple], list[tuple]]:
    """(CPU seconds, gigabytes, file) of each lesson and (CPU seconds, cell, line) of each cell."""
    seconds, peak, cells = defaultdict(float), defaultdict(float), []
    reports = [r for reports in reporter.stats.values() for r in reports]
    for report in reports:  # in the order in which each file's cells were run
        file, _, cell = getattr(report, "nodeid", "").partition("::")
        if not file.endswith(".ipynb") or getattr(report, "when", "") != "call":
            continue
        told = dict(report.user_properties)
        so_far = told.get("cpu_so_far", 0.0)
        cells.append((so_far - seconds[file], f"{file} {cell}", told.get("first_line", "")))
        seconds[file] = max(seconds[file], so_far)
        peak[file] = max(peak[file], told.get("peak_bytes", 0) / 1e9)
    lessons = [(seconds[file], peak[file], file) for file in seconds]
    return sorted(lessons, reverse=True), sorted(cells, reverse=True)


def _over_budget(seconds: float, gigabytes: float) -> list[str]:
    over = [f"over {SECONDS} CPU s"] if seconds > SECONDS else []
    return over + ([f"over {GIGABYTES:.0f} GB"] if gigabytes > GIGABYTES else [])


def pytest_sessionfinish(session):
    """Fail for a budget that is exceeded, if asked to."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and os.environ.get("COURSE_BUDGET") == "1" and session.exitstatus == 0:
        lessons, _ = _costs(reporter)
        if any(_over_budget(seconds, gigabytes) for seconds, gigabytes, _ in lessons):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    """Show what the notebooks took, where any were run."""
    lessons, cells = _costs(terminalreporter)
    if not lessons:
        return
    terminalreporter.section("what the lessons took: CPU seconds, and memory at the peak")
    for seconds, gigabytes, file in lessons:
        flags = "".join(f"  << {said}" for said in _over_budget(seconds, gigabytes))
        terminalreporter.line(f"{seconds:7.1f} s  {gigabytes:5.2f} GB  {file}{flags}")
    terminalreporter.section("the ten slowest cells, in CPU seconds", sep="-")
    for seconds, cell, first_line in cells[:10]:
        terminalreporter.line(f"{seconds:7.1f} s  {cell:<34}  {first_line[:60]}")
