import asyncio
import threading

import pytest

from trimtab.errors import UnknownEnvironment
from trimtab.server.delivery import sse_event
from trimtab.server.hub import Edition, Hub


class Source:
    """Editions with a revision the test sets."""

    def __init__(self) -> None:
        self.revision = 1

    def __call__(self, environment: str) -> Edition:
        return Edition(
            environment,
            lineage="lineage",
            revision=self.revision,
            decision=b"{%d}" % self.revision,
            full=lambda: b"full",
        )


def test_an_older_edition_never_replaces_a_newer_one() -> None:
    source = Source()
    hub = Hub(source)
    for revision in (2, 1):
        source.revision = revision
        hub.publish("prod")

    assert hub.edition("prod").revision == 2


def test_an_environment_that_does_not_exist_is_named() -> None:
    hub = Hub(Source())
    hub.publish("prod")

    with pytest.raises(UnknownEnvironment, match="'nowhere'; there are prod"):
        hub.edition("nowhere")


def test_the_tag_differs_by_what_a_scope_reads() -> None:
    edition = Source()("prod")

    assert edition.etag("decide") != edition.etag("render")
    assert edition.etag("decide") == Source()("prod").etag("decide")


def test_an_event_is_made_once_for_all_readers() -> None:
    edition = Source()("prod")

    assert edition.as_event(b"x", sse_event) is edition.as_event(b"x", sse_event)


def test_a_publish_from_another_thread_wakes_all_who_wait() -> None:
    source = Source()
    hub = Hub(source)

    async def main() -> list[int | None]:
        hub.attach(asyncio.get_running_loop())
        hub.publish("prod")
        waits = [hub.changed("prod", after=1, timeout_s=5) for _ in range(50)]
        waiting = asyncio.gather(*waits)
        await asyncio.sleep(0)
        source.revision = 2
        thread = threading.Thread(target=hub.publish, args=("prod",))
        thread.start()
        found = await waiting
        thread.join()
        return [edition.revision if edition else None for edition in found]

    assert asyncio.run(main()) == [2] * 50


def test_nobody_waits_longer_than_asked_nor_for_a_closing_hub() -> None:
    hub = Hub(Source())

    async def main() -> list[Edition | None]:
        hub.attach(asyncio.get_running_loop())
        hub.publish("prod")
        late = await hub.changed("prod", after=1, timeout_s=0.01)
        waiting = asyncio.gather(hub.changed("prod", after=1, timeout_s=5))
        await asyncio.sleep(0)
        hub.close()
        return [late, *await waiting, await hub.changed("prod", after=0, timeout_s=5)]

    assert asyncio.run(main()) == [None, None, None]
