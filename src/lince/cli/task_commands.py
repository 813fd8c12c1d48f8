"""What a task adds to the command line: options of ``predict``, and the lines that show its results."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

import lince
from lince.annotations import RejectedItem
from lince.cli.console import Console
from lince.errors import DataError
from lince.i18n import _
from lince.models.classification.registry import ModelEntry
from lince.progress import SILENT


class TaskCommands:
    """The lines and options of one task; these ones serve any task that brings none of its own.

    ``predict_options`` are the names (argparse ``dest``) of the options of ``predict`` that the task understands.
    """

    predict_options: ClassVar[tuple[str, ...]] = ()

    def add_predict_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of ``lince predict`` that only models of this task understand."""

    def run_predict(self, model: Any, arguments: argparse.Namespace, console: Console) -> None:
        """Predict every image of ``arguments.source``; print a line for each, and write what ``--save`` asks for."""
        results = self.predict_images(model.predict_many, arguments, console)
        written = [str(lince.save_answers(results, arguments.save))] if arguments.save else []
        predictions = [result.to_dict() for result in results if not isinstance(result, RejectedItem)]
        lines = [_("Written: {path}").format(path=path) for path in written]
        console.print_result({"predictions": predictions, "written": written}, lines)

    def predict_images(self, predict_many: Any, arguments: argparse.Namespace, console: Console) -> list[Any]:
        """Return all results of ``predict_many`` on ``arguments.source``, each printed as it comes.

        Raises ``DataError`` when none of the files is a readable image.
        """
        # Where a person watches the lines come, a progress bar would be in their way.
        is_watched = sys.stdout.isatty() and not console.as_json
        results: list[Any] = []
        for result in predict_many(arguments.source, progress=SILENT if is_watched else console):
            results.append(result)
            if isinstance(result, RejectedItem):
                console.show_message(_("Skipped: {what}").format(what=result))
            elif not console.as_json:
                print(self.format_result(result, arguments))
        if all(isinstance(result, RejectedItem) for result in results):
            raise DataError(
                _("No readable image among the files given ({count}).").format(count=len(results)),
                _("Expected at least one photo."),
            )
        return results

    def format_result(self, result: Any, arguments: argparse.Namespace) -> str:
        """Return the line that shows one result."""
        del arguments
        values = "  ".join(f"{key} {value}" for key, value in result.to_dict().items() if key != "file")
        return f"{result.name}  {values}"

    def list_metric_lines(self, metrics: Any) -> list[str]:
        """Return the lines that ``lince evaluate`` prints of ``metrics``."""
        return [f"{name}: {value}" for name, value in metrics.to_dict().items()]

    def describe_test_result(self, test: Mapping[str, Any], headline: str) -> str:
        """Return the line that ``lince train`` prints in the end; ``test`` is that of ``report.json``."""
        return f"{headline}: {test[headline]}"

    def list_model_lines(self, entries: Mapping[str, ModelEntry], latencies: Mapping[str, float]) -> list[str]:
        """Return the table of ``lince models``; ``latencies`` are milliseconds by name, empty if not measured."""
        del latencies
        return list(entries)


DEFAULT_COMMANDS = TaskCommands()
