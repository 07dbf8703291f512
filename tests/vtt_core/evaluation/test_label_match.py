from vtt_core.evaluation.label_match import match_labels, unknown_notice

LABELS = ("annual crop", "forest", "Star", "star fruit")


def test_upper_and_lower_case_are_the_same() -> None:
    assert match_labels(["Forest", "star", "Star", "river"], LABELS) == {
        "Forest": "forest",
        "star": "Star",
        "Star": "Star",
        "river": None,
    }


def test_a_label_that_is_spelt_much_like_a_class_is_told() -> None:
    said = unknown_notice({"anual crop": 3, "zebra": 1}, LABELS, "mdl_1")
    assert said is not None
    assert "4 images" in said
    assert "'anual crop', perhaps 'annual crop'; 'zebra'" in said
    assert unknown_notice({}, LABELS, "mdl_1") is None


def test_a_long_list_is_cut() -> None:
    said = unknown_notice({str(place): 1 for place in range(9)}, [f"class {place}" for place in range(9)], "mdl_1")
    assert said is not None
    assert said.count("4 more") == 2
