"""What a line of the log says besides accuracy, by name.

| name | meaning |
| --- | --- |
| `calibration_error` | of the probabilities of the queries |
| `coverage_0.9` | share of queries whose class is in the prediction set that was asked for with a coverage of 0.9 |
| `set_size_0.9` | mean number of classes in these sets |
| `promised_0.9` | what the sets promise: 0.9, or as much as so few support images allow |
| `expected_accuracy` | what the method expects of itself, from images that it held out |
| `expected_low`, `expected_high` | the interval that it gives for that |
"""

from __future__ import annotations

ACCURACY = "accuracy"
CALIBRATION_ERROR = "calibration_error"
COVERAGES = (0.8, 0.9, 0.95)
EXPECTED, EXPECTED_LOW, EXPECTED_HIGH = "expected_accuracy", "expected_low", "expected_high"


def coverage_name(wanted: float) -> str:
    """Return the name of the share of queries whose class is in their prediction set."""
    return f"coverage_{wanted:g}"


def set_size_name(wanted: float) -> str:
    """Return the name of the mean size of these sets."""
    return f"set_size_{wanted:g}"


def promised_name(wanted: float) -> str:
    """Return the name of what these sets promise."""
    return f"promised_{wanted:g}"


COVERAGE_MEASURES = tuple(coverage_name(wanted) for wanted in COVERAGES)
SIZE_MEASURES = tuple(set_size_name(wanted) for wanted in COVERAGES)
PROMISED_MEASURES = tuple(promised_name(wanted) for wanted in COVERAGES)
MEASURES = (
    CALIBRATION_ERROR,
    *COVERAGE_MEASURES,
    *PROMISED_MEASURES,
    *SIZE_MEASURES,
    EXPECTED,
    EXPECTED_LOW,
    EXPECTED_HIGH,
)
"""All names."""
