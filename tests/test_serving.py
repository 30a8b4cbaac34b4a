"""A server goes with its kernel, whatever ends the kernel, and says why it cannot start.

The server of these tests is ready at once; lesson 10 runs the real one.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from jupyter_client.manager import start_new_kernel

from utils import serving

FAKE = """
import http.server, sys

class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *said): pass

def main():
    if "fail" in sys.argv: sys.exit("no such thing")
    if "wait" in sys.argv: import time; time.sleep(60)
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[-1])), Healthy).serve_forever()
"""
START = """
from utils import serving
server = serving._start("model", "fake_server", [], None, 30)
print(server.process.pid, server.port, flush=True)
"""


@pytest.fixture(autouse=True)
def fake(tmp_path, monkeypatch):
    """The server's module where its process finds it, and a folder for temporary files."""
    (tmp_path / "fake_server.py").write_text(FAKE)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    yield tmp_path
    serving._stop_all()


def start(*arguments, port=None, seconds=30):
    return serving._start("model", "fake_server", list(arguments), port, seconds)


def gone(pid, port, folder):
    """True when, within five seconds, neither process nor port nor temporary file is left."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        runs = psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        left = list((folder / "tmp").glob("course-server-*"))
        if not (runs or left or serving._answers(port)):
            return True
        time.sleep(0.05)
    return False


def test_a_server_starts_once_and_stops(fake):
    server = start()
    assert serving._answers(server.port) and server.url == f"http://127.0.0.1:{server.port}/v1"
    assert start() is server  # the cell is run twice
    assert list((fake / "tmp").glob("course-server-*"))
    server.stop()
    server.stop()
    assert gone(server.process.pid, server.port, fake) and "stopped" in repr(server)
    assert start() is not server


@pytest.mark.parametrize("end", ["return", "exception", "exit", "SIGTERM", "SIGKILL"])
def test_the_server_goes_with_the_process_that_started_it(fake, end):
    last = {"exception": "1 / 0", "exit": "import os; os._exit(1)", "return": ""}
    code = START + last.get(end, "import time; time.sleep(60)")
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    pid, port = map(int, process.stdout.readline().split())
    if end.startswith("SIG"):
        os.kill(process.pid, getattr(signal, end))
    process.wait(timeout=30)
    assert gone(pid, port, fake)


def _run(client, code):
    """Run code in a kernel and return what it prints."""
    said = []
    client.execute_interactive(
        code, timeout=60, output_hook=lambda m: said.append(m["content"].get("text", ""))
    )
    return "".join(said)


@pytest.mark.parametrize("end", ["restart", "shutdown", "kill"])
def test_a_kernel_is_interrupted_and_ended(fake, end):
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(fake))
    try:
        pid, port = map(int, _run(client, START).split())
        # or the kernel throws away what arrives in the moment after the error
        client.execute("import time; time.sleep(60)", stop_on_error=False)
        time.sleep(0.5)
        manager.interrupt_kernel()
        assert client.get_shell_msg(timeout=30)["content"]["ename"] == "KeyboardInterrupt"
        assert _run(client, "print(server.alive)").strip() == "True"
        assert _run(client, START).split() == [str(pid), str(port)]  # the cell, run again
        if end == "restart":
            manager.restart_kernel(now=True)
        elif end == "kill":
            os.kill(manager.provisioner.pid, signal.SIGKILL)
        else:
            manager.shutdown_kernel()
        assert gone(pid, port, fake)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_what_cannot_start_says_why(fake, tmp_path):
    with pytest.raises(serving.ServerError, match="make models"):
        serving.start(str(tmp_path))
    with pytest.raises(serving.ServerError, match="ended before it was ready: .*no such thing"):
        start("fail")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(serving.ServerError, match="is taken by another program"):
            start(port=other.getsockname()[1])
    with pytest.raises(serving.ServerError, match="has not answered for 1 seconds"):
        start("wait", seconds=1)
    assert not serving._running and not list(Path(fake / "tmp").glob("course-server-*"))
