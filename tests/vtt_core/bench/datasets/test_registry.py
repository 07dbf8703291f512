"""All data sets of the published tables and of Meta-Dataset are supported."""

from __future__ import annotations

from vtt_core.bench.datasets.registry import DATASETS, META_DATASET, TARGET_DOMAINS


def test_four_target_domains_and_ten_of_meta_dataset_are_known() -> None:
    assert TARGET_DOMAINS == ("cropdisease", "eurosat", "isic", "chestx")
    assert len(META_DATASET) == 10
    assert list(DATASETS) == [*TARGET_DOMAINS, *META_DATASET]


def test_medical_images_have_groups() -> None:
    assert {name: dataset.groups for name, dataset in DATASETS.items() if dataset.groups} == {
        "isic": "lesion",
        "chestx": "patient",
    }
