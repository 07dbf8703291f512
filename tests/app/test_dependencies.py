"""Requests share what the lifespan has opened, and sessions are closed before the answer."""

from typing import Annotated

from fastapi import Depends
from fastapi.testclient import TestClient
from sqlalchemy import text

from app.dependencies import AppContext, ReadSessionDep, RequestContextDep
from app.domain.access import ANYBODY, DEFAULT_TENANT_ID
from app.infra.tenancy import tenant_of
from tests.fixtures.http_api import Api


def test_an_endpoint_gets_its_context_and_a_session_that_reads(api: Api) -> None:
    app = api.client.app
    seen: list[AppContext] = []

    def context_of(context: RequestContextDep) -> AppContext:
        seen.append(context)
        return context

    @app.get("/probe")  # type: ignore[attr-defined, untyped-decorator]
    def probe(session: ReadSessionDep, _: Annotated[AppContext, Depends(context_of)]) -> int:
        return int(session.scalar(text("SELECT 1")) or 0)

    assert isinstance(api.client, TestClient)
    assert api.client.get("/probe").json() == 1
    [given] = seen
    assert given.store is api.context.store
    assert given.caller == ANYBODY
    with given.readers() as session:
        assert tenant_of(session) == DEFAULT_TENANT_ID
