"""Following a plan until it has ended."""

import time

from trimtab.cli.api import JsonObject, segment
from trimtab.cli.options import Session
from trimtab.cli.plan_text import standing_line

ENDED = ("completed", "rolled_back", "aborted")
POLL_S = 1.0


def follow(session: Session, plan_id: str) -> JsonObject:
    """The last report of a plan; tells on stderr whenever it stands elsewhere."""
    path = f"/api/v1/plans/{segment(plan_id)}"
    told: tuple[object, ...] = ()
    while True:
        report = session.api.get(path)
        plan, now = report["detail"]["plan"], report["now"]
        stands = (plan["status"], plan["step"], now["assessment"]["verdict"] if now else None)
        if stands != told:
            session.out.note(standing_line(report))
            told = stands
        if plan["status"] in ENDED:
            return report
        time.sleep(POLL_S)
