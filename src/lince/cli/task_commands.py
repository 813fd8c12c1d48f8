"""Base class of what a task adds to the command line: options of ``lince predict``, and lines of output."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

import lince
from lince import outputs
from lince.annotations import RejectedItem
from lince.cli.console import Console
from lince.errors import UsageError
from lince.i18n import _
from lince.inference.media import VideoItem
from lince.inference.result import require_results
from lince.models.classification.registry import ModelEntry
from lince.progress import SILENT

# Processes one video and writes into a folder, if one is given; returns its JSON document and its lines.
VideoRunner = Callable[[VideoItem, Path | None], tuple[dict[str, Any], list[str]]]


class TaskCommands:
    """The options and the output of one task. This base class serves the tasks that have none of their own.

    ``shared_options`` are the names of options that another task adds and that models of this one support, too.
    """

    shared_options: ClassVar[frozenset[str]] = frozenset()

    def add_predict_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of ``lince predict`` that only models of this task support.

        Models of other tasks refuse each option added here whose value differs from its default.
        """

    def add_video_options(self, parser: argparse._ActionsContainer) -> None:
        """Add the options that only videos support, of models of this task; ``add_predict_options`` adds them, too."""

    def predict_photos(
        self, model: Any, arguments: argparse.Namespace, console: Console
    ) -> tuple[dict[str, Any], list[str]]:
        """Predict every image of ``arguments.images``, print a line for each, and write the files of ``--save``.

        Returns the JSON document and the lines that are printed at the end.
        """
        self.require_save_folder(arguments)
        results = self.predict_images(model.predict_many, arguments, console)
        written = [str(self.save_answers(results, arguments))] if arguments.save else []
        predictions = [result.to_dict() for result in results if not isinstance(result, RejectedItem)]
        lines = [_("Written: {path}").format(path=path) for path in written]
        return {"predictions": predictions, "written": written}, lines

    def prepare_video(self, model: Any, arguments: argparse.Namespace, console: Console) -> VideoRunner:
        """Return what processes one video by the options in ``arguments``; raise ``UsageError`` for wrong ones."""
        del arguments, console
        raise UsageError(
            _("{model} cannot be used with videos.").format(model=model.card.model),
            _("Expected photos, or a model that classifies or detects."),
        )

    def open_video_table(self, model: Any, arguments: argparse.Namespace) -> AbstractContextManager[Any]:
        """Open what all videos of one command are listed in together; ``None`` where the task has no such table."""
        del model, arguments
        return nullcontext()

    def require_save_folder(self, arguments: argparse.Namespace) -> None:
        """Raise ``UsageError`` when the results may not be written into the folder of ``--save``."""
        if arguments.save:
            outputs.require_output_folder(
                arguments.save, outputs.ANSWERS, overwrite=arguments.overwrite, sources=arguments.source
            )

    def save_answers(self, results: list[Any], arguments: argparse.Namespace) -> Path:
        """Write the results into the folder of ``--save`` and return it."""
        return lince.save_answers(results, arguments.save, overwrite=arguments.overwrite)

    def predict_images(self, predict_many: Any, arguments: argparse.Namespace, console: Console) -> list[Any]:
        """Return the results of ``predict_many`` on ``arguments.images``, each printed as soon as it is there.

        Rejected images are among the results. Raises ``DataError`` when no image can be read.
        """
        # On a terminal, the lines themselves show the progress, and a bar would be in their way.
        prints_to_terminal = sys.stdout.isatty() and not console.as_json
        results: list[Any] = []
        for result in predict_many(arguments.images, progress=SILENT if prints_to_terminal else console):
            results.append(result)
            if isinstance(result, RejectedItem):
                console.show_message(_("Skipped: {what}").format(what=result))
            elif not console.as_json:
                print(self.format_result(result, arguments))
        require_results(results)
        return results

    def format_result(self, result: Any, arguments: argparse.Namespace) -> str:
        """Return the line that shows ``result``."""
        del arguments
        values = "  ".join(f"{key} {value}" for key, value in result.to_dict().items() if key != "file")
        return f"{result.name}  {values}"

    def list_metric_lines(self, metrics: Any) -> list[str]:
        """Return the lines that ``lince evaluate`` prints."""
        return [f"{name}: {value}" for name, value in metrics.to_dict().items()]

    def describe_test_result(self, test: Mapping[str, Any], headline: str) -> str:
        """Return the line that ``lince train`` prints at the end.

        ``test`` is the object of that key in ``report.json``; ``headline`` is the key of the headline metric in it.
        """
        return f"{headline}: {test[headline]}"

    def list_model_lines(self, entries: Mapping[str, ModelEntry], latencies: Mapping[str, float]) -> list[str]:
        """Return the table of ``lince models``; ``latencies`` are milliseconds by name, empty where not measured."""
        del latencies
        return list(entries)


def describe_count(text: str, outcomes: Sequence[Any]) -> str:
    """Return ``text`` with ``used`` and ``total``, the predicted photos and all photos, and how many files are none."""
    others = sum(isinstance(outcome, RejectedItem) and outcome.kind == "other-file" for outcome in outcomes)
    own = sum(isinstance(outcome, RejectedItem) and outcome.kind == "own-output" for outcome in outcomes)
    used = sum(not isinstance(outcome, RejectedItem) for outcome in outcomes)
    line = text.format(used=used, total=len(outcomes) - others - own)
    if not others:
        return line
    return f"{line} (" + _("files that are no photos: {count:,}").format(count=others) + ")"


def list_given_options(
    add_options: Callable[[argparse.ArgumentParser], object],
    arguments: argparse.Namespace,
    left_out: Container[str] = (),
) -> list[str]:
    """Return those of the options that ``add_options`` adds whose value in ``arguments`` differs from the default.

    Options whose names are in ``left_out`` are not among them.
    """
    parser = argparse.ArgumentParser(add_help=False)
    add_options(parser)
    typed = getattr(arguments, "typed_flags", {})
    return [
        typed.get(action.dest, action.option_strings[0])
        for action in parser._actions
        if action.dest not in left_out and getattr(arguments, action.dest) != action.default
    ]


DEFAULT_COMMANDS = TaskCommands()
