from typing import Any

import pytest

from vtt_core.bench.episodes.tables import make_table, table_markdown
from vtt_core.contract.errors import InputError


def result(one: float, other: float, width: float | None) -> dict[str, Any]:
    """Make what a report has of two methods."""
    return {
        "methods": {"one": {"mean": one, "ci95": width}, "other": {"mean": other, "ci95": width}},
        "paired": {
            "other minus one": {"mean": other - one, "ci95": width},
            "one minus other": {"mean": one - other, "ci95": width},
        },
    }


RESULTS = {"maps": result(0.5, 0.6, 0.03), "leaves": result(0.7, 0.9, 0.04)}


def test_the_average_has_the_interval_of_independent_means() -> None:
    table = make_table(RESULTS)
    assert table["one"]["average"]["mean"] == pytest.approx(0.6)
    assert table["one"]["average"]["ci95"] == pytest.approx(0.025)  # a 3-4-5 triangle, halved
    assert table["other"]["maps"] == {"mean": 0.6, "ci95": 0.03}


def test_differences_are_those_of_pairs() -> None:
    assert table_markdown(RESULTS, "one") == (
        "| minus one | maps | leaves | average |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| other | +10.00 ± 3.00 | +20.00 ± 4.00 | +15.00 ± 2.50 |\n"
    )


def test_one_episode_has_no_interval() -> None:
    assert "| one | 50.00 | 50.00 |" in table_markdown({"maps": result(0.5, 0.6, None)})


def test_only_methods_of_all_results_are_shown() -> None:
    more = result(0.1, 0.2, 0.0)
    more["methods"]["third"] = {"mean": 0.3, "ci95": 0.0}
    assert list(make_table({"more": more, **RESULTS})) == ["one", "other"]


@pytest.mark.parametrize(
    ("results", "against", "reason"),
    [
        (RESULTS, "third", "a method that every result has: one, other, got 'third'"),
        ({"a": {"methods": {"x": {}}}, "b": {"methods": {"y": {}}}}, None, "got a: x; b: y"),
    ],
)
def test_results_that_cannot_be_compared_are_refused(results: Any, against: str | None, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        make_table(results, against)


def test_other_measures_have_a_table_of_the_methods_that_say_them() -> None:
    def with_measures(error: float, size: float) -> dict[str, Any]:
        made = result(0.5, 0.6, 0.03)
        measures = {"calibration_error": error, "set_size_0.9": size}
        made["methods"]["other"]["measures"] = {name: {"mean": value, "ci95": 0.01} for name, value in measures.items()}
        return made

    results = {"maps": with_measures(0.1, 2.0), "leaves": with_measures(0.2, 3.0)}
    errors = table_markdown(results, of="calibration_error")
    assert errors.splitlines()[0] == "| calibration_error | maps | leaves | average |"
    assert errors.splitlines()[2:] == ["| other | 10.00 ± 1.00 | 20.00 ± 1.00 | 15.00 ± 0.71 |"]
    assert "| other | 2.00 ± 0.01 | 3.00 ± 0.01 |" in table_markdown(results, of="set_size_0.9")


@pytest.mark.parametrize(
    ("of", "against", "reason"),
    [
        ("coverage", None, "coverage_0.9"),
        ("calibration_error", "one", "differences of accuracies"),
        ("calibration_error", None, "a method with calibration_error in every result"),
    ],
)
def test_a_measure_that_cannot_be_shown_is_refused(of: str, against: str | None, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        make_table(RESULTS, against, of)
