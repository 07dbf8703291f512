"""What a caller may ask of a prediction; the API and the command line share these bounds."""

from __future__ import annotations

COVERAGE_RANGE = (0.5, 0.99)
"""Share of images whose true class is to be in the prediction set."""
FALSE_REJECTS_RANGE = (0.001, 0.5)
"""Share of images of the classes that may be taken for none of them."""
