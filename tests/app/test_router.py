"""Roles share health, and split the rest."""

from fastapi import FastAPI

from app.infra.settings import Role
from app.router import routes_of


def paths(role: Role) -> set[str]:
    app = FastAPI()
    app.router.routes.extend(routes_of(role))
    return set(app.openapi()["paths"])


def test_control_and_predict_together_are_all() -> None:
    assert paths(Role.CONTROL) | paths(Role.PREDICT) == paths(Role.ALL)
    assert paths(Role.CONTROL) & paths(Role.PREDICT) == {"/livez", "/readyz", "/metrics"}
