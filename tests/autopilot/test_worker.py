import logging
import threading

import pytest

from trimtab.autopilot.complaints import EVERY_S, Complaints
from trimtab.autopilot.worker import Job, Worker

LONG_S = 20.0


class Runs:
    """Counts the runs of a job and tells when enough have been seen."""

    def __init__(self, wanted: int, *, fails: bool = False) -> None:
        self.n = 0
        self.enough = threading.Event()
        self._wanted = wanted
        self._fails = fails

    def __call__(self) -> None:
        self.n += 1
        if self.n >= self._wanted:
            self.enough.set()
        if self._fails:
            raise OSError("the disk is full")


def test_jobs_run_again_and_again_until_they_are_stopped() -> None:
    runs = Runs(3)
    worker = Worker([Job(name="fold", every_s=0.0, run=runs)])

    worker.start()
    assert runs.enough.wait(LONG_S)
    worker.stop()

    after = runs.n
    assert after >= 3
    assert not [one for one in threading.enumerate() if one.name == "trimtab-fold"]
    assert runs.n == after


def test_a_job_that_fails_is_tried_again_and_stops_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad, good = Runs(3, fails=True), Runs(3)
    worker = Worker(
        [Job(name="bad", every_s=0.0, run=bad), Job(name="good", every_s=0.0, run=good)]
    )

    worker.start()
    assert bad.enough.wait(LONG_S)
    assert good.enough.wait(LONG_S)
    worker.stop()

    [record] = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert record.message == "the job 'bad' failed, and is tried again: OSError: the disk is full"
    assert record.exc_info is not None


def test_the_same_complaint_is_made_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 100.0
    complaints = Complaints(clock=lambda: now)

    for _ in range(10):
        complaints.add("a job", OSError("full"))
    complaints.add("another job", OSError("full"))
    complaints.add("a job", OSError("gone"))
    now += EVERY_S
    complaints.add("a job", OSError("gone"))

    assert [one.message.rsplit(maxsplit=1)[1] for one in caplog.records] == [
        "full",
        "full",
        "gone",
        "gone",
    ]


def test_a_failure_after_a_success_is_news(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    complaints = Complaints(clock=lambda: 100.0)

    complaints.add("a job", OSError("full"))
    complaints.settle("a job")
    complaints.settle("a job")
    complaints.add("a job", OSError("full"))

    assert [one.levelname for one in caplog.records] == ["ERROR", "INFO", "ERROR"]
