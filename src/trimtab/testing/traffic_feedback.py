"""Sending the users' thumbs to the server, as an application does with its own feedback."""

import os
import time
from datetime import UTC, datetime

import httpx2
import msgspec

from trimtab.events.ids import uuid7
from trimtab.events.schema import Feedback

_FEEDBACK_BATCH = 500


class FeedbackSender:
    """Thumbs on their way to the server: sent in batches, again until they are acknowledged."""

    def __init__(self, http: httpx2.AsyncClient, url: str, *, prompt: str) -> None:
        self._http = http
        self._url = url
        self._prompt = prompt
        self._waiting: list[Feedback] = []
        self.given = 0
        self.acknowledged = 0
        self.rejected = 0

    def give(self, request_id: str, verdict: str, *, thread_id: str) -> None:
        """Queue one thumb about one request."""
        self.given += 1
        self._waiting.append(
            Feedback(
                event_id=uuid7(time.time_ns(), os.urandom(10)),
                occurred_at=datetime.now(UTC).isoformat(timespec="microseconds"),
                prompt=self._prompt,
                service="demo-traffic",
                request_id=request_id,
                thread_id=thread_id,
                name="thumb",
                value=1.0 if verdict == "up" else 0.0,
                label=verdict,
            )
        )

    async def flush(self) -> None:
        """Send what waits; what the server does not acknowledge stays for the next time."""
        while batch := self._waiting[:_FEEDBACK_BATCH]:
            try:
                answer = await self._http.post(
                    self._url,
                    content=msgspec.json.encode(batch),
                    headers={"content-type": "application/json"},
                )
            except httpx2.TransportError:
                return
            if answer.status_code >= 500 or answer.status_code == 429:
                return
            del self._waiting[: len(batch)]
            if answer.is_success:
                self.acknowledged += len(batch)
            else:
                self.rejected += len(batch)

    def counts(self) -> dict[str, int]:
        """Thumbs given, acknowledged and rejected so far."""
        return {
            "given": self.given,
            "acknowledged": self.acknowledged,
            "rejected": self.rejected,
        }
