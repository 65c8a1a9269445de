"""The demo's processes: provider, server and traffic, which talk over sockets only."""

import json
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trimtab.errors import ServerUnreachable, TrimtabError

READY_S = 30.0
STOP_S = 15.0


class ProcessFailed(TrimtabError):
    """A process of the demo ended or never got ready; the message names its log."""

    code = "process_failed"


class Process:
    """One child process that writes JSON lines; stderr goes to a log file."""

    def __init__(self, name: str, arguments: Sequence[str], *, log: Path) -> None:
        self.name = name
        self._arguments = [sys.executable, *arguments]
        self._log = log
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        self._child: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        """Start it, or start it again."""
        with self._log.open("ab") as errors:
            self._child = subprocess.Popen(  # noqa: S603 - our own modules
                self._arguments, stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL
            )
        self._reader = threading.Thread(target=self._read, args=(self._child,), daemon=True)
        self._reader.start()

    def line(self, *, timeout_s: float = READY_S) -> dict[str, Any]:
        """The next JSON line it writes.

        Raises:
            ProcessFailed: It ended, or wrote nothing in time.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                return self._lines.get(timeout=0.1)
            except queue.Empty:
                if self._child is not None and self._child.poll() is not None:
                    break
        raise ProcessFailed(f"the {self.name} said nothing for {timeout_s:g} s; see {self._log}")

    def newest(self) -> dict[str, Any] | None:
        """The newest line that is waiting, if any; older ones are dropped."""
        newest = None
        while not self._lines.empty():
            newest = self._lines.get()
        return newest

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._finish_reading(self._child)

    def terminate(self) -> int | None:
        """SIGTERM, then SIGKILL if that does not help; gives the exit code."""
        child = self._child
        if child is None:
            return None
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()
        self._finish_reading(child)
        return child.returncode

    @property
    def pid(self) -> int:
        """Its process id; 0 before it was started."""
        return self._child.pid if self._child is not None else 0

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._child is not None and self._child.poll() is None

    def _finish_reading(self, child: subprocess.Popen[bytes]) -> None:
        if self._reader is not None:
            self._reader.join(STOP_S)
        if child.stdout is not None:
            child.stdout.close()

    def _read(self, child: subprocess.Popen[bytes]) -> None:
        for raw in child.stdout or ():
            try:
                line = json.loads(raw)
            except ValueError:
                continue  # a library's own print; the log has what matters
            if isinstance(line, dict):
                self._lines.put(line)


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_ready(url: str, process: Process, *, timeout_s: float = READY_S) -> None:
    """Wait until a server answers `/readyz`.

    Raises:
        ServerUnreachable: It did not within the time, or ended.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and process.alive:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=1.0):  # noqa: S310 - our own http
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise ServerUnreachable(f"the {process.name} at {url} did not get ready in {timeout_s:g} s")
