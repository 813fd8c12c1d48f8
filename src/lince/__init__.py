"""lince: trains image classifiers and object detectors on your own photos, on your own machine.

Every public name is imported when it is first used (PEP 562), so that ``import lince`` takes no time. The names are in
``__all__``; ``_LAZY_IMPORTS`` maps them to their modules. What libraries report of their use is switched off here:
no module of lince can be imported before this one.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from lince import telemetry
from lince.version import __version__

if TYPE_CHECKING:
    from lince.api.augment import augment
    from lince.api.benchmark import time_model
    from lince.api.check import check
    from lince.api.compare import compare
    from lince.api.convert import convert, merge
    from lince.api.demo import demo
    from lince.api.doctor import doctor
    from lince.api.evaluate import evaluate
    from lince.api.export import contain, export
    from lince.api.find_rate import find_rate
    from lince.api.interop import to_pandas, to_torch
    from lince.api.load import load
    from lince.api.models import measure, models, summary
    from lince.api.predict import predict
    from lince.api.predict_videos import predict_videos
    from lince.api.serve import serve
    from lince.api.show import show
    from lince.api.similar import similar
    from lince.api.split import split
    from lince.api.studio import set_studio_password, studio
    from lince.api.train import resume, train
    from lince.config import TrainConfig
    from lince.datasets import open_dataset as open  # noqa: A004
    from lince.errors import LinceError
    from lince.inference.save import save_answers

    lr_find = find_rate

_LAZY_IMPORTS = {
    "LinceError": "lince.errors:LinceError",
    "TrainConfig": "lince.config:TrainConfig",
    "augment": "lince.api.augment:augment",
    "check": "lince.api.check:check",
    "compare": "lince.api.compare:compare",
    "contain": "lince.api.export:contain",
    "convert": "lince.api.convert:convert",
    "demo": "lince.api.demo:demo",
    "doctor": "lince.api.doctor:doctor",
    "evaluate": "lince.api.evaluate:evaluate",
    "export": "lince.api.export:export",
    "find_rate": "lince.api.find_rate:find_rate",
    "load": "lince.api.load:load",
    "lr_find": "lince.api.find_rate:find_rate",
    "measure": "lince.api.models:measure",
    "merge": "lince.api.convert:merge",
    "models": "lince.api.models:models",
    "open": "lince.datasets:open_dataset",
    "predict": "lince.api.predict:predict",
    "predict_videos": "lince.api.predict_videos:predict_videos",
    "resume": "lince.api.train:resume",
    "save_answers": "lince.inference.save:save_answers",
    "serve": "lince.api.serve:serve",
    "set_studio_password": "lince.api.studio:set_studio_password",
    "show": "lince.api.show:show",
    "similar": "lince.api.similar:similar",
    "split": "lince.api.split:split",
    "studio": "lince.api.studio:studio",
    "summary": "lince.api.models:summary",
    "time_model": "lince.api.benchmark:time_model",
    "to_pandas": "lince.api.interop:to_pandas",
    "to_torch": "lince.api.interop:to_torch",
    "train": "lince.api.train:train",
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
    "find_rate",
    "load",
    "lr_find",
    "measure",
    "merge",
    "models",
    "open",
    "predict",
    "predict_videos",
    "resume",
    "save_answers",
    "serve",
    "set_studio_password",
    "show",
    "similar",
    "split",
    "studio",
    "summary",
    "time_model",
    "to_pandas",
    "to_torch",
    "train",
]


telemetry.switch_off_reports()


class _LazyModule(ModuleType):
    """The class of this module; importing a submodule does not replace the public function of the same name.

    Importing ``lince.models`` makes Python set the attribute ``models`` of ``lince`` to that module. ``__setattr__``
    ignores this, so ``lince.models`` stays the function.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _LAZY_IMPORTS and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _LazyModule


def __getattr__(name: str) -> Any:
    """Import the public name ``name`` on first use and keep it; raise ``AttributeError`` for any other.

    A library that is missing for it raises ``MissingExtraError``.
    """
    if name not in _LAZY_IMPORTS:
        raise AttributeError(f"module 'lince' has no attribute '{name}'")
    module, _colon, attribute = _LAZY_IMPORTS[name].partition(":")
    extras: Any = import_module("lince.api.extras")
    with extras.require_training_extra():
        value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names, also those that are not imported yet."""
    return __all__
