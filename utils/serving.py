"""A chat model behind an OpenAI-compatible API on this machine, gone when the notebook is.

`start(folder)` runs `transformers serve FOLDER` in a process of its own, on 127.0.0.1 and a free
port, and waits until it answers. That process holds one end of a pipe, its standard input, and the
notebook's kernel holds the other. However the kernel ends (shut down, restarted, killed), its end
closes, and the server takes that as the sign to go, its temporary folder with it. An interrupt of
the kernel does not reach the server.
"""

from __future__ import annotations

import atexit
import collections
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

HOST = "127.0.0.1"
_running: dict[str, Server] = {}


class ServerError(RuntimeError):
    """The server cannot be started; the message says why and what to do next."""


class Server:
    """A running server: `url` for the client's `base_url`, `model` for its `model`."""

    def __init__(self, process: subprocess.Popen, port: int, model: str) -> None:
        self.process, self.port, self.model = process, port, model
        self.url = f"http://{HOST}:{port}/v1"
        self._said: collections.deque[str] = collections.deque(maxlen=20)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stderr:
            self._said.append(line.decode("utf-8", "replace").rstrip())

    @property
    def alive(self) -> bool:
        """True while the process runs."""
        return self.process.poll() is None

    def stop(self) -> None:
        """End the server, and wait until it has gone. Harmless if it has gone already."""
        if _running.get(self.model) is self:
            del _running[self.model]
        with contextlib.suppress(OSError):
            self.process.stdin.close()  # the sign to go
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(timeout=1)
        self.process.stderr.close()

    def __repr__(self) -> str:
        state = f"at {self.url}" if self.alive else "stopped"
        return f"<server of {Path(self.model).name}, {state}>"


def start(folder: str, port: int | None = None, seconds: float = 120) -> Server:
    """Serve a model, and return when it answers; the server that already runs, if one does.

    Args:
        folder: a model's folder, as `models.path` gives it.
        port: where to listen (default: any port that is free).
        seconds: how long to wait for its first answer.

    Returns:
        The server. It ends with the kernel, or with `stop()`.

    Raises:
        ServerError: no model there, the port is taken, or no answer in time.
    """
    if not (Path(folder) / "config.json").is_file():
        raise ServerError(
            f"There is no model in {folder}. Run `make models` (python -m utils.models), and give "
            "`start` what `models.path` returns."
        )
    arguments = ["serve", str(folder), "--host", HOST, "--device", "cpu", "--log-level", "error"]
    return _start(str(folder), "transformers.cli.transformers", arguments, port, seconds)


def _start(
    model: str, module: str, arguments: list[str], port: int | None, seconds: float
) -> Server:
    """Run a module as a server: a test does it with one that is ready at once."""
    earlier = _running.get(model)
    if earlier and earlier.alive and port in (None, earlier.port):
        return earlier
    if earlier:
        earlier.stop()
    if port is None:
        port = _free_port()
    elif _answers(port):
        raise ServerError(
            f"Port {port} is taken by another program. Choose another, or leave `port` out: then a "
            "free one is found."
        )
    for name in "no_proxy", "NO_PROXY":  # nothing for this machine goes through a proxy
        hosts = [host for host in os.environ.get(name, "").split(",") if host]
        os.environ[name] = ",".join(dict.fromkeys([*hosts, HOST]))
    command = [sys.executable, "-m", "utils.serving", module, *arguments, "--port", str(port)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,  # out of reach of an interrupt
    )
    server = Server(process, port, model)
    _running[model] = server
    try:
        _wait_until_ready(server, seconds)
    except BaseException:  # an interrupt, too
        server.stop()
        raise
    return server


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _wait_until_ready(server: Server, seconds: float) -> None:
    end = time.monotonic() + seconds
    health = f"http://{HOST}:{server.port}/health"
    while time.monotonic() < end:
        if not server.alive:
            time.sleep(0.2)  # for its last words
            said = " ".join(list(server._said)[-3:]) or "it said nothing"
            raise ServerError(f"The server ended before it was ready: {said[-500:]}")
        with contextlib.suppress(OSError), urllib.request.urlopen(health, timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise ServerError(
        f"The server has not answered for {seconds:.0f} seconds, and was stopped. Close what else "
        "runs on this machine, and try again, with more `seconds` if it is slow."
    )


@atexit.register
def _stop_all() -> None:
    for server in list(_running.values()):
        server.stop()


def _until_the_kernel_ends(home: Path) -> None:
    """Wait for the end of standard input, then end this process whatever it is doing."""
    with contextlib.suppress(OSError):
        while os.read(0, 1024):
            pass
    shutil.rmtree(home, ignore_errors=True)
    os._exit(0)


def main() -> None:
    """What the server's process runs: a module's `main`, with these arguments, guarded."""
    module, *arguments = sys.argv[1:]
    home = Path(tempfile.mkdtemp(prefix="course-server-"))
    (home / "hub").mkdir()  # `/v1/models` looks into it
    os.environ |= {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    threading.Thread(target=_until_the_kernel_ends, args=(home,), daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        import importlib

        sys.argv = [module, *arguments]
        importlib.import_module(module).main()
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
