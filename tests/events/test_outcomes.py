from datetime import timedelta
from pathlib import Path

import pytest

from trimtab.events.evidence import Evidence
from trimtab.events.fold import Fold
from trimtab.events.lake import Lake
from trimtab.events.outcomes import OutcomeReport, Outcomes

from .samples import NOW, PLAN_ID, Sender, Sent, lines_of, plans, write_journal


class Station:
    """Journals, fold and outcomes of one data folder."""

    def __init__(self, folder: Path) -> None:
        self._journals = folder / "journals"
        self.evidence = Evidence(folder / "evidence.db")
        lake = Lake(folder / "lake", journals=self._journals)
        self._fold = Fold(self.evidence, self._journals, plans=plans)
        self._outcomes = Outcomes(self.evidence, lake)

    def send(self, *events: Sent, environment: str = "prod") -> None:
        write_journal(self._journals, lines_of(events, environment=environment))
        self._fold.step()

    def step(self, *, after_s: float = 0.0) -> OutcomeReport:
        return self._outcomes.step(NOW + timedelta(seconds=after_s))

    def totals(self) -> list[tuple[int, str, str, int, float]]:
        return [
            (one.epoch, one.variant, one.name, one.n, one.total)
            for one in self.evidence.outcomes([PLAN_ID])
        ]


@pytest.fixture
def station(tmp_path: Path) -> Station:
    return Station(tmp_path)


def test_an_outcome_with_a_request_id_counts_for_its_variant(station: Station) -> None:
    sender = Sender()
    request = sender.event_id()
    station.send(
        sender.generation("u", "treatment", 2, request_id=request),
        sender.event("feedback", name="thumb", value=-1.0, request_id=request),
    )

    assert station.step() == OutcomeReport(joined=1)
    assert station.totals() == [(2, "treatment", "thumb", 1, -1.0)]


def test_an_outcome_with_a_unit_id_counts_for_its_first_exposure(station: Station) -> None:
    sender = Sender()
    station.send(
        sender.exposure("u", "control", 1),
        sender.exposure("u", "treatment", 2),
        sender.event("outcome", name="solved", value=1.0, unit_id="u"),
    )
    station.step()

    assert station.totals() == [(1, "control", "solved", 1, 1.0)]


def test_a_side_that_an_outcome_names_itself_is_not_believed(station: Station) -> None:
    placed = {"plan_id": PLAN_ID, "epoch": 3, "variant": "control"}
    station.send(Sender().event("outcome", name="solved", request_id="x", **placed))
    station.step()

    assert station.totals() == []


def test_each_outcome_counts_once_however_often_it_is_sent_and_tried(station: Station) -> None:
    sender = Sender()
    outcome = sender.event("outcome", name="solved", value=1.0, unit_id="u")
    station.send(sender.exposure("u", "control") | {"occurred_at": outcome["occurred_at"]}, outcome)
    station.step()
    station.send(outcome)

    assert station.step(after_s=99.0) == OutcomeReport()
    assert station.totals() == [(1, "control", "solved", 1, 1.0)]


def test_an_outcome_that_comes_before_its_exposure_waits_and_is_tried_again(
    station: Station,
) -> None:
    sender = Sender()
    exposure = sender.exposure("u", "control")
    station.send(sender.event("outcome", name="solved", unit_id="u"))

    assert station.step() == OutcomeReport(waiting=1)
    station.send(exposure)
    assert station.step(after_s=5.0) == OutcomeReport()
    assert station.step(after_s=11.0) == OutcomeReport(joined=1)
    assert station.evidence.n_pending() == 0


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ({"unit_id": "stranger"}, "unit_not_found:user"),
        ({"unit_id": "u", "unit_kind": "thread"}, "unit_not_found:thread"),
        ({"request_id": "order-7"}, "request_not_found"),
    ],
)
def test_what_is_not_found_within_a_day_is_given_up_by_reason(
    station: Station, target: Sent, reason: str
) -> None:
    sender = Sender()
    station.send(sender.exposure("u", "control"), sender.event("outcome", name="solved", **target))

    waits = [station.step(after_s=hours * 3600.0).waiting for hours in (0, 1, 23)]

    assert waits == [1, 1, 1]
    assert station.step(after_s=24 * 3600.0) == OutcomeReport(unjoined=1)
    assert station.evidence.unjoined("prod") == {reason: 1}


def test_outcomes_outside_plan_window_or_environment_are_named(station: Station) -> None:
    sender = Sender()
    plain, other = sender.event_id(), sender.event_id()
    early = sender.event("outcome", name="solved", unit_id="u")
    station.send(
        sender.event("generation", status="ok", request_id=plain),
        sender.exposure("u", "control"),
        early,
        sender.event("outcome", name="solved", request_id=plain),
        sender.generation("v", "control", request_id=other),
    )
    station.send(sender.event("outcome", name="solved", request_id=other), environment="dev")

    assert station.step() == OutcomeReport(unjoined=3)
    assert station.evidence.unjoined() == {
        "no_plan": 1,
        "other_environment": 1,
        "outside_window": 1,
    }


def test_a_unit_of_the_same_name_in_another_environment_is_another(station: Station) -> None:
    sender = Sender()
    station.send(sender.exposure("u", "control"))
    station.send(sender.event("outcome", name="solved", unit_id="u"), environment="dev")

    assert station.step() == OutcomeReport(waiting=1)
