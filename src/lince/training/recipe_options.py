"""Which options a training run uses: those that it would not use are refused, and the report lists the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

from lince.config import TrainConfig
from lince.errors import UsageError
from lince.i18n import _
from lince.option_aliases import describe_option
from lince.tasks import Task, list_tasks

RECIPES = ("scratch", "transfer", "finetune")
# Values that ask for nothing: they hold in every recipe that does not use the option.
_NEUTRAL_VALUES: dict[str, tuple[Any, ...]] = {
    "weights": ("none",),
    "augment": ("none",),
    "mix": ("none",),
    "standardise": ("none",),
    "mosaic": (0.0,),
    "scales": (0.0,),
    "label_smoothing": (0.0,),
    "device": ("auto", "cpu"),
    "precision": ("auto", "fp32"),
}
_VALIDATION_OPTIONS = ("monitor", "patience")  # they do nothing without validation images


def require_used_options(task: Task, config: TrainConfig, chosen: Collection[str] = ()) -> None:
    """Raise ``UsageError`` when an option was given that the recipe of ``config`` does not use for ``task``.

    An option was given when its value is not the default, or when its name is in ``chosen``.
    """
    unused = list_unused_options(task, config, chosen)
    if unused:
        raise UsageError(
            _("The recipe '{recipe}' for {task} does not use {options}.").format(
                recipe=config.recipe, task=task.title, options=", ".join(map(describe_option, unused))
            ),
            _("Expected only options that change the result: {options}.").format(
                options=format_flags(name for name in _option_names() if task.uses_option(config.recipe, name))
            ),
            _("Leave out what it does not use, or train with what uses it: {users}.").format(
                users="; ".join(_describe_users(task, name) for name in unused)
            ),
        )


def list_unused_options(task: Task, config: TrainConfig, chosen: Collection[str] = ()) -> list[str]:
    """Return the options that were given and that the recipe of ``config`` does not use, in the order of the fields."""
    defaults, values = asdict(TrainConfig()), asdict(config)
    return [
        name
        for name, value in values.items()
        if value is not None
        and (name in chosen or value != defaults[name])
        and not task.uses_option(config.recipe, name)
        and value not in _NEUTRAL_VALUES.get(name, ())
    ]


def reset_unused_options(task: Task, config: TrainConfig) -> TrainConfig:
    """Return ``config`` with the default for each option that its recipe does not use."""
    defaults = asdict(TrainConfig())
    return config.with_changes(**{name: defaults[name] for name in list_unused_options(task, config)})


def require_drawn_splits(config: TrainConfig, chosen: Collection[str], given_splits: Mapping[str, int]) -> None:
    """Raise ``UsageError`` when ``val`` or ``test`` was given for a split that the data brings itself.

    ``given_splits`` are the numbers of images by the name of the split. The same holds for options that need validation
    images where there will be none.
    """
    defaults = TrainConfig()
    for name in ("val", "test"):
        if given_splits.get(name) and (name in chosen or getattr(config, name) != getattr(defaults, name)):
            raise UsageError(
                _("The data brings its own split '{name}' ({count:,} images), so {options} would not be used.").format(
                    name=name, count=given_splits[name], options=format_flags([name])
                ),
                _("Expected a fraction only for a split that lince draws."),
                _("Leave it out. To draw the split anew, train on a folder without parts."),
            )
    needs_validation = [name for name in _VALIDATION_OPTIONS if getattr(config, name) is not None]
    if needs_validation and not config.val and not given_splits.get("val"):
        raise UsageError(
            _("Without validation images {options} would do nothing.").format(options=format_flags(needs_validation)),
            _("Expected validation images, such as --val 0.1."),
            _("Leave it out, or give a validation fraction above 0."),
        )


def list_used_settings(task: Task, config: TrainConfig) -> dict[str, Any]:
    """Return the options that the recipe of ``config`` uses and that have a value, by name, for the report."""
    return {
        name: value
        for name, value in asdict(config).items()
        if value is not None and task.uses_option(config.recipe, name)
    }


def format_flags(names: Iterable[str]) -> str:
    """Return the options of the command line for fields of ``TrainConfig``: "--epochs, --from-layer"."""
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)


def _option_names() -> list[str]:
    return [item.name for item in fields(TrainConfig)]


def _describe_users(task: Task, name: str) -> str:
    """Return which recipes of ``task``, or else which tasks, use the option ``name``."""
    recipes = [f"--recipe {recipe}" for recipe in RECIPES if task.uses_option(recipe, name)]
    if recipes:
        return _("{option} with {recipes}").format(option=format_flags([name]), recipes=_(" or ").join(recipes))
    tasks = [other.title for other in list_tasks() if any(other.uses_option(recipe, name) for recipe in RECIPES)]
    return _("{option} for {tasks}").format(option=format_flags([name]), tasks=_(" or ").join(tasks))
