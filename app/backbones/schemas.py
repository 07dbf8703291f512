"""Schemas of backbones."""

from __future__ import annotations

from pydantic import BaseModel, Field

from vtt_core.contract.backbones import Weights


class BackboneAnswer(BaseModel):
    """A frozen CLIP that can be adapted."""

    id: str = Field(description="The value for `backbone` of a job", examples=["ViT-B-16-quickgelu/openai"])
    image_side_pixels: int = Field(description="Images are scaled to this side")
    joint_size: int = Field(description="Size of the embedding that images and texts share")
    num_vision_layers: int
    num_text_layers: int
    is_bundled: bool = Field(description="Whether its weights come with the service")
    weights: Weights = Field(
        description="Where they are: `bundled` with the service, `cached` on a worker, `downloadable` once a job needs them,"
        " `out_of_reach` (a job is refused), or `unknown` while no worker is alive"
    )
    is_default: bool = Field(description="Whether a job that names no backbone uses it")
    description: str


class BackboneList(BaseModel):
    """Every backbone with published weights."""

    items: list[BackboneAnswer]
