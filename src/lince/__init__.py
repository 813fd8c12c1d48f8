"""lince: from your own photos to a working recogniser, on your own machine.

Every public name is loaded when it is first touched, so that ``import lince`` costs nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from lince.version import __version__

if TYPE_CHECKING:
    from lince.config import TrainConfig
    from lince.data import open_dataset as open  # noqa: A004
    from lince.errors import LinceError
    from lince.runtime.loading import load
    from lince.runtime.saving import save_answers
    from lince.verbs.checking import check, show
    from lince.verbs.converting import convert, merge
    from lince.verbs.exporting import contain, export
    from lince.verbs.judging import compare, evaluate
    from lince.verbs.learning import demo, resume, train
    from lince.verbs.leaving import to_pandas, to_torch
    from lince.verbs.looking import augment, doctor, measure, models, summary
    from lince.verbs.resembling import similar
    from lince.verbs.serving import serve
    from lince.verbs.splitting import split
    from lince.verbs.timing import time_model

_WHERE = {
    "LinceError": "lince.errors:LinceError",
    "TrainConfig": "lince.config:TrainConfig",
    "augment": "lince.verbs.looking:augment",
    "check": "lince.verbs.checking:check",
    "compare": "lince.verbs.judging:compare",
    "contain": "lince.verbs.exporting:contain",
    "convert": "lince.verbs.converting:convert",
    "demo": "lince.verbs.learning:demo",
    "doctor": "lince.verbs.looking:doctor",
    "evaluate": "lince.verbs.judging:evaluate",
    "export": "lince.verbs.exporting:export",
    "load": "lince.runtime.loading:load",
    "measure": "lince.verbs.looking:measure",
    "merge": "lince.verbs.converting:merge",
    "models": "lince.verbs.looking:models",
    "open": "lince.data:open_dataset",
    "resume": "lince.verbs.learning:resume",
    "save_answers": "lince.runtime.saving:save_answers",
    "serve": "lince.verbs.serving:serve",
    "show": "lince.verbs.checking:show",
    "similar": "lince.verbs.resembling:similar",
    "split": "lince.verbs.splitting:split",
    "summary": "lince.verbs.looking:summary",
    "time_model": "lince.verbs.timing:time_model",
    "to_pandas": "lince.verbs.leaving:to_pandas",
    "to_torch": "lince.verbs.leaving:to_torch",
    "train": "lince.verbs.learning:train",
}

__all__ = [
    "LinceError",
    "TrainConfig",
    "__version__",
    "augment",
    "check",
    "compare",
    "contain",
    "convert",
    "demo",
    "doctor",
    "evaluate",
    "export",
    "load",
    "measure",
    "merge",
    "models",
    "open",
    "resume",
    "save_answers",
    "serve",
    "show",
    "similar",
    "split",
    "summary",
    "time_model",
    "to_pandas",
    "to_torch",
    "train",
]


class _Facade(ModuleType):
    """Keeps the verb ``models`` where it is: importing the room of that name would put the room in its place."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _WHERE and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Facade


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'lince' has no attribute '{name}'")
    module, _colon, attribute = _WHERE[name].partition(":")
    parts: Any = import_module("lince.verbs.parts")
    with parts.training_part():
        value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
