"""The interface of all detection networks, on which training and export depend."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from lince.models.pretrained_network import FeatureMaps, PretrainedNetwork

__all__ = ["DetectionTarget", "Detector", "FeatureMaps"]

DetectionTarget = tuple[Tensor, ...]


class Detector(PretrainedNetwork):
    """A network that detects objects of ``num_classes`` classes on images (N, 3, H, W).

    The outputs are those of the decoder ``decoder_name`` in ``lince.postprocess``, in its order, with images along the
    first axis of each.
    """

    decoder_name: str
    num_classes: int
    learns_masks: bool = False  # whether the targets must have masks

    def compute_head_losses(
        self, maps: FeatureMaps, size: tuple[int, int], targets: Sequence[DetectionTarget], is_last_phase: bool
    ) -> dict[str, Tensor]:
        """Return the losses by name, scalars whose sum is minimised.

        ``targets`` has for each image its boxes float32 (K, 4), left, top, right, bottom in pixels of the input of
        ``size`` (height, width), and their class ids int64 (K,); where it learns masks, also what each object covers of
        the cells of the prototypes, uint8 (K, h, w) in 0..255, and which objects have a mask, bool (K,).
        ``is_last_phase`` is true in the last epochs, in which images are not mixed any more.
        """
        raise NotImplementedError

    def compute_losses(
        self, images: Tensor, targets: Sequence[DetectionTarget], is_last_phase: bool = False
    ) -> dict[str, Tensor]:
        """Return the losses for ``images`` by name, as ``compute_head_losses`` does."""
        return self.compute_head_losses(
            self.extract_features(images), (images.shape[2], images.shape[3]), targets, is_last_phase
        )
