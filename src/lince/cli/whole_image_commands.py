"""Base class of the commands of tasks that judge whole images: predictions, files, videos, and the table of models."""

from __future__ import annotations

import argparse
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

from lince.cli import framewise_video
from lince.cli.console import Console
from lince.cli.model_table import format_model_table
from lince.cli.task_commands import TaskCommands, VideoRunner, describe_count
from lince.i18n import _, translate_plural
from lince.inference import image_results_file
from lince.inference.image_results_file import ImageOutcome
from lince.inference.whole_image_predictor import WholeImagePredictor
from lince.models.classification.registry import ModelEntry
from lince.number_format import MISSING_VALUE, format_percent

if TYPE_CHECKING:
    from lince.inference.video.classified_video import ClassifiedVideo
    from lince.inference.video.framewise_video import FramewiseVideos


class WholeImageCommands(TaskCommands, ABC):
    """The output of ``lince predict`` for one task: lines for photos, tables, and the summaries of videos."""

    @abstractmethod
    def summarise_photos(self, results: Sequence[ImageOutcome], arguments: argparse.Namespace) -> str:
        """Return the line after all predictions."""

    @abstractmethod
    def summarise_video(self, result: ClassifiedVideo) -> list[str]:
        """Return the lines on the classes of the frames of a video."""

    def count_json_classes(self, arguments: argparse.Namespace) -> int | None:
        """Return the number of classes in each record of the JSON document; ``None`` for all."""
        top: int | None = arguments.top
        return top

    def apply_model_options(self, model: Any, arguments: argparse.Namespace) -> Any:
        """Return ``model`` with the options that change what it says, on images and on videos alike."""
        del arguments
        return model

    def predict_photos(
        self, model: WholeImagePredictor[Any], arguments: argparse.Namespace, console: Console
    ) -> tuple[dict[str, Any], list[str]]:
        """Predict every image, print a line for each, and write the files of ``--csv`` and ``--save``.

        The JSON document is that of ``image_results_file.build_json_record`` with ``written``, the paths of the files.
        """
        model = self.apply_model_options(model, arguments)
        self.require_save_folder(arguments)
        predict_many = partial(model.predict_many, truth=arguments.truth or "auto")
        results = self.predict_images(predict_many, arguments, console)
        written = self._write_files(arguments, results)
        if console.as_json:
            record = image_results_file.build_json_record(results, self.count_json_classes(arguments))
            return {**record, "written": written}, []
        return {}, [
            self.summarise_photos(results, arguments),
            *(_("Written: {path}").format(path=path) for path in written),
        ]

    def prepare_video(
        self, model: WholeImagePredictor[Any], arguments: argparse.Namespace, console: Console
    ) -> VideoRunner:
        """Return what predicts the frames of one video; its JSON document is that of ``ClassifiedVideo.to_dict``."""
        make_videos = partial(_make_framewise, self.apply_model_options(model, arguments))
        return framewise_video.prepare_video(make_videos, arguments, console, self._list_video_lines)

    def open_video_table(
        self, model: WholeImagePredictor[Any], arguments: argparse.Namespace
    ) -> AbstractContextManager[Any]:
        """Open the table of ``--csv`` for the frames of all videos; ``None`` without the option, and with photos."""
        return framewise_video.open_table(partial(_make_framewise, model), arguments)

    def _list_video_lines(self, result: ClassifiedVideo) -> list[str]:
        """Return the lines on the frames of a video and their classes."""
        text = translate_plural(
            "{count:,} frame classified, {seconds:.1f} s",
            "{count:,} frames classified, {seconds:.1f} s",
            result.frame_count,
        )
        return [text.format(count=result.frame_count, seconds=result.seconds), *self.summarise_video(result)]

    def _write_files(self, arguments: argparse.Namespace, results: list[ImageOutcome]) -> list[str]:
        """Write the files that were requested and return their paths."""
        written = []
        if arguments.csv:
            written.append(str(image_results_file.save_csv(results, arguments.csv)))
        if arguments.save:
            folder = self.save_answers(results, arguments)
            written += [str(folder / name) for name in self.list_saved_names(arguments) if (folder / name).exists()]
        return written

    def list_saved_names(self, arguments: argparse.Namespace) -> list[str]:
        """Return the names of what ``save_answers`` may write into its folder."""
        del arguments
        return [image_results_file.CSV_NAME, image_results_file.JSON_NAME, image_results_file.SHEET_NAME]

    def list_model_lines(self, entries: Mapping[str, ModelEntry], latencies: Mapping[str, float]) -> list[str]:
        """Return the table of the presets, followed by what else can be chosen.

        The columns are the network, its parameters, multiply-accumulates per image, published ImageNet top-1 accuracy
        and the licence of its weights; with ``latencies``, milliseconds per image.
        """
        return [
            *format_model_table(
                entries,
                latencies,
                ([_("network")], lambda entry: [entry.pretrained_name]),
                ([_("ImageNet top-1")], lambda entry: [_format_top1(entry.top1)]),
            ),
            "",
            _("Also accepted: cnn, 'cnn: LAYERS' defined by you, and any timm model by name."),
            _("Layer by layer: lince models NAME"),
        ]


def _format_top1(top1: float | None) -> str:
    """Return the published accuracy of a network, a dash where there is none."""
    return MISSING_VALUE if top1 is None else format_percent(top1 / 100)


def _make_framewise(model: WholeImagePredictor[Any]) -> FramewiseVideos[ClassifiedVideo]:
    """Return how ``model`` processes videos."""
    from lince.inference.video import classified_video  # noqa: PLC0415  # imports what videos need

    return classified_video.make_framewise(model)


def list_photo_counts(results: Sequence[ImageOutcome], text: str, correct_text: str) -> str:
    """Return ``text`` with ``used`` and ``total``, and where the truth is known ``correct_text``.

    Its placeholders are ``right`` and ``known``, the numbers of correct predictions and of all, and ``share``.
    """
    record = image_results_file.build_json_record(results)
    parts = [describe_count(text, results)]
    if "known" in record:
        share = format_percent(record["right"] / record["known"])
        parts.append(correct_text.format(right=record["right"], known=record["known"], share=share))
    if record.get("seen"):
        parts.append(
            _("not counted as correct or wrong: {seen:,} that trained this model or were its validation photos").format(
                seen=record["seen"]
            )
        )
    return "; ".join(parts)
