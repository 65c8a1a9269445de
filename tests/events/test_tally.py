from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from trimtab.events.tally import Entry, Side, Unit, count, first_exposure
from trimtab.events.totals import EpochTotals
from trimtab.stats.eprocess import conditional_chance

from .samples import PLAN, PLAN_ID, Sender, Sent, calm, fold_of, lines_of, side


def flagged(sender: Sender, unit: str, variant: str, epoch: int) -> Sent:
    return sender.generation(unit, variant, epoch, flagged=True)


def first_k(totals: list[EpochTotals]) -> dict[tuple[int, str], dict[int, int]]:
    """Cells of the flagged series by epoch and side."""
    return {
        (epoch.epoch, variant): one.first_k["flagged"]
        for epoch in totals
        for variant, one in epoch.sides.items()
        if one.first_k.get("flagged")
    }


def counted(folder: Path, *events: Sent) -> dict[tuple[int, str], dict[int, int]]:
    return first_k(fold_of(folder, events).totals([PLAN_ID])[PLAN_ID])


def test_only_the_first_event_of_a_unit_in_an_epoch_counts(tmp_path: Path) -> None:
    send = Sender()

    cells = counted(tmp_path, *(flagged(send, "u", "control", 1) for _ in range(3)))

    assert cells == {(1, "control"): {0: 1}}


def test_a_unit_that_counted_as_control_counts_again_apart(tmp_path: Path) -> None:
    send = Sender()

    cells = counted(tmp_path, flagged(send, "u", "control", 1), flagged(send, "u", "treatment", 2))

    assert cells == {(1, "control"): {0: 1}, (2, "treatment"): {1: 1}}


def test_a_unit_that_counted_as_treatment_brings_no_more_news(tmp_path: Path) -> None:
    send = Sender()

    cells = counted(
        tmp_path,
        *(flagged(send, "u", "treatment", epoch) for epoch in (1, 2, 3)),
    )

    assert cells == {(1, "treatment"): {0: 1}}


def test_the_earlier_epoch_is_that_of_the_largest_share_as_control(tmp_path: Path) -> None:
    send = Sender()

    cells = counted(
        tmp_path,
        flagged(send, "u", "control", 2),
        flagged(send, "u", "control", 1),  # folded late
        flagged(send, "u", "treatment", 3),
    )

    assert cells == {(2, "control"): {0: 1}, (1, "control"): {2: 1}, (3, "treatment"): {2: 1}}


def test_a_unit_that_was_exposed_but_not_flagged_has_not_counted(tmp_path: Path) -> None:
    send = Sender()

    cells = counted(tmp_path, send.generation("u", "control", 1), flagged(send, "u", "control", 2))

    assert cells == {(2, "control"): {0: 1}}


def test_each_series_remembers_for_itself(tmp_path: Path) -> None:
    send = Sender()
    evidence = fold_of(
        tmp_path,
        [
            flagged(send, "u", "control", 1),
            send.generation("u", "treatment", 2, status="timeout", latency_ms=9_000.0),
        ],
    )

    assert side(evidence, "treatment", 2).first_k == {"failed": {0: 1}, "slow": {0: 1}}


def test_slow_means_over_the_limit_of_the_units_side(tmp_path: Path) -> None:
    send = Sender()
    evidence = fold_of(
        tmp_path,
        [
            send.generation(f"u{i}", v, latency_ms=1100.0)
            for i, v in enumerate(["control", "treatment"])
        ],
    )

    assert side(evidence, "control").k["slow"] == 1
    assert side(evidence, "treatment").k["slow"] == 0


def test_a_unit_seen_on_both_sides_is_counted_and_taken_out_of_the_exact_test(
    tmp_path: Path,
) -> None:
    send = Sender()
    evidence = fold_of(
        tmp_path,
        [
            flagged(send, "u", "control", 1),
            flagged(send, "u", "treatment", 1),
            flagged(send, "u", "treatment", 1),
            flagged(send, "u", "treatment", 2),
            flagged(send, "v", "control", 1),
        ],
    )

    control = side(evidence, "control")
    assert (control.n_units, control.switched) == (2, 1)
    assert first_k(evidence.totals([PLAN_ID])[PLAN_ID]) == {(1, "control"): {0: 1}}
    assert side(evidence, "treatment", 2).n_units == 1


