from collections.abc import Iterator
from pathlib import Path

import pytest

from trimtab.errors import ConfigError, DataFolderLocked, NotFound, UnknownEnvironment
from trimtab.prompts.version import Version, version_from_identity
from trimtab.registry.principals import Principal
from trimtab.registry.registration import NewVersion
from trimtab.sdk.columns import new_id
from trimtab.workspace import Workspace
from trimtab.workspace.init import initialise
from trimtab.workspace.lock import FolderLock
from trimtab.workspace.workspace import new_secret, now

PROMPT = "support.reply"


class Team:
    """A folder with one prompt live in dev."""

    def __init__(self, folder: Path) -> None:
        secrets = initialise(folder).secrets
        self.workspace = Workspace.open(folder)
        self.admin: Principal = self.workspace.authenticate(secrets["admin"])
        self.live = self.release("Be brief.", generation=0)

    def release(self, text: str, *, generation: int) -> Version:
        """Register a version and make it live in dev."""
        version = version_from_identity(
            {
                "model": "openai/gpt-4o-2024-11-20",
                "messages": [{"role": "system", "template": text}],
            }
        )
        registry = self.workspace.registry
        registry.registration.register_set(self.admin, [NewVersion(prompt=PROMPT, version=version)])
        registry.promotions.request(
            self.admin,
            environment="dev",
            prompt=PROMPT,
            version=f"sha:{version.sha}",
            expected_generation=generation,
        )
        return version

    def generation(self, **columns: object) -> dict[str, object]:
        """One event of the gateway's."""
        return {
            "kind": "generation",
            "event_id": new_id(),
            "occurred_at": now().isoformat(),
            "environment": "dev",
            "prompt": PROMPT,
            "sha": self.live.sha,
            "version": "1.0.0",
            "status": "ok",
            "latency_ms": 120.0,
            **columns,
        }


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    made = Team(tmp_path / "data")
    yield made
    made.workspace.stop()


def test_a_folder_that_is_none_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="trimtab init"):
        Workspace.open(tmp_path / "nowhere")

    assert not (tmp_path / "nowhere").exists()


def test_a_folder_in_use_is_refused_and_free_again_afterwards(tmp_path: Path) -> None:
    initialise(tmp_path)
    first = Workspace.open(tmp_path)

    with pytest.raises(DataFolderLocked):
        Workspace.open(tmp_path)

    first.stop()
    Workspace.open(tmp_path).stop()


def test_a_registry_that_is_damaged_is_told_and_the_lock_let_go(tmp_path: Path) -> None:
    initialise(tmp_path)
    (tmp_path / "registry.db").write_bytes(b"not a database" * 500)

    with pytest.raises(ConfigError, match=r"registry\.db"):
        Workspace.open(tmp_path)

    FolderLock(tmp_path).release()


def test_started_it_serves_every_environment_and_tells_of_each_change(team: Team) -> None:
    published: list[str] = []
    team.workspace.start(published.append)

    second = team.release("Be kind.", generation=1)

    block = team.workspace.snapshot("dev").block
    assert published == ["dev", "staging", "prod", "dev"]
    assert block.prompts[PROMPT].live == second.sha
    assert team.workspace.ready


def test_an_older_revision_never_replaces_a_newer_one(team: Team) -> None:
    newest = team.workspace.serving.refresh("dev")

    assert team.workspace.serving.refresh("dev") is newest


def test_an_unknown_environment_names_those_there_are(team: Team) -> None:
    team.workspace.serving.refresh("dev")

    with pytest.raises(UnknownEnvironment, match="there are dev"):
        team.workspace.snapshot("nowhere")


def test_an_event_of_our_own_is_kept_and_explained(team: Team) -> None:
    request_id = new_id()

    team.workspace.record(team.generation(request_id=request_id, unit_id="user-1"))

    told = team.workspace.explain(request_id)
    assert told["decision"]["sha"] == team.live.sha
    assert told["version"].version == "1.0.0"
    assert told["generation"]["unit_key"] == team.workspace.unit_key("user", "user-1")
    assert "user-1" not in str(told)


def test_an_event_that_is_none_is_refused(team: Team) -> None:
    with pytest.raises(ConfigError, match="refused"):
        team.workspace.record(team.generation(status="perhaps"))


def test_a_request_nobody_heard_of_is_told_as_such(team: Team) -> None:
    with pytest.raises(NotFound, match="no event names the request 'x'"):
        team.workspace.explain("x")


def test_history_counts_what_the_live_version_did(team: Team) -> None:
    team.workspace.serving.refresh("dev")
    for number in range(3):
        team.workspace.record(team.generation(flagged=number == 0))

    team.workspace.fold()
    found = team.workspace.history("dev", PROMPT)

    assert found is not None
    assert found.n_requests == 3


def test_a_prompt_without_a_live_version_has_no_history(team: Team) -> None:
    team.workspace.serving.refresh("prod")

    assert team.workspace.history("prod", PROMPT) is None


def test_a_known_model_has_a_price_and_an_unknown_one_none(team: Team) -> None:
    usage = {"input_tokens": 1000, "output_tokens": 100}

    priced = team.workspace.price("openai", "gpt-4o-2024-11-20", usage)

    assert priced["cost_usd"] > 0
    assert priced["price_source"]
    assert team.workspace.price("openai", "gpt-99", usage) == {}


def test_a_body_is_found_by_its_sha_or_is_none(team: Team) -> None:
    assert team.workspace.body(team.live.sha) is not None
    assert team.workspace.body("0" * 64) is None


def test_ids_and_secrets_are_new_each_time() -> None:
    assert len({new_id() for _ in range(1000)}) == 1000
    assert len({new_secret() for _ in range(100)}) == 100
    assert new_secret().startswith("tt_")


def test_evidence_that_is_gone_is_made_anew_from_the_lake(team: Team, tmp_path: Path) -> None:
    workspace = team.workspace
    for _ in range(20):
        workspace.record(team.generation())
    workspace.journal.close()
    workspace.fold()
    workspace.lake.compact(workspace.evidence)
    before = workspace.evidence.rollup("dev")
    workspace.stop()
    for path in (tmp_path / "data").glob("evidence.db*"):
        path.unlink()

    team.workspace = Workspace.open(tmp_path / "data")

    assert before[0].n == 20
    assert team.workspace.evidence.rollup("dev") == before
