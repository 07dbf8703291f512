"""All pages of the service."""

from __future__ import annotations

from fastapi import APIRouter

from app.pages.about import router as about
from app.pages.api_docs import router as api_docs
from app.pages.assets import router as assets
from app.pages.compare_models import router as compare_models
from app.pages.image_sets import router as image_sets
from app.pages.jobs import router as jobs
from app.pages.model_forms import router as model_forms
from app.pages.models import router as models
from app.pages.new_set import router as new_set
from app.pages.result import router as result
from app.pages.sign_in import router as sign_in
from app.pages.start_job import router as start_job
from app.pages.try_model import router as try_model

every_role = APIRouter()
"""The description of the API, which each role has of its own endpoints."""
for part in (api_docs, assets):
    every_role.include_router(part)

router = APIRouter()
for part in (new_set, image_sets, start_job, jobs, compare_models, result, models, model_forms, try_model, about, sign_in):
    router.include_router(part)
