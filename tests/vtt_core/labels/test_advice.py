"""Names of folders that make poor prompts are told, with a better name where there is one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vtt_core.labels.advice import Advice, advise


def only(label: str) -> Advice:
    (advice,) = advise([label, "pizza"])
    assert advice.label == label
    return advice


@pytest.mark.parametrize(
    ("label", "code", "suggestion"),
    [
        ("001.Black_footed_Albatross", "label.leading_number", "black footed albatross"),
        ("001.Black footed Albatross", "label.leading_number", "black footed albatross"),
        ("12) oak", "label.leading_number", "oak"),
        ("07_SeaLake", "label.leading_number", "sea lake"),
        ("n01440764 tench", "label.leading_number", "tench"),
        ("AnnualCrop", "label.camel_case", "annual crop"),
        ("HerbaceousVegetation", "label.camel_case", "herbaceous vegetation"),
        ("RGBImage", "label.camel_case", "rgb image"),
        ("Tomato___Late_blight", "label.separator", "tomato late blight"),
        ("Tomato___Tomato_mosaic_virus", "label.separator", "tomato mosaic virus"),
        ("Tomato Tomato mosaic virus", "label.repeated_word", "tomato mosaic virus"),
    ],
)
def test_a_better_name_is_suggested(label: str, code: str, suggestion: str) -> None:
    advice = only(label)
    assert (advice.code, advice.suggestion) == (code, suggestion)


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("n01440764", "label.wordnet_id"),
        ("0", "label.number"),
        ("2024-01", "label.number"),
        ("class_0", "label.placeholder"),
        ("Class 12", "label.placeholder"),
        ("IMG", "label.placeholder"),
        ("img_0012", "label.placeholder"),
        ("New folder", "label.placeholder"),
    ],
)
def test_a_name_without_words_needs_a_person(label: str, code: str) -> None:
    advice = only(label)
    assert (advice.code, advice.suggestion) == (code, None)
    assert "Give the class a name" in advice.message


@pytest.mark.parametrize(
    "label",
    [
        "star",
        "polka dots",
        "annual_crop",
        "Tomato Late blight",
        "3 wheeler",
        "McDonald",
        "iPhone",
        "cat",
        "dog",
        "SUV",
        "B-52",
        "猫",
    ]
    + ["Ährenfeld", "classroom", "image processor", "12-inch record", "1990s car", "{}", "photo booth"],
)
def test_a_name_in_words_needs_no_advice(label: str) -> None:
    assert advise([label, "pizza"]) == []


def test_the_prompt_is_shown_as_it_will_be_read() -> None:
    (advice,) = advise(["001.Sooty_Tern"], "a satellite photo of {}.")
    assert advice.prompt == "a satellite photo of 001.Sooty Tern."
    assert advice.message.startswith("The prompt will be 'a satellite photo of 001.Sooty Tern.'.")


def test_no_suggestion_makes_two_classes_one() -> None:
    first, second = advise(["001.Star", "002.Star"])
    assert (first.suggestion, second.suggestion) == (None, None)
    assert "choose names that differ" in first.message
    (camel,) = advise(["AnnualCrop", "annual crop"])
    assert camel.suggestion is None


def test_a_suggestion_that_reads_like_its_own_label_is_kept() -> None:
    (advice,) = advise(["Tomato___Late_blight", "Tomato___healthy leaf"])[:1]
    assert advice.suggestion == "tomato late blight"


@pytest.mark.services
def test_advice_needs_no_torch() -> None:
    code = "import sys; from vtt_core.labels.advice import advise; print(len(advise(['IMG'])), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "1 False\n"
