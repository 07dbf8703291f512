"""All pages of the service."""

from __future__ import annotations

from fastapi import APIRouter

from app.pages.api_docs import router as api_docs
from app.pages.assets import router as assets
from app.pages.jobs import router as jobs
from app.pages.new_set import router as new_set
from app.pages.result import router as result
from app.pages.sign_in import router as sign_in

router = APIRouter()
for part in (new_set, jobs, result, sign_in, api_docs, assets):
    router.include_router(part)
