"""The publications that a report may cite."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Reference:
    """A publication."""

    text: str
    arxiv_id: str | None = None


KNOWN = {
    "clip": Reference(
        "Radford et al. Learning Transferable Visual Models From Natural Language Supervision. ICML 2021", "2103.00020"
    ),
    "lora": Reference("Hu et al. LoRA: Low-Rank Adaptation of Large Language Models. ICLR 2022", "2106.09685"),
    "clip-lora": Reference(
        "Zanella and Ben Ayed. Low-Rank Few-Shot Adaptation of Vision-Language Models. CVPR Workshops 2024", "2405.18541"
    ),
    "coop": Reference("Zhou et al. Learning to Prompt for Vision-Language Models. IJCV 2022", "2109.01134"),
    "maple": Reference("Khattak et al. MaPLe: Multi-modal Prompt Learning. CVPR 2023", "2210.03117"),
    "vtt": Reference(
        "Zhang, Chen, Zou, Li and Li. Reclaiming Lost Text Layers for Source-Free Cross-Domain Few-Shot Learning. CVPR 2026",
        "2603.05235",
    ),
    "ridge": Reference("Hastie, Tibshirani and Friedman. The Elements of Statistical Learning, section 3.4.1. Springer 2009"),
    "gda": Reference("Wang et al. A Hard-to-Beat Baseline for Training-Free CLIP-based Adaptation. ICLR 2024", "2402.04087"),
    "ridge-text": Reference(
        "Bendou et al. ProKeR: A Kernel Perspective on Few-Shot Adaptation of Large Vision-Language Models. CVPR 2025",
        "2501.11175",
    ),
    "text-centroid": Reference(
        "Silva-Rodríguez et al. Few-Shot, Now for Real: Medical VLMs Adaptation without Balanced Sets or Validation. 2025",
        "2506.17500",
    ),
    "temperature": Reference("Guo et al. On Calibration of Modern Neural Networks. ICML 2017", "1706.04599"),
    "cross-conformal": Reference("Vovk. Cross-conformal predictors. 2015", "1208.0806"),
    "least-ambiguous": Reference(
        "Sadinle, Lei and Wasserman. Least Ambiguous Set-Valued Classifiers with Bounded Error Levels. JASA 2019", "1609.00451"
    ),
    "wilson": Reference("Wilson. Probable Inference, the Law of Succession, and Statistical Inference. JASA 22, 1927"),
}


@dataclass
class Citations:
    """Numbers publications in the order in which they are cited."""

    names: list[str] = field(default_factory=list)

    def __call__(self, *names: str) -> str:
        """Return the mark in the text, such as `[2, 3]`."""
        self.names += [name for name in dict.fromkeys(names) if name not in self.names]
        return "[" + ", ".join(str(self.names.index(name) + 1) for name in names) + "]"

    @property
    def cited(self) -> list[Reference]:
        """The publications, number 1 first."""
        return [KNOWN[name] for name in self.names]
