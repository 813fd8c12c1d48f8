"""Options and output of segmentation on the command line."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lince.annotations import RejectedItem
from lince.cli import framewise_video
from lince.cli.console import Console
from lince.cli.model_table import format_model_table
from lince.cli.options import parse_decimal
from lince.cli.output_options import DEFAULT_FOLDER, resolve_output_folder
from lince.cli.segmentation import metric_lines
from lince.cli.task_commands import TaskCommands, VideoRunner, describe_count
from lince.errors import UsageError
from lince.i18n import _, translate_plural
from lince.inference.length_scale import UNITS, LengthScale
from lince.inference.segmentation import tables
from lince.inference.segmentation.predictor import SegmentationPredictor
from lince.inference.segmentation.result import SegmentationResult
from lince.inference.segmentation.sliced_inference import SlicingSegmenter
from lince.inference.segmentation.tables import SegmentationOutcome
from lince.models.classification.registry import ModelEntry
from lince.number_format import format_count, format_percent, format_significant

if TYPE_CHECKING:
    from lince.inference.video.framewise_video import FramewiseVideos
    from lince.inference.video.segmented_video import SegmentedVideo

_UNIT_SPELLINGS = {"µm": "um", "μm": "um", **{unit: unit for unit in UNITS}}  # the micro sign, and the Greek letter


class SegmentationCommands(TaskCommands):
    """Lines with the part of a photo that each class covers; options for units and labels."""

    shared_options: ClassVar[frozenset[str]] = frozenset({"to", "slice"})

    def add_predict_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of segmentation models."""
        group = parser.add_argument_group(
            _("segmentation models (a class for each pixel)"),
            _(
                "--to, as above, saves the photos with what was found as labels to correct: coco, yolo, labelme or "
                "masks. --slice also predicts tiles of large photos at full resolution, for fine structures."
            ),
        )
        group.add_argument(
            "--scale",
            metavar=_("LENGTH"),
            help=_("width of a pixel in um, mm, cm or m, one for all photos: with 0.12mm, areas are in mm², too"),
        )

    def predict_photos(
        self, model: SegmentationPredictor, arguments: argparse.Namespace, console: Console
    ) -> tuple[dict[str, Any], list[str]]:
        """Predict every image, print and write the results.

        The JSON document is that of ``tables.build_json_record`` with ``written`` and ``lost``.
        """
        scale = parse_scale(arguments.scale) if arguments.scale else None
        model = SlicingSegmenter.from_predictor(model) if arguments.slice else model
        folder = _requested_folder(arguments)

        def predict_scaled(images: Any, progress: Any) -> Iterator[SegmentationOutcome]:
            for result in model.predict_many(images, progress=progress):
                yield result if isinstance(result, RejectedItem) else replace(result, scale=scale)

        results = self.predict_images(predict_scaled, arguments, console)
        written, losses = _save_results(results, folder, arguments.to, console) if folder else ([], [])
        if arguments.csv:
            written.insert(0, str(tables.save_csv(results, arguments.csv)))
        if console.as_json:
            return {**tables.build_json_record(results), "written": written, "lost": losses}, []
        lines = [*summarise_segments(results, scale), *(_("Written: {path}").format(path=path) for path in written)]
        return {}, [*lines, *(_("Lost in the conversion: {what}").format(what=loss) for loss in losses)]

    def prepare_video(
        self, model: SegmentationPredictor, arguments: argparse.Namespace, console: Console
    ) -> VideoRunner:
        """Return what segments the frames of one video; its JSON document is that of ``SegmentedVideo.to_dict``.

        Raises ``UsageError`` for ``--to`` without photos, and for ``--slice``.
        """
        if arguments.slice or (arguments.to and not arguments.images):
            raise UsageError(
                _("{options} cannot be used with videos.").format(options="--slice" if arguments.slice else "--to"),
                _("Expected photos."),
            )
        make_videos = partial(_make_framewise, model, arguments.scale)
        return framewise_video.prepare_video(make_videos, arguments, console, summarise_video)

    def open_video_table(
        self, model: SegmentationPredictor, arguments: argparse.Namespace
    ) -> AbstractContextManager[Any]:
        """Open the table of ``--csv`` for the frames of all videos; ``None`` without the option, and with photos."""
        return framewise_video.open_table(partial(_make_framewise, model, arguments.scale), arguments)

    def format_result(self, result: SegmentationResult, arguments: argparse.Namespace) -> str:
        """Return an image and its classes: "photo.jpg  cat 31.2%, dog 4.0%"."""
        del arguments
        return f"{result.name}  {result.describe()}"

    def list_metric_lines(self, metrics: Any) -> list[str]:
        """Return the figures of an evaluation."""
        return metric_lines.list_metric_lines(metrics)

    def describe_test_result(self, test: Mapping[str, Any], headline: str) -> str:
        """Return the test mIoU with its interval."""
        del headline
        return metric_lines.describe_test_result(test)

    def list_model_lines(self, entries: Mapping[str, ModelEntry], latencies: Mapping[str, float]) -> list[str]:
        """Return the table of the backbones, followed by what else can be chosen."""
        columns = ([_("network"), _("pixels")], lambda entry: [entry.pretrained_name, str(entry.size)])
        return [
            *format_model_table(entries, latencies, columns),
            "",
            _("Also accepted: any timm model with feature maps of strides 4 to 32, by name."),
        ]


