"""The command `trimtab demo`."""

import json
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from trimtab.cli.demo.chaos import Chaos
from trimtab.cli.demo.propagation import Propagation
from trimtab.cli.demo.stage import Stage
from trimtab.cli.demo.story import PROMPT, Story
from trimtab.cli.demo.summary import candidate, harmful, quantile, show
from trimtab.errors import TrimtabError

WIDTH = 160  # where no terminal says how wide it is
EXAMPLES = "examples/support"
CONTEXT = {"help_option_names": ["-h", "--help"]}

HELP = """From a prompt file to an automatic rollback on live traffic.

Starts a server, a simulated provider and a traffic process, each of its own. Pushes the prompts of
examples/support, promotes them through dev, staging and prod, sends about a hundred requests a
second through the gateway with the official openai client, rolls out a good candidate that climbs
and is promoted, and a harmful one that is stopped and taken back. Then stays up for you to look
around, unless --once.

Exit code 0 means that the good candidate was promoted and the harmful one rolled back.

\b
Examples:
  trimtab demo
  trimtab demo --once --json
  trimtab demo --once --chaos --seed 3
"""


@click.command(help=HELP, context_settings=CONTEXT)
@click.option("--once", is_flag=True, help="End when the story is told; do not stay up.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object last on stdout.")
@click.option("--chaos", is_flag=True, help="Kill the server once during each rollout.")
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Makes the traffic repeatable."
)
@click.option("--data", type=click.Path(path_type=Path), help="A new data folder, kept afterwards.")
@click.option("--port", type=int, default=0, help="The server's port; 0 takes a free one.")
@click.option("--rate", type=float, default=100.0, show_default=True, help="Requests a second.")
@click.option("--examples", type=click.Path(path_type=Path), help="Folder like examples/support.")
def demo(
    *,
    once: bool,
    as_json: bool,
    chaos: bool,
    seed: int,
    data: Path | None,
    port: int,
    rate: float,
    examples: Path | None,
) -> None:
    """Tell the story; the help text above is what users read."""
    console = Console(stderr=as_json, highlight=False)
    if not console.is_terminal:
        console = Console(stderr=as_json, highlight=False, width=WIDTH)
    try:
        with Stage(data, port=port, seed=seed, rate=rate) as stage:
            run = Run(stage, examples or find_examples(), console=console, chaos=chaos)
            result = run.tell()
            show(console, result, run.reports, url=stage.url)
            if as_json:
                click.echo(json.dumps(result))
            if not once:
                stay_up(stage, console)
    except TrimtabError as error:
        console.print(f"[bold red]trimtab demo:[/] {error}")
        sys.exit(2)
    sys.exit(0 if result["as_expected"] else 1)


class Run:
    """One telling of the story; `reports` are those of the good and the harmful candidate."""

    def __init__(self, stage: Stage, examples: Path, *, console: Console, chaos: bool) -> None:
        self._stage = stage
        self._examples = examples
        self._console = console
        self._chaos = Chaos(stage, armed=chaos)
        self._started = time.monotonic()
        self.reports: list[dict[str, Any]] = []

    def tell(self) -> dict[str, Any]:
        """All of it; gives the numbers."""
        stage = self._stage
        self._head("starting the server and the simulated provider, each a process of its own")
        stage.open()
        self._say(f"  dashboard: {stage.url}/  ·  data: {stage.folder}")
        story = Story(stage, self._examples, say=self._say)
        self._head("pushing the prompt files and promoting 1.0.0 through the gates")
        self._first_release(story)
        self._head("traffic: conversations at a fixed rate, through the gateway")
        stage.start_traffic()
        moves = Propagation(stage.api("admin"), url=stage.url, key=stage.secrets["app-dev"])
        moves.start()
        self._roll_out(story, "1.1.0", "a good candidate")
        self._roll_out(story, "1.2.0", "a harmful candidate")
        delays = moves.finish()
        traffic = stage.stop_traffic()
        return self._result(story, delays, traffic)

    def _first_release(self, story: Story) -> None:
        story.push("prompts")
        story.promote(PROMPT, "1.0.0", "dev")
        story.evaluate("1.0.0")
        for environment in ("staging", "prod"):
            story.promote(PROMPT, "1.0.0", environment)

    def _roll_out(self, story: Story, version: str, what: str) -> None:
        self._head(f"{what}, {version}: a written plan, approved, then left to the autopilot")
        story.push(f"candidates/{version}", semver=version)
        story.promote(PROMPT, version, "dev")
        story.evaluate(version)
        story.promote(PROMPT, version, "staging")
        story.wait_for_history()
        plan_id = story.start_rollout(f"reply-{version}.yaml")
        self.reports.append(story.watch(plan_id, on_view=self._on_view))

    def _on_view(self, report: dict[str, Any]) -> None:
        if self._chaos.look(report):
            self._say("  [bold]chaos:[/] killed the server process; it is back and goes on")

    def _result(self, story: Story, delays: list[float], traffic: dict[str, Any]) -> dict[str, Any]:
        reports = [story.report(each["detail"]["plan"]["id"]) for each in self.reports]
        self.reports = reports
        good, bad = candidate(reports[0]), harmful(reports[1])
        counters = story.counters()
        acknowledged = traffic.get("feedback", {}).get("acknowledged", 0)
        lost = max(acknowledged - counters["fold"]["outcomes"], 0)
        expected = good["outcome"] == "promoted" and bad["outcome"] == "rolled_back" and not lost
        return {
            "as_expected": expected,
            "requests": traffic.get("sent", 0),
            "failed_requests": traffic.get("failed", 0),
            "good": good,
            "harmful": bad,
            "propagation_ms": {
                "p50": quantile(delays, 0.5),
                "p99": quantile(delays, 0.99),
                "n": len(delays),
            },
            "rollup_by_version": story.rollup(),
            "traffic": traffic,
            "acknowledged_events": {"sent": acknowledged, "lost": lost},
            "answered": {
                "requests": traffic.get("ok", 0) + traffic.get("provider_errors", 0),
                "events": counters["requests"].get("prod", 0),
            },
            "counters": counters,
            "server_kills": self._chaos.kills,
            "seconds": round(time.monotonic() - self._started, 1),
        }

    def _head(self, text: str) -> None:
        elapsed = time.monotonic() - self._started
        self._console.print(f"[bold]{elapsed:5.1f} s[/]  [bold]{text}[/]")

    def _say(self, text: str) -> None:
        self._console.print(f"         {text}", soft_wrap=True)


def find_examples() -> Path:
    """The examples folder: here, or beside the installed sources.

    Raises:
        TrimtabError: It is at neither place.
    """
    here = Path(EXAMPLES)
    beside = Path(__file__).resolve().parents[4] / EXAMPLES
    for place in (here, beside):
        if (place / "prompts").is_dir():
            return place
    raise TrimtabError(
        f"no folder {here} here; run the demo in a checkout, or name one with --examples"
    )


def stay_up(stage: Stage, console: Console) -> None:
    """Keep serving, with traffic, until SIGINT or SIGTERM."""
    keys = stage.write_keys()
    stage.start_traffic()
    console.print(f"Traffic goes on. Keys: {keys}. End with Ctrl-C.")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    while not stop.wait(0.5):
        if not stage.server.alive:
            raise TrimtabError(f"the server ended; see {stage.logs}")
