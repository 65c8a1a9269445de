"""The lake: all events that ever were, and what is asked of them."""

from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from trimtab.events.compaction import CompactReport, Step, compact
from trimtab.events.evidence import CommitRange, Evidence
from trimtab.events.fold import Piece
from trimtab.events.ids import uuid7_time
from trimtab.events.manifest import Manifest
from trimtab.events.replay import replay
from trimtab.events.rollup import VersionRollup
from trimtab.events.schema import KINDS
from trimtab.events.tally import COUNTED, FAILED
from trimtab.events.view import EventView, day_before

CALLS = ("exposure", "generation")


class RequestFacts(msgspec.Struct, frozen=True, kw_only=True):
    """How one request was served; plan fields are None where no plan decided."""

    request_id: str
    environment: str
    prompt: str | None
    version: str | None
    sha: str | None
    plan_id: str | None
    epoch: int | None
    variant: str | None
    unit_kind: str | None
    unit_key: str | None


class FeedbackRollup(msgspec.Struct, frozen=True, kw_only=True):
    """Feedback of one name and label on one version; `mean_value` None without values."""

    prompt: str
    version: str
    sha: str
    name: str
    label: str | None
    n: int
    mean_value: float | None


class PlanExposures(msgspec.Struct, frozen=True, kw_only=True):
    """Distinct units and requests of a plan's sides, by the time the server received them."""

    treated_units: int
    treated_requests: int
    control_units: int
    control_requests: int
    first_treated_at: datetime | None


