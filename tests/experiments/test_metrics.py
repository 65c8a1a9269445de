import pytest

from trimtab.errors import PlanError
from trimtab.experiments.metrics import METRICS, find_metric


@pytest.mark.parametrize("name", ["flagged_rate", "error_rate", "latency_p95"])
def test_a_metric_is_found_by_its_name(name: str) -> None:
    assert find_metric(name).name == name


def test_every_quantile_says_which() -> None:
    for metric in METRICS.values():
        assert (metric.quantile is not None) == (metric.form == "quantile")


def test_an_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(PlanError, match='"flaged_rate"; did you mean "flagged_rate"'):
        find_metric("flaged_rate")


def test_an_unknown_metric_without_a_near_one_lists_all() -> None:
    with pytest.raises(PlanError, match="known are flagged_rate, error_rate, latency_p95"):
        find_metric("xyz")
