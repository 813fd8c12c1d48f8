"""Base class of the API's schemas: immutable, and strict about unknown keys.

In a module of its own, so that the tasks' records can use it without the schemas that are built from them.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ApiSchema(BaseModel):
    """A schema of the HTTP API; validation fails for a key that it does not have.

    Names that begin with ``model_`` are allowed, although pydantic would reserve them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
