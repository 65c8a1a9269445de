"""The calls being answered now: each ends when its caller hangs up or the server stops."""

import asyncio
from collections.abc import Callable, Coroutine

from trimtab.errors import TrimtabError
from trimtab.gateway.http import ClientGone, Message, Receive, Send


class ServerEnding(TrimtabError):
    """The server was told to stop while the call was running."""

    status = 503
    code = "server_ending"


class Answering:
    """An ASGI `send` that remembers how far the answer got."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        self.complete = False

    async def __call__(self, message: Message) -> None:
        """Pass a message on."""
        self.started = True
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.complete = True
        await self._send(message)


class OpenCalls:
    """Runs the work of calls; one task a call watches whether the caller is still there."""

    def __init__(self) -> None:
        self._cuts: set[Callable[[], None]] = set()
        self._ending = False

    def __len__(self) -> int:
        return len(self._cuts)

    def cut(self) -> None:
        """End every call that runs, and each that would begin; call it in the event loop."""
        self._ending = True
        for cut in list(self._cuts):
            cut()

    async def run(self, receive: Receive, work: Coroutine[None, None, None]) -> None:
        """Do the work unless the caller hangs up or the server ends first; then it is cancelled.

        Raises:
            ClientGone: The caller hung up.
            ServerEnding: The server stops.
        """
        task = asyncio.current_task()
        if task is None or self._ending:
            work.close()
            raise ServerEnding("the server is stopping; send the request again")
        reasons: list[Exception] = []

        def cancel(reason: Exception) -> None:
            if not reasons:
                reasons.append(reason)
                task.cancel()

        def cut() -> None:
            cancel(ServerEnding("the server is stopping; send the request again"))

        self._cuts.add(cut)
        watcher = asyncio.create_task(_watch(receive, cancel))
        try:
            await work
        except asyncio.CancelledError:
            if not reasons:
                raise
            task.uncancel()
            raise reasons[0] from None
        finally:
            self._cuts.discard(cut)
            watcher.cancel()


async def _watch(receive: Receive, cancel: Callable[[Exception], None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    cancel(ClientGone())
