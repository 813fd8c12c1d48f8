"""Tells which tensors of a network a weight file filled; does not load torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lince.i18n import _
from lince.model_card import translate_licence


@dataclass(frozen=True)
class WeightsReport:
    """Which tensors of a network a weight file filled.

    ``fitted_count`` of the network's ``total_count`` tensors were loaded from ``provenance``. ``missing`` are in the
    network alone, ``unexpected`` in the file alone; ``wrong_shape`` holds (name, shape in the file, shape in the
    network). ``class_layers`` are the classification layers that were left out because they belong to other classes.
    ``notes`` are further sentences for the user.
    """

    provenance: str
    licence: str
    fitted_count: int
    total_count: int
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    wrong_shape: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()
    class_layers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def format_lines(self) -> list[str]:
        """Return the report as sentences that name every tensor that did not fit."""
        if self.fitted_count == 0:
            return [_("Weights: random.")]
        lines = [
            _("Weights: {origin} (licence: {licence}), {fitted} of {total} tensors loaded.").format(
                origin=self.provenance,
                licence=translate_licence(self.licence),
                fitted=self.fitted_count,
                total=self.total_count,
            ),
            *self.notes,
        ]
        if self.class_layers:
            lines.append(_("Classifier head replaced; not loaded: {names}.").format(names=", ".join(self.class_layers)))
        return lines + self.describe_misfits()

    def describe_misfits(self, max_names: int | None = None) -> list[str]:
        """Return a sentence for each way in which tensors did not fit.

        Each lists up to ``max_names`` names, all of them for ``None``.
        """
        lines = []
        if self.missing:
            lines.append(
                _("Not in the file, initialised at random: {names}.").format(names=_join_names(self.missing, max_names))
            )
        if self.unexpected:
            lines.append(
                _("In the file, not in the network: {names}.").format(names=_join_names(self.unexpected, max_names))
            )
        if self.wrong_shape:
            shapes = _join_names(
                [f"{name} {file_shape} / {network_shape}" for name, file_shape, network_shape in self.wrong_shape],
                max_names,
            )
            lines.append(_("Different shape (file / network), initialised at random: {shapes}.").format(shapes=shapes))
        return lines


def _join_names(names: Sequence[str], max_names: int | None) -> str:
    """Return ``names`` separated by commas, up to ``max_names`` of them and the number of the rest."""
    if max_names is None or len(names) <= max_names:
        return ", ".join(names)
    return _("{names} and {count} more").format(names=", ".join(names[:max_names]), count=len(names) - max_names)
