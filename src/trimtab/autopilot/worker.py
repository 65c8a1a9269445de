"""The autopilot's threads: one folds and decides, one joins outcomes, one keeps the lake tidy."""

import threading
from collections.abc import Callable, Sequence

import msgspec

from trimtab.autopilot.complaints import Complaints


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Something to do again and again; `every_s` from end to start."""

    name: str
    every_s: float
    run: Callable[[], object]


class Worker:
    """Runs each job in a daemon thread of its own until it is stopped.

    A job that fails is logged and tried again at its next time: the others go on.
    """

    def __init__(self, jobs: Sequence[Job], *, complaints: Complaints | None = None) -> None:
        self._jobs = jobs
        self._complaints = complaints or Complaints()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start one thread a job."""
        for job in self._jobs:
            thread = threading.Thread(
                target=self._loop, args=(job,), name=f"trimtab-{job.name}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End the threads; a job under way is finished first."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=30.0)

    def _loop(self, job: Job) -> None:
        while not self._stop.is_set():
            about = f"the job {job.name!r}"
            try:
                job.run()
            except Exception as error:  # noqa: BLE001 - whatever it was, the next run may do
                self._complaints.add(about, error)
            else:
                self._complaints.settle(about)
            self._stop.wait(job.every_s)
