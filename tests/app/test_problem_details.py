"""The documentation of errors follows from their classes."""

from app.domain.errors import GoneError, NotFoundError
from app.problem_details import problem_responses
from vtt_core.contract.errors import EmptyClassError, TooFewClassesError


def test_errors_of_one_status_share_a_response_that_names_their_codes() -> None:
    responses = problem_responses(NotFoundError, TooFewClassesError, EmptyClassError, GoneError)
    assert list(responses) == [401, 403, 404, 408, 410, 422, 429, 503]
    assert "`support_set.too_few_classes`" in responses[422]["description"]
    assert "`support_set.empty_class`" in responses[422]["description"]
    assert "`request.invalid`" in responses[422]["description"]
    assert list(responses[404]["content"]) == ["application/problem+json"]