def parse_scale(text: str) -> LengthScale:
    """Return the scale in ``0.12mm``, ``0,12 mm``, ``2um`` or ``2µm``; raise ``UsageError`` for anything else."""
    match = re.fullmatch(r"([0-9.,]+)\s*([^\W\d]+)", text.strip())
    unit = _UNIT_SPELLINGS.get(match[2]) if match else None
    if match is None or unit is None:
        raise UsageError(
            _("--scale cannot be '{text}'.").format(text=text),
            _("Expected the width of a pixel in um, mm, cm or m, such as 0.12mm."),
        )
    return LengthScale(parse_decimal(match[1]), unit)


def summarise_segments(outcomes: Sequence[SegmentationOutcome], scale: LengthScale | None) -> list[str]:
    """Return the number of images and what each class covers of them, and what the scale means."""
    results = [result for result in outcomes if isinstance(result, SegmentationResult)]
    lines = [describe_count(_("{used:,} of {total:,} photos segmented"), outcomes)]
    for one in tables.sum_by_class(results):
        line = _("{name}: in {photos} of them, {share} of all photos on average").format(
            name=one.name, photos=format_count(one.photos), share=format_percent(one.mean_share)
        )
        if scale is not None and one.area is not None:
            total = f"{format_significant(one.area)} {scale.area_unit}"
            line += _(", {area} in all").format(area=total)
        lines.append(line)
    empty_count = sum(not result.list_regions() for result in results)
    if empty_count:
        lines.append(_("background only in {count:,} of them").format(count=empty_count))
    if scale is not None:
        lines.append(
            _(
                "Areas are in {unit}, for photos of which each pixel shows {length} {name} of a flat surface seen from "
                "straight ahead."
            ).format(
                unit=scale.area_unit, length=format_significant(scale.length), name=scale.area_unit.removesuffix("²")
            )
        )
    return lines


def summarise_video(result: SegmentedVideo) -> list[str]:
    """Return the number of frames, and what each class covers of them."""
    text = translate_plural(
        "{count:,} frame segmented, {seconds:.1f} s", "{count:,} frames segmented, {seconds:.1f} s", result.frame_count
    )
    lines = [text.format(count=result.frame_count, seconds=result.seconds)]
    text = _("{name}: in {count} frames, {share} of all on average, at most {most} (at {time:.1f} s)")
    lines += [
        text.format(
            name=record["name"],
            count=format_count(record["frames"]),
            share=format_percent(record["mean_share"]),
            most=format_percent(record["largest_share"]),
            time=record["largest_at"],
        )
        for record in result.list_figures()["classes"]
        if record["frames"]
    ]
    if result.empty_count:
        lines.append(_("frames of background only: {count}").format(count=format_count(result.empty_count)))
    return lines


def _make_framewise(model: SegmentationPredictor, scale: str | None) -> FramewiseVideos[SegmentedVideo]:
    """Return how ``model`` processes videos, with areas where ``--scale`` is given."""
    from lince.inference.video import segmented_video  # noqa: PLC0415  # imports what videos need

    return segmented_video.make_framewise(model, parse_scale(scale) if scale else None)


def _save_results(
    results: Sequence[SegmentationOutcome], folder: Path, to: str | None, console: Console
) -> tuple[list[str], list[str]]:
    """Write the results into ``folder``; return the paths, and what the label format ``to`` cannot hold."""
    # Drawing and the writers of label formats take time to load, which the help page and plain predictions save.
    from lince.inference.segmentation import results_folder  # noqa: PLC0415

    saved = results_folder.save_segments(results, folder, to, console)
    return list(map(str, saved.paths)), list(saved.losses)


def _requested_folder(arguments: argparse.Namespace) -> Path | None:
    """Return the new folder to write to; ``None`` when nothing is to be written."""
    if arguments.to:
        from lince.inference.segmentation.pseudo_labels import require_label_format  # noqa: PLC0415

        require_label_format(arguments.to)
    save = DEFAULT_FOLDER if arguments.to and arguments.save is None else arguments.save
    return resolve_output_folder(save, arguments.source)


COMMANDS = SegmentationCommands()
