"""Builds what is the same for every task in a finished run: facts for the report and the card, and the report files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lince.annotations import NOTICE_KINDS, RejectedItem
from lince.config import TrainConfig
from lince.datasets import Dataset
from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.report import DataSummary, ModelFacts, Report, write_html, write_json, write_markdown
from lince.model_card import ModelCard
from lince.models.weights_source import WeightsSource
from lince.preprocess import PreprocessSpec
from lince.splits import SPLITS
from lince.tasks import Task
from lince.training import run_folder
from lince.training.environment import collect_environment
from lince.training.plan import TrainingPlan
from lince.training.recipe_options import list_used_settings
from lince.training.run_folder import TrainingRun
from lince.version import __version__

_PLANNED_OPTIONS = ("epochs", "batch", "rate", "label_smoothing", "monitor", "patience", "mosaic")


@dataclass(frozen=True)
class RunFacts:
    """What the model card and the report of a run have in common.

    Attributes:
        task: name of the task.
        dataset: the usable images, each in a split.
        config: the configuration of the run.
        spec: how an image becomes the network's input.
        network: facts of the network, of ``collect_network_facts`` (JSON).
        data: summary of ``dataset``, of ``collect_data_facts``.
        settings: the options that the run used, of ``collect_settings``.
    """

    task: str
    dataset: Dataset
    config: TrainConfig
    spec: PreprocessSpec
    network: Mapping[str, Any]
    data: DataSummary
    settings: Mapping[str, Any]

    def build_card(
        self, metrics: Mapping[str, ConfidenceInterval], parity: Mapping[str, Any], **task_fields: Any
    ) -> ModelCard:
        """Return the model card; ``task_fields`` are those fields of ``ModelCard`` that only the task knows.

        ``metrics`` are on the test images; ``parity`` is the record of the check of ``model.onnx``.
        """
        return ModelCard(
            task=self.task,
            classes=self.dataset.classes,
            preprocess=self.spec,
            model=self.network["name"],
            licence=self.network["licence"],
            source=self.network["source"],
            data={
                "fingerprint": self.data.fingerprint,
                "used": self.data.used_count,
                "total": self.data.total_count,
                "splits": self.data.splits,
            },
            metrics={name: interval.to_dict() for name, interval in metrics.items()},
            parity=dict(parity),
            lince=__version__,
            **task_fields,
        )

    def build_report_fields(self) -> dict[str, Any]:
        """Return those fields of ``Report`` that are the same for every task, as keyword arguments."""
        return {
            "title": self.dataset.root.name or str(self.dataset.root),
            "task": self.task,
            "data": self.data,
            "model": collect_model_facts(self.network, self.spec),
            "config": dict(self.settings),
            "environment": collect_environment(),
        }


def write_report_files(run: TrainingRun, report: Report) -> None:
    """Write ``report.html``, ``report.md`` and ``report.json``; the last is written last and marks a finished run."""
    write_html(report, run.report_page)
    write_markdown(report, run.folder / f"{run_folder.REPORT_STEM}.md")
    write_json(report, run.folder / f"{run_folder.REPORT_STEM}.json")


def collect_data_facts(dataset: Dataset, keys: list[str]) -> DataSummary:
    """Return the data section of the report; ``keys`` are the content digests of the images, in row order."""
    rows_by_split = {name: dataset.get_split_indices(number) for name, number in SPLITS.items()}
    return DataSummary(
        root=str(dataset.root),
        format=dataset.format,
        used_count=dataset.used_count,
        total_count=dataset.total_count,
        splits={name: len(rows) for name, rows in rows_by_split.items()},
        counts={name: dataset.select(rows).count_per_class() for name, rows in rows_by_split.items()},
        fingerprint=dataset.compute_fingerprint(keys),
        rejected=dataset.rejected,
    )


def collect_evaluation_fields(
    card: ModelCard, dataset: Dataset, keys: Sequence[str], rejected: Sequence[RejectedItem]
) -> dict[str, Any]:
    """Return the fields of the ``Report`` of an evaluation of the model of ``card`` on all images of ``dataset``.

    ``keys`` are their content digests; ``rejected`` is what could not be used.
    """
    lost = sum(item.kind not in NOTICE_KINDS for item in rejected)
    spec = card.preprocess
    return {
        "title": dataset.root.name or str(dataset.root),
        "task": card.task,
        "recipe": "",
        "is_evaluation": True,
        "data": DataSummary(
            root=str(dataset.root),
            format=dataset.format,
            used_count=dataset.used_count,
            total_count=dataset.used_count + lost,
            splits={"test": len(dataset)},
            counts={"test": dataset.count_per_class()},
            fingerprint=dataset.compute_fingerprint(list(keys)),
            rejected=tuple(rejected),
        ),
        "model": ModelFacts(
            card.model, card.source, card.licence, 0, 0, 0, f"{spec.width} × {spec.height} × {spec.channel_count}"
        ),
    }


def collect_settings(run: TrainingRun, task: Task, config: TrainConfig, policy: str) -> dict[str, Any]:
    """Return the options that ``run`` used, by name: those of ``config``, and what was chosen for those left open.

    ``policy`` is the augmentation policy in text form. Fractions of splits that the data brought are left out.
    """
    settings = list_used_settings(task, config)
    chosen: dict[str, Any] = {"augment": policy}
    plan_path = run.folder / run_folder.PLAN_FILE
    if plan_path.is_file():
        plan = TrainingPlan.load(plan_path)
        chosen |= {name: getattr(plan, name) for name in _PLANNED_OPTIONS}
    settings |= {name: value for name, value in chosen.items() if task.uses_option(config.recipe, name)}
    given_splits = run_folder.read_given_splits(run)
    return {name: value for name, value in settings.items() if not given_splits.get(name)}


def collect_network_facts(source: WeightsSource, params: int, trainable: int, macs: int) -> dict[str, Any]:
    """Return the facts of a network built from ``source`` as a JSON object, for ``collect_model_facts`` and the card.

    ``params`` and ``trainable`` count parameters, ``macs`` multiply-accumulates per image. The licence is that of the
    implementation where it is copyleft, else that of the weights.
    """
    entry = source.entry
    return {
        "name": entry.identifier if source.kind != "file" else entry.name_without_tag,
        "source": source.provenance,
        "licence": entry.licence if entry.copyleft_notice else source.licence,
        "params": params,
        "trainable": trainable,
        "macs": macs,
    }


def collect_model_facts(facts: Mapping[str, Any], spec: PreprocessSpec) -> ModelFacts:
    """Return the model section of the report from ``facts`` of ``collect_network_facts``."""
    return ModelFacts(
        name=facts["name"],
        source=facts["source"],
        licence=facts["licence"],
        params=facts["params"],
        trainable=facts["trainable"],
        macs=facts["macs"],
        input=f"{spec.width} × {spec.height} × {spec.channel_count}",
    )
