import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.server.house import identity
from trimtab.errors import ConfigError, DataFolderLocked
from trimtab.server.local import LOG_FILE, LocalTransport
from trimtab.workspace.init import initialise
from trimtab.workspace.lock import FolderLock


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def transport(folder: Path) -> Iterator[LocalTransport]:
    key = initialise(folder).secrets["admin"]
    made = LocalTransport(folder, key)
    yield made
    made.close()


def push(transport: LocalTransport, name: str) -> tuple[int, object]:
    return transport.request(
        "POST", "/api/v1/push", {"items": [{"prompt": name, "identity": identity()}]}
    )


def test_a_folder_without_a_server_is_asked_through_the_same_routes(
    transport: LocalTransport,
) -> None:
    status, _ = push(transport, "support.reply")

    assert status == 200
    assert transport.request("GET", "/api/v1/prompts", None) == (
        200,
        {"prompts": ["support.reply"]},
    )


def test_a_move_is_served_from_the_moment_it_is_answered(transport: LocalTransport) -> None:
    push(transport, "support.reply")
    path = "/api/v1/environments/dev/prompts/support.reply/promotions"

    transport.request("POST", path, {"ref": "1.0.0", "expected_generation": 0, "why": "x"})

    asked = transport.request("GET", "/api/v1/history?environment=dev&prompt=support.reply", None)
    assert asked == (200, {"n_requests": 0})


def test_without_a_key_a_folder_is_read_and_not_changed(folder: Path) -> None:
    initialise(folder)
    transport = LocalTransport(folder, "")

    read, _ = transport.request("GET", "/api/v1/status", None)
    written, _ = push(transport, "support.reply")
    transport.close()

    assert (read, written) == (200, 401)


def test_a_wrong_key_reads_nothing(folder: Path) -> None:
    initialise(folder)
    transport = LocalTransport(folder, "tt_wrong")

    assert transport.request("GET", "/api/v1/status", None)[0] == 401
    transport.close()


def test_a_folder_in_use_is_refused_with_the_way_out(folder: Path) -> None:
    initialise(folder)
    lock = FolderLock(folder)

    with pytest.raises(DataFolderLocked, match="TRIMTAB_URL"):
        LocalTransport(folder, "")

    lock.release()
    LocalTransport(folder, "").close()


def test_a_damaged_folder_is_told_and_let_go_of(folder: Path) -> None:
    initialise(folder)
    (folder / "registry.db").write_bytes(b"no database" * 1000)

    with pytest.raises(ConfigError, match=r"registry\.db"):
        LocalTransport(folder, "")

    FolderLock(folder).release()


def test_a_failure_is_logged_into_the_folder_and_not_shown(
    transport: LocalTransport, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(sqlite3.connect(folder / "registry.db")) as damaged:
        damaged.execute("DROP TABLE eval_runs")

    status, document = transport.request("GET", "/api/v1/evals", None)

    assert status == 500
    assert isinstance(document, dict)
    assert str(folder / LOG_FILE) in document["detail"]
    assert "Traceback" in (folder / LOG_FILE).read_text()
    assert caplog.records[-1].levelno == logging.ERROR
