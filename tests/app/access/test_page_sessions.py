"""A token is worth nothing without its second value, after its time, or after its key."""

from datetime import timedelta

import pytest

from app.access.page_sessions import LIFETIME, check_csrf, csrf_of, draw_token, identify_browser, sign_in
from app.domain.errors import ForgedFormError, KeyRefusedError
from app.infra.clock import utc_now
from app.infra.tables import PageSessionRow
from tests.app.access.conftest import MakeCaller
from tests.fixtures.http_api import Api


def key_of(headers: dict[str, str]) -> str:
    return headers["Authorization"].removeprefix("Bearer ")


@pytest.mark.parametrize("sent", [None, "", "0" * 64, "ü"])
def test_a_missing_or_wrong_value_is_refused(sent: str | None) -> None:
    with pytest.raises(ForgedFormError):
        check_csrf(draw_token(), sent)


def test_the_right_value_is_taken_and_belongs_to_one_token() -> None:
    token = draw_token()
    check_csrf(token, csrf_of(token))
    with pytest.raises(ForgedFormError):
        check_csrf(draw_token(), csrf_of(token))
    with pytest.raises(ForgedFormError):
        check_csrf(None, csrf_of(token))


def test_a_browser_acts_for_its_key_until_its_time_ends(locked: Api, make_caller: MakeCaller) -> None:
    now, token, key = utc_now(), draw_token(), key_of(make_caller("clinic"))
    sign_in(locked.context.sessions, locked.context.keys, token, f" {key}\n", now)
    caller = identify_browser(token, locked.context.readers, now)
    assert caller.key_id == key.split("_")[1]
    with pytest.raises(KeyRefusedError):
        identify_browser(token, locked.context.readers, now + LIFETIME)


def test_only_the_digest_of_a_token_is_stored_and_old_ones_go(locked: Api, make_caller: MakeCaller) -> None:
    now, key = utc_now(), key_of(make_caller("clinic"))
    tokens = [draw_token(), draw_token()]
    sign_in(locked.context.sessions, locked.context.keys, tokens[0], key, now - LIFETIME - timedelta(seconds=1))
    sign_in(locked.context.sessions, locked.context.keys, tokens[1], key, now)
    with locked.context.readers() as session:
        rows = session.query(PageSessionRow).all()
    assert len(rows) == 1
    assert rows[0].token_sha256 not in tokens