def test_a_unit_is_new_once_in_the_plan_and_counted_in_each_epoch(tmp_path: Path) -> None:
    send = Sender()
    evidence = fold_of(
        tmp_path,
        [
            send.exposure("u", "control", 1),
            send.exposure("u", "control", 2),
            send.exposure("u", "control", 1),
        ],
    )

    assert [(s.n_units, s.new_units) for s in (side(evidence, "control", e) for e in (1, 2))] == [
        (1, 1),
        (1, 0),
    ]


@calm
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(1, 3), st.booleans(), st.booleans()), max_size=40
    )
)
def test_first_counts_agree_with_the_rule_read_word_by_word(
    requests: list[tuple[int, int, bool, bool]],
) -> None:
    send = Sender()
    events = [
        send.generation(f"u{u}", "treatment" if t else "control", e, flagged=f)
        for u, e, t, f in requests
    ]
    with TemporaryDirectory() as folder:
        found = counted(Path(folder), *events)

    assert found == by_the_words(requests)


def by_the_words(
    requests: list[tuple[int, int, bool, bool]],
) -> dict[tuple[int, str], dict[int, int]]:
    """The rule of statistics 2.6 with sets and lists, unit by unit."""
    cells: dict[tuple[int, str], dict[int, int]] = {}
    for unit in {u for u, *_ in requests}:
        first_variant: dict[int, str] = {}
        counts: dict[int, tuple[str, int]] = {}
        switched = False
        for _, epoch, treated, is_flagged in (r for r in requests if r[0] == unit):
            variant = "treatment" if treated else "control"
            if first_variant.setdefault(epoch, variant) != variant:
                switched = True
                counts.pop(epoch, None)
            known = {v for v, _ in counts.values()}
            if not is_flagged or switched or epoch in counts or "treatment" in known:
                continue
            earlier = max(counts, key=lambda e: PLAN.epochs[e], default=0)
            counts[epoch] = (variant, earlier)
        for epoch, (variant, earlier) in counts.items():
            cell = cells.setdefault((epoch, variant), {})
            cell[earlier] = cell.get(earlier, 0) + 1
    return cells


class Totals:
    """Sides in memory."""

    def __init__(self) -> None:
        self.sides: dict[tuple[int, str], Side] = {}

    def side(self, plan_id: str, epoch: int, variant: str) -> Side:
        assert plan_id == PLAN_ID
        return self.sides.setdefault((epoch, variant), Side())


def test_a_share_that_is_taken_back_leaves_counted_units_out_of_the_test() -> None:
    """Cells of an earlier epoch with as large a share or a larger one have no chance at all."""
    epochs = {1: 1000, 2: 5000, 3: 1000, 4: 7000}
    plan = msgspec.structs.replace(PLAN, epochs=epochs)
    totals = Totals()
    send = Sender()
    units: dict[str, Unit] = {}
    for unit, variant, epoch in [
        ("back", "control", 2),
        ("back", "control", 3),  # smaller share: certain to be control again
        ("back", "treatment", 4),  # counts with what was known since epoch 2
        ("out", "treatment", 2),
        ("out", "control", 3),  # its side is known: no news
        ("quiet", "control", 3),
    ]:
        [line] = lines_of([flagged(send, unit, variant, epoch)])
        entry = msgspec.json.decode(line, type=Entry)
        count(entry, plan, units.setdefault(unit, first_exposure(entry)), totals)

    cells = {key: side.first_k["flagged"] for key, side in totals.sides.items() if side.first_k}
    assert cells == {
        (2, "control"): {0: 1},
        (3, "control"): {2: 1, 0: 1},
        (4, "treatment"): {2: 1},
        (2, "treatment"): {0: 1},
    }
    assert conditional_chance(epochs[3], epochs[2]) is None
    assert conditional_chance(epochs[4], epochs[2]) == 0.4
