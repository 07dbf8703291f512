import pytest

from vtt_core.contract.errors import RecipeError
from vtt_core.contract.recipe import METHODS, FinetuneRecipe
from vtt_core.contract.recipe_checks import check_values


def test_a_recipe_with_allowed_values_passes() -> None:
    check_values(FinetuneRecipe(), METHODS)


def test_a_method_that_is_not_offered_is_refused() -> None:
    with pytest.raises(RecipeError, match="method among coop, got 'clip-lora'"):
        check_values(FinetuneRecipe(method="clip-lora"), ("coop",))
