"""The demo's walk: push, promote through the gates, roll out a good and a harmful candidate."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from trimtab.cli.api import Api, pointer_path
from trimtab.cli.demo.processes import ProcessFailed
from trimtab.cli.demo.stage import Stage
from trimtab.errors import TrimtabError
from trimtab.evals.completion import openai_complete
from trimtab.evals.gate import judge
from trimtab.evals.report import EvalReport
from trimtab.evals.runner import candidate_of, run_suite
from trimtab.evals.suite import load_suite
from trimtab.prompts.files import build_set
from trimtab.prompts.template import compile_version
from trimtab.prompts.version import version_from_identity
from trimtab.prompts.yaml import read_yaml
from trimtab.providers.upstream import ProviderSettings, Upstream
from trimtab.sdk.files import read_folder

PROMPT = "support.reply"
HISTORY_WANTED = 700
ROLLOUT_S = 75.0
POLL_S = 0.25
ENDED = frozenset({"completed", "rolled_back", "aborted"})

Say = Callable[[str], None]
Shown = dict[str, Any]  # JSON as the routes give it


class Story:
    """Does what a team does, with the keys of two people: an author-operator and an approver."""

    def __init__(self, stage: Stage, examples: Path, *, say: Say) -> None:
        self._stage = stage
        self._examples = examples
        self._say = say
        self._admin: Api = stage.api("admin")
        self._approver: Api = stage.api("approver")
        self._reports: dict[str, EvalReport] = {}

    def push(self, folder: str, *, semver: str | None = None) -> None:
        """Register a folder of prompt files."""
        files = read_folder(self._examples / folder)
        items = [
            {
                "prompt": name,
                "identity": version.identity,
                "semver": semver if name == PROMPT else None,
                "meta": files[name].meta,
            }
            for name, version in build_set(files).items()
        ]
        found = self._admin.post("/api/v1/push", {"items": items})["registered"]
        for each in found:
            if each["created"]:
                self._say(
                    f"  registered {each['prompt']}@{each['version']}  sha {each['sha'][:12]}"
                )

    def evaluate(self, version: str) -> None:
        """Run the small suite on a version against the simulated provider and keep the result."""
        report, baseline = asyncio.run(self._run_suite(version))
        loaded = load_suite(self._examples / "evals/reply.yaml")
        result = judge(report, baseline, gate=loaded.suite.gate)
        self._admin.post(
            "/api/v1/evals",
            {
                "prompt": PROMPT,
                "version": version,
                "suite": report.suite,
                "suite_sha": report.suite_sha,
                "verdict": "pass" if result.passed else "fail",
                "scores": msgspec.to_builtins({"report": report, "gate": result}),
            },
        )
        verdict = "passed" if result.passed else f"failed: {'; '.join(result.reasons)}"
        self._say(f"  evaluation suite on {version}: {report.n_samples} samples, {verdict}")

    async def _run_suite(self, version: str) -> tuple[EvalReport, EvalReport | None]:
        shown = self._admin.get(f"/api/v1/prompts/{PROMPT}/versions/{version}")
        own = version_from_identity(shown["identity"])
        fragments = {sha: version_from_identity(body) for sha, body in shown["fragments"].items()}
        template = compile_version(own, fragments)
        upstream = Upstream(
            ProviderSettings(name="openai", base_url=f"{self._stage.provider_url}/v1")
        )
        try:
            report = await run_suite(
                load_suite(self._examples / "evals/reply.yaml"),
                candidate_of(PROMPT, own, template, semver=version),
                complete=openai_complete({"openai": upstream}),
                started_at=datetime.now(UTC),
            )
        finally:
            await upstream.close()
        baseline = next(iter(self._reports.values()), None)
        self._reports[version] = report
        return report, baseline

    def promote(self, prompt: str, version: str, environment: str) -> None:
        """Ask for a promotion; where it needs a second person, the approver agrees."""
        asked = self._admin.post(
            f"{pointer_path(environment, prompt)}/promotions",
            {
                "ref": version,
                "expected_generation": generation(self._admin, environment, prompt),
                "why": f"{version} for {environment}",
            },
        )
        if asked["status"] == "pending":
            for want in asked["missing"]:
                self._say(f"  {prompt}@{version} waits for {environment}: {want}")
            asked = self._approver.post(
                f"/api/v1/promotions/{asked['id']}/approvals", {"why": "read and tried it"}
            )
        if asked["status"] != "live":
            raise ProcessFailed(f"{prompt}@{version} did not go live in {environment}: {asked}")
        self._say(f"  {prompt}@{version} is live in {environment}")

    def wait_for_history(self) -> None:
        """Wait until the live version has enough requests behind it to compare with."""
        query = {"environment": "prod", "prompt": PROMPT}
        self._wait(
            lambda: self._admin.get("/api/v1/history", query)["n_requests"] >= HISTORY_WANTED,
            what=f"{HISTORY_WANTED} requests of history",
            timeout_s=30.0,
        )

    def start_rollout(self, plan_file: str) -> str:
        """Write a plan down, have it approved, start it; gives its id."""
        path = self._examples / "plans" / plan_file
        document = read_yaml(path.read_text(encoding="utf-8"), where=str(path))
        draft = self._admin.post("/api/v1/plans", {"document": document})
        plan_id = str(draft["plan"]["id"])
        for want in draft["missing"]:
            self._say(f"  the plan waits: {want}")
        self._approver.post(f"/api/v1/plans/{plan_id}/approvals", {"why": "small steps, guarded"})
        started = self._admin.post(f"/api/v1/plans/{plan_id}/start", {"why": "as approved"})
        for warning in started["warnings"]:
            self._say(f"  note: {warning}")
        return plan_id

    def watch(self, plan_id: str, *, on_view: Callable[[Shown], None]) -> Shown:
        """Follow a plan until it ends; says what the autopilot does and why."""
        said = 1
        report: Shown = {}

        def look() -> bool:
            nonlocal said, report
            report = self._admin.get(f"/api/v1/plans/{plan_id}")
            moves = report["detail"]["moves"]
            for move in moves[said:]:
                self._say(f"  {move['action'].replace('_', ' ')}: {move['why']}")
            said = len(moves)
            on_view(report)
            return report["detail"]["plan"]["status"] in ENDED

        self._wait(look, what=f"the end of plan {plan_id}", timeout_s=ROLLOUT_S)
        return report

    def report(self, plan_id: str) -> Shown:
        """The report of a plan."""
        return self._admin.get(f"/api/v1/plans/{plan_id}")

    def rollup(self) -> list[Shown]:
        """Sums by version in prod."""
        query = {"environment": "prod", "prompt": PROMPT}
        versions: list[Shown] = self._admin.get("/api/v1/rollup", query)["versions"]
        return versions

    def counters(self) -> Shown:
        """What the fold has counted."""
        return self._admin.get("/api/v1/counters")

    def _wait(self, done: Callable[[], bool], *, what: str, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if not self._stage.traffic.alive:
                raise ProcessFailed(f"the traffic ended; see {self._stage.logs}")
            try:
                if done():
                    return
            except TrimtabError:
                if self._stage.server.alive:
                    raise
            time.sleep(POLL_S)
        raise ProcessFailed(f"{what} did not come within {timeout_s:g} s; see {self._stage.logs}")


def generation(api: Api, environment: str, prompt: str) -> int:
    """The pointer's generation now; 0 where the prompt was never released."""
    found = api.get("/api/v1/status", {"environment": environment})["environments"][0]["prompts"]
    return next((int(each["generation"]) for each in found if each["prompt"] == prompt), 0)