class Lake:
    """Parquet and journals of a data folder, asked as one.

    Args:
        folder: The lake: manifest and `kind=/day=`; made by the first compaction.
        journals: Where journals lie.
    """

    def __init__(self, folder: Path, *, journals: Path) -> None:
        self.folder = folder
        self.journals = journals
        self._view = EventView(folder, journals)

    def close(self) -> None:
        """Free the memory."""
        self._view.close()

    def compact(self, evidence: Evidence, *, step: Step = lambda _: None) -> CompactReport:
        """Move sealed, folded journals into Parquet; see `events.compaction`."""
        return compact(self.folder, self.journals, evidence, step=step)

    def rollup_by_version(
        self,
        environment: str | None = None,
        *,
        prompt: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[VersionRollup]:
        """Sums of each version that occurred in `[since, until)`, most requests first."""
        rows = self._view.query(
            """
            SELECT coalesce(prompt, '') AS prompt, coalesce(max(version), '') AS version,
              coalesce(sha, '') AS sha, count(*) AS n,
              avg(latency_ms) FILTER (status IN $counted) AS mean_latency_ms,
              quantile_disc(latency_ms, 0.95) FILTER (status IN $counted) AS p95_latency_ms,
              CAST(coalesce(sum(input_tokens), 0) AS BIGINT) AS input_tokens,
              CAST(coalesce(sum(output_tokens), 0) AS BIGINT) AS output_tokens,
              sum(cost_usd) AS cost_usd, avg(CAST(flagged AS INTEGER)) AS flagged_rate,
              avg(CAST(status IN $failed AS INTEGER)) FILTER (status IN $counted) AS error_rate
            FROM events
            WHERE ($environment IS NULL OR environment = $environment)
              AND ($prompt IS NULL OR prompt = $prompt)
              AND ($from IS NULL OR occurred_at >= $from) AND ($to IS NULL OR occurred_at < $to)
            GROUP BY ALL ORDER BY n DESC, prompt, sha
            """,
            {
                "counted": sorted(COUNTED),
                "failed": sorted(FAILED),
                "environment": environment,
                "prompt": prompt,
                "from": _naive(since),
                "to": _naive(until),
            },
            kinds=["generation"],
            since=None if since is None else day_before(since.astimezone(UTC).date()),
        )
        return [VersionRollup(**row) for row in rows]

    def feedback_by_version(
        self, environment: str | None = None, *, prompt: str | None = None
    ) -> list[FeedbackRollup]:
        """Feedback counted by the version that served its request."""
        rows = self._view.query(
            """
            SELECT coalesce(g.prompt, f.prompt, '') AS prompt,
              coalesce(g.version, f.version, '') AS version, coalesce(g.sha, f.sha, '') AS sha,
              f.name, f.label, count(*) AS n, avg(f.value) AS mean_value
            FROM events f LEFT JOIN (
              SELECT request_id, environment, any_value(prompt) AS prompt,
                any_value(version) AS version, any_value(sha) AS sha
              FROM events WHERE kind = 'generation' AND request_id IS NOT NULL GROUP BY ALL
            ) g ON f.request_id = g.request_id AND f.environment = g.environment
            WHERE f.kind = 'feedback' AND ($environment IS NULL OR f.environment = $environment)
              AND ($prompt IS NULL OR coalesce(g.prompt, f.prompt) = $prompt)
            GROUP BY ALL ORDER BY ALL
            """,
            {"environment": environment, "prompt": prompt},
            kinds=["generation", "feedback"],
        )
        return [FeedbackRollup(**row) for row in rows]

    def find_requests(
        self, request_ids: Collection[str], *, since: date | None = None
    ) -> dict[str, RequestFacts]:
        """How these requests were served; those that are not known are left out.

        Args:
            request_ids: UUIDv7 name the day they were made on, and no other is read.
            since: First day to look for ids of another form; None looks everywhere.
        """
        dated = {one: made.date() for one in request_ids if (made := uuid7_time(one)) is not None}
        others = [one for one in request_ids if one not in dated]
        found: dict[str, RequestFacts] = {}
        for day in sorted(set(dated.values())):
            ids = [one for one, made in dated.items() if made == day]
            found |= self._requests(ids, since=day_before(day))
        if others:
            found |= self._requests(others, since=since)
        return found

    def _requests(self, ids: list[str], *, since: date | None) -> dict[str, RequestFacts]:
        fields = ", ".join(RequestFacts.__struct_fields__)
        rows = self._view.query(
            f"SELECT {fields} FROM events QUALIFY"  # noqa: S608 - our own names
            " row_number() OVER (PARTITION BY request_id ORDER BY kind DESC, received_at) = 1",
            {"ids": ids},
            kinds=CALLS,
            where="list_contains($ids, request_id)",
            since=since,
        )
        return {row["request_id"]: RequestFacts(**row) for row in rows}

    # Any: the columns of all kinds.
    def events_of(self, request_id: str) -> list[dict[str, Any]]:
        """Every event of a request in the order they happened; columns without a value left out."""
        made = uuid7_time(request_id)
        rows = self._view.query(
            'SELECT * EXCLUDE (day, journal, "offset") FROM events'
            " ORDER BY occurred_at, received_at, event_id",
            {"id": request_id},
            kinds=KINDS,
            where="request_id = $id",
            since=None if made is None else day_before(made.date()),
        )
        return [_known(row) for row in rows]

    def events_of_unit(self, unit_key: str, *, limit: int = 100) -> list[dict[str, Any]]:
        """The newest events of a unit, newest first."""
        rows = self._view.query(
            'SELECT * EXCLUDE (day, journal, "offset") FROM events WHERE unit_key = $key'
            " ORDER BY occurred_at DESC, event_id DESC LIMIT $limit",
            {"key": unit_key, "limit": limit},
            kinds=KINDS,
            where="unit_key = $key",
        )
        return [_known(row) for row in rows]

    def plan_exposures(
        self, plan_id: str, *, since: date | None = None, until: datetime | None = None
    ) -> PlanExposures:
        """Who had met a plan's sides before the server's clock showed `until`.

        Args:
            plan_id: Which plan.
            since: The day it started; no earlier day is read.
            until: None = now.
        """
        rows = self._view.query(
            """
            SELECT count(DISTINCT unit_key) FILTER (variant = 'treatment') AS treated_units,
              count(DISTINCT coalesce(request_id, event_id)) FILTER (variant = 'treatment')
                AS treated_requests,
              count(DISTINCT unit_key) FILTER (variant = 'control') AS control_units,
              count(DISTINCT coalesce(request_id, event_id)) FILTER (variant = 'control')
                AS control_requests,
              min(received_at) FILTER (variant = 'treatment') AS first_treated_at
            FROM events WHERE $until IS NULL OR received_at < $until
            """,
            {"plan": plan_id, "until": _naive(until)},
            kinds=CALLS,
            where="plan_id = $plan",
            since=None if since is None else day_before(since),
            until=None if until is None else until.astimezone(UTC).date() + timedelta(days=1),
        )
        first = rows[0].pop("first_treated_at")
        return PlanExposures(**rows[0], first_treated_at=_aware(first))

    def count_requests(self, *, prompt: str | None = None) -> dict[str, int]:
        """Generations by environment."""
        rows = self._view.query(
            "SELECT environment, count(*) AS n FROM events"
            " WHERE ($prompt IS NULL OR prompt = $prompt) GROUP BY ALL ORDER BY ALL",
            {"prompt": prompt},
            kinds=["generation"],
        )
        return {row["environment"]: row["n"] for row in rows}

    def commits(self) -> list[CommitRange]:
        """The folded ranges of all compacted journals, in their order."""
        entries = Manifest(self.folder / "manifest.jsonl").read().values()
        return sorted((one for entry in entries for one in entry.commits), key=lambda one: one.seq)

    def pieces(self, one: CommitRange) -> Iterator[Piece]:
        """A folded range of a compacted journal, to be folded again."""
        entry = Manifest(self.folder / "manifest.jsonl").read()[one.journal]
        return replay([self.folder / file.path for file in entry.files], one)


def _known(row: dict[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in row.items() if value is not None}
    for name in ("occurred_at", "received_at"):
        known[name] = _aware(known.get(name))
    for name in ("attributes", "extra", "metrics"):
        if name in known:
            known[name] = msgspec.json.decode(known[name])
    return known


def _naive(instant: datetime | None) -> datetime | None:
    """As TIMESTAMP columns hold it: UTC without saying so."""
    return None if instant is None else instant.astimezone(UTC).replace(tzinfo=None)


def _aware(instant: datetime | None) -> datetime | None:
    return None if instant is None else instant.replace(tzinfo=UTC)
