import pytest

from vtt_core.labels.prompts import class_prompts


def test_the_label_stands_in_the_template() -> None:
    assert class_prompts(["Forest", "River"], "a photo of a {}.") == ("a photo of a Forest.", "a photo of a River.")


def test_underscores_of_a_label_become_spaces() -> None:
    assert class_prompts(["Annual_Crop_Land"], "a photo of a {}.") == ("a photo of a Annual Crop Land.",)


@pytest.mark.parametrize("label", ["{}", "{0}", "a {b} c", "100 %"])
def test_braces_of_a_label_stay(label: str) -> None:
    assert class_prompts([label], "a photo of a {}.") == (f"a photo of a {label}.",)


@pytest.mark.parametrize("template", ["{{}} {name}", "{}{0}", "a } of {}", "{} {"])
def test_other_braces_of_a_template_stay(template: str) -> None:
    assert class_prompts(["cat"], template) == (template.replace("{}", "cat"),)
