"""Base class of the API's schemas: immutable, and strict about unknown keys."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """A schema of the HTTP API."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
