import pytest

from app.cli.doctor.exposure import check_exposure
from app.cli.doctor.findings import Condition
from app.infra.settings import Settings


@pytest.mark.parametrize(
    ("settings", "condition", "says"),
    [
        (Settings(), Condition.OK, "only this machine"),
        (Settings(host="0.0.0.0", require_keys=True), Condition.OK, "needs a key"),
        (Settings(host="0.0.0.0"), Condition.PROBLEM, "will not start"),
        (Settings(host="::", allow_unauthenticated=True), Condition.PROBLEM, "use and delete everything"),
        (Settings(allowed_hosts=("vtt.lab.example",)), Condition.NOTE, "vtt.lab.example"),
    ],
)
def test_who_reaches_the_service_without_a_key_is_said(settings: Settings, condition: Condition, says: str) -> None:
    found = check_exposure(settings)
    assert found.condition is condition
    assert says in found.detail
    assert (found.remedy is None) == (condition is Condition.OK)
