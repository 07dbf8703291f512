"""What bodies of PATCH have in common: fields that change, where what is not sent stays as it is."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator


class Change(BaseModel):
    """Fields that change; at least one must be sent."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"minProperties": 1})

    @model_validator(mode="after")
    def _check_sent(self) -> Self:
        if not self.model_fields_set:
            names = ", ".join(f"`{name}`" for name in type(self).model_fields)
            raise ValueError(f"a JSON object with at least one of {names}")
        return self
