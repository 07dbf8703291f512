"""The published accuracies, as rows that can be run again, and the comparison with ours.

Source: Zhang et al. 2026, arXiv:2603.05235: accuracies in percent of 5-way episodes with 15 queries a class, 800 of them
    for 1 shot and 400 for 5 shots; docs/datasets.md, "Published numbers". No intervals are known. Learning rates of the
    fusion network by target domain are those of the released code, zhenyuZ-HUST/CVPR26-VtT@93e79e7.
Differs: for ablations and aggregators the paper prints only the average of the four target domains, so only that is
    compared. Averages are as printed, although some are up to 0.08 off the mean of the printed accuracies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt

from vtt_core.bench.datasets.registry import TARGET_DOMAINS
from vtt_core.contract.errors import UnknownRowError

WAY = 5
NUM_QUERIES = 15
"""Of each class."""
NUM_EPISODES = {1: 800, 5: 400}
"""Episodes by shot."""
CLIP = "ViT-B-16-quickgelu/openai"
PE_CORE = "PE-Core-B-16/meta"
FUSION_LEARNING_RATE = {"isic": "4e-4", "chestx": "1e-3"}
"""By target domain, if it is not the recipe's default. Source: released."""
_NO_DGSO = "projects_conflict=false:switch_off=never"


@dataclass(frozen=True)
class PublishedRow:
    """One line of a published table."""

    row_id: str
    method: str
    """The method as on the command line, such as `clip-lora+vtt@released:aggregator=lstm`."""
    backbone_id: str
    shot: int
    average: float
    """Mean over the four target domains, in percent."""
    percent: Mapping[str, float] = field(default_factory=dict)
    """Accuracy by target domain; empty if only the average was published."""

    @property
    def num_episodes(self) -> int:
        """Episodes of each target domain."""
        return NUM_EPISODES[self.shot]

    def method_for(self, domain: str) -> str:
        """Return the method with the released code's settings for one target domain."""
        rate = FUSION_LEARNING_RATE.get(domain)
        return f"{self.method}:fusion_learning_rate={rate}" if rate is not None and "+vtt" in self.method else self.method


@dataclass(frozen=True)
class Measured:
    """An accuracy of ours, in percent, with half of its 95 % interval."""

    percent: float
    ci95: float
    num_episodes: int


@dataclass(frozen=True)
class Comparison:
    """Ours beside the paper's, in percent."""

    domain: str
    """A target domain, or `average`."""
    ours: Measured
    published: float | None

    @property
    def difference(self) -> float | None:
        """Ours minus the paper's."""
        return None if self.published is None else self.ours.percent - self.published

    @property
    def is_within(self) -> bool | None:
        """Whether the paper's number lies in our 95 % interval."""
        return None if self.difference is None else abs(self.difference) <= self.ours.ci95


def compare(row: PublishedRow, measured: Mapping[str, Measured]) -> list[Comparison]:
    """Return a comparison for each target domain, and one for their average.

    Args:
        row: what was published.
        measured: ours, by target domain. They must be independent of each other.
    """
    lines = [Comparison(domain, ours, row.percent.get(domain)) for domain, ours in measured.items()]
    num_domains = len(measured)
    average = Measured(
        percent=sum(ours.percent for ours in measured.values()) / num_domains,
        ci95=sqrt(sum(ours.ci95**2 for ours in measured.values())) / num_domains,
        num_episodes=sum(ours.num_episodes for ours in measured.values()),
    )
    return [*lines, Comparison("average", average, row.average if set(measured) == set(TARGET_DOMAINS) else None)]


def find_row(row_id: str) -> PublishedRow:
    """Return a row.

    Raises:
        UnknownRowError: no row has this id.
    """
    if row_id not in ROWS:
        raise UnknownRowError(
            expected="a row among " + ", ".join(ROWS), got=repr(row_id[:80]), remedy="`vtt bench reproduce --list` shows them"
        )
    return ROWS[row_id]


def _row(row_id: str, method: str, backbone_id: str, shot: int, *percent: float, average: float) -> PublishedRow:
    by_domain = dict(zip(TARGET_DOMAINS, percent, strict=True)) if percent else {}
    return PublishedRow(row_id, method, backbone_id, shot, average, by_domain)


_LORA, _VTT = "clip-lora@released", "clip-lora+vtt@released"
ROWS: dict[str, PublishedRow] = {
    row.row_id: row
    for row in (
        _row("clip-lora/1-shot", _LORA, CLIP, 1, 84.22, 81.72, 36.40, 21.86, average=55.97),
        _row("clip-lora+vtt/1-shot", _VTT, CLIP, 1, 87.00, 85.01, 38.20, 22.70, average=58.23),
        _row("pe-core-lora/1-shot", _LORA, PE_CORE, 1, 91.75, 84.49, 40.89, 22.02, average=59.78),
        _row("pe-core-lora+vtt/1-shot", _VTT, PE_CORE, 1, 92.61, 86.16, 42.20, 23.04, average=61.00),
        _row("clip-lora+vtt/5-shot", _VTT, CLIP, 5, 97.21, 94.58, 56.20, 26.42, average=68.57),
        _row("pe-core-lora+vtt/5-shot", _VTT, PE_CORE, 5, 98.36, 94.67, 60.03, 27.05, average=70.05),
        _row("ablation/nothing", _LORA, CLIP, 1, average=55.9),
        _row("ablation/absorption", f"{_VTT}:aggregator=none:{_NO_DGSO}", CLIP, 1, average=56.9),
        _row("ablation/absorption+fusion", f"{_VTT}:{_NO_DGSO}", CLIP, 1, average=57.6),
        _row("ablation/absorption+dgso", f"{_VTT}:aggregator=none", CLIP, 1, average=57.6),
        _row("ablation/all", _VTT, CLIP, 1, average=58.2),
        _row("ablation/no-switch-off", f"{_VTT}:switch_off=never", CLIP, 1, average=57.2),
        _row("aggregator/ssm", _VTT, CLIP, 1, average=58.2),
        _row("aggregator/lstm", f"{_VTT}:aggregator=lstm", CLIP, 1, average=57.4),
        _row("aggregator/attention", f"{_VTT}:aggregator=attention", CLIP, 1, average=57.2),
        _row("aggregator/rnn", f"{_VTT}:aggregator=rnn", CLIP, 1, average=57.2),
    )
}
"""Every row by id."""
