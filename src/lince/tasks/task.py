"""The task protocol: everything that the rest of lince needs to know about a task.

A task answers cheap questions itself. Whatever needs other packages or large libraries is a *part*: a dotted name
``module:attribute`` that is imported when it is first used. So finding the task of a dataset loads neither PyTorch nor
ONNX Runtime, and this package can be below all others in the layers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from lince.annotations import RejectedItem
from lince.errors import UsageError
from lince.i18n import _

if TYPE_CHECKING:
    from lince.datasets import Dataset

# The parts of a task with their signatures:
PartName = Literal[
    # train(request: TrainingRequest, run: TrainingRun) -> Report. Writes model, predictions and report into the run.
    "train",
    # adapt_config(config: TrainConfig, recipe: str) -> TrainConfig: the configuration of one recipe of ``all``.
    "adapt_config",
    # list_models() -> dict of ModelEntry by name, the cheapest first.
    "list_models",
    # get_model(name) -> ModelEntry; raises UsageError with the closest names.
    "get_model",
    # layers(model, size, class_count, grey) -> ModelSummary, layer by layer; optional.
    "layers",
    # measure_latency(model, size, class_count, grey) -> milliseconds per image at random weights.
    "measure_latency",
    # Predictor(card, backend, allow_urls=False): prepare, predict_prepared, predict, predict_many, with_threads.
    "predictor",
    # evaluate(predictor, dataset, progress) -> (predictions, metrics) on a dataset whose rows are all usable.
    "evaluate",
    # evaluation_report(dataset, predictions, metrics, fields) -> Report, of what "evaluate" gave; optional.
    "evaluation_report",
    # Predictions: class with load(path), save(path), is_own_file(path), select(rows), keys, classes, compute_metrics().
    "predictions",
    # compare(predictions by run name, shared_only=False) -> Comparison with seen_count, to_dict() and build_view().
    "compare",
    # collect_outputs(predictor, images, with_strips, progress) -> ModelOutputs, for the checks of an export.
    "outputs",
    # standalone: module with add_postprocess(...) and compare_graph(...), for one self-contained ONNX file.
    "standalone",
    # videos(predictor, frame_range, progress, **options) -> function(video item, folder) -> the summary; optional.
    "videos",
    # save_results(results, folder, to, progress) -> the folder.
    "save_results",
    # http: module with the response models and the request parsers of the task in the HTTP API, and
    # build_record(result, options) where a record is more than the to_dict() of the result.
    "http",
    # notebook: module with build_class_table(test) and list_examples(predictions, test), for notebooks; optional.
    "notebook",
    # cli: a cli.task_commands.TaskCommands, the options and the output of the task on the command line.
    "cli",
]
# Parts for the tasks that have none of their own.
_DEFAULT_PARTS: Mapping[PartName, str] = {
    "adapt_config": "lince.training.recipe_comparison:set_recipe",
    "cli": "lince.cli.task_commands:DEFAULT_COMMANDS",
    "save_results": "lince.inference.save:save_records",
}
# Fields of ``TrainConfig`` that every recipe uses, and those of the training loop over augmented images.
COMMON_OPTIONS = frozenset({"task", "recipe", "model", "size", "resize", "seed", "val", "test", "workers"})
LOOP_OPTIONS = frozenset({"epochs", "batch", "rate", "augment", "monitor", "patience", "budget", "device", "precision"})
_MAX_NAMED = 3  # image names in the message about unlabelled images


class Task(ABC):
    """Base class of tasks: which labels a task learns from, and where its parts are.

    Attributes:
        name: identifies the task in model cards, reports, configurations and ``--task``.
        headline: key of the metric that ranks models, in ``report.json`` below ``test``; higher is better.
        annotation: what it learns from: ``classes`` of whole images, or ``objects``.
        monitors: the metrics of an epoch that training may watch (``--monitor``); empty where it watches none.
        options_by_recipe: the fields of ``TrainConfig`` that each recipe uses; a recipe without an entry uses all. An
            option that the recipe does not use is refused where it is given.
        parts: the dotted names of the task's parts, by ``PartName``.
    """

    name: ClassVar[str]
    headline: ClassVar[str]
    annotation: ClassVar[str] = "classes"
    monitors: ClassVar[tuple[str, ...]] = ()
    options_by_recipe: ClassVar[Mapping[str, frozenset[str]]] = {}
    parts: ClassVar[Mapping[str, str]]

    @property
    @abstractmethod
    def title(self) -> str:
        """The name of the task in the current language, such as "image classification"."""

    @property
    @abstractmethod
    def label_name(self) -> str:
        """What an image needs to be usable, in the current language, such as "a class"."""

    @abstractmethod
    def fits(self, dataset: Dataset) -> bool:
        """Return whether ``dataset`` has any label that the task can learn from."""

    def suits(self, dataset: Dataset) -> bool:
        """Return whether the task is a first choice for ``dataset``, where nobody names one; by default where it fits.

        A task overrides this where its labels can be read in two ways of which one is far more likely.
        """
        return self.fits(dataset)

    @abstractmethod
    def usable_rows(self, dataset: Dataset) -> NDArray[np.bool_]:
        """Return bool (N,): the images that the task can learn from and be evaluated on.

        Training, metrics and splits all use this answer; an image that is not usable reaches none of them.
        """

    def keep_own_labels(self, dataset: Dataset) -> Dataset:
        """Return ``dataset`` without the labels and the classes that only other tasks learn from.

        A task that can meet datasets labelled for several tasks overrides this; the rows stay.
        """
        return dataset

    def uses_option(self, recipe: str, option: str) -> bool:
        """Return whether ``recipe`` uses the field ``option`` of ``TrainConfig``; ``all`` uses what any recipe does."""
        if recipe == "all" and self.options_by_recipe:
            return any(option in options for options in self.options_by_recipe.values())
        return recipe not in self.options_by_recipe or option in self.options_by_recipe[recipe]

    def has_part(self, name: PartName) -> bool:
        """Return whether the task has the part ``name``, of its own or by default."""
        return name in self.parts or name in _DEFAULT_PARTS

    def load_part(self, name: PartName) -> Any:
        """Import and return the part ``name``; raise ``UsageError`` where the task has none."""
        if not self.has_part(name):
            raise UsageError(
                _("{task} has no '{part}'.").format(task=self.title, part=name),
                _("Expected a task that supports it."),
            )
        module, _colon, attribute = (self.parts.get(name) or _DEFAULT_PARTS[name]).partition(":")
        imported = import_module(module)
        return getattr(imported, attribute) if attribute else imported

    def select_usable(self, dataset: Dataset) -> Dataset:
        """Return ``dataset`` with the task's own labels, and the images that it cannot use moved to ``rejected``.

        Their kind is ``unlabelled``. Raises ``UsageError`` when no image has a label that the task can learn from.
        """
        require_fit(self, dataset)
        unusable = np.flatnonzero(~self.usable_rows(dataset)).tolist()
        return self.keep_own_labels(dataset.reject_rows({row: self.explain_unusable(dataset, row) for row in unusable}))

    def explain_unusable(self, dataset: Dataset, row: int) -> RejectedItem:
        """Return why the task cannot use the image at ``row``: by default, that it has no label."""
        reason = _("no label for {task}, which needs {what}").format(task=self.title, what=self.label_name)
        return RejectedItem(dataset.images.get_name(row), reason, _("label it, or remove it"), kind="unlabelled")

    def describe_unlabelled(self, dataset: Dataset) -> str:
        """Return the sentence that names the unlabelled images of ``dataset.rejected``; empty where there are none."""
        paths = [item.path for item in dataset.rejected if item.kind == "unlabelled"]
        if not paths:
            return ""
        more = ", ..." if len(paths) > _MAX_NAMED else ""
        return _("Skipped {count:,} images without a label ({task} needs {what}): {names}").format(
            count=len(paths), task=self.title, what=self.label_name, names=", ".join(paths[:_MAX_NAMED]) + more
        )


def require_fit(task: Task, dataset: Dataset) -> None:
    """Raise ``UsageError`` when ``dataset`` has no label that ``task`` can learn from."""
    if task.fits(dataset):
        return
    raise UsageError(
        _("{root} has no labels for {task}: no image has {what}.").format(
            root=dataset.root, task=task.title, what=task.label_name
        ),
        _("Expected images with {what}.").format(what=task.label_name),
        _("Label some images, or give other data."),
    )
