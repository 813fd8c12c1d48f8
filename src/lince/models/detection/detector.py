"""What every network that finds objects has in common, whatever it is made of; trainer and export know only this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from lince.models.blocks import FreezableNetwork

FeatureMaps = tuple[Tensor, ...]
DetectionTarget = tuple[Tensor, Tensor]


class Detector(FreezableNetwork):
    """A network that finds objects of ``classes`` classes on images (N, 3, H, W).

    It works in two parts: ``maps`` is all below the head, ``answers`` is the head, and ``forward`` is both. The
    outputs are those of the kind ``decoding`` in ``lince.postprocess``, in its order, images along the first axis of each.
    """

    decoding: str
    classes: int

    def extract_features(self, images: Tensor) -> FeatureMaps:
        """Return what the head reads of ``images`` (N, 3, H, W)."""
        raise NotImplementedError

    def run_head(self, maps: FeatureMaps, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """Return what the decoder reads, given ``maps`` of images of ``size`` (height, width)."""
        raise NotImplementedError

    def compute_head_losses(
        self, maps: FeatureMaps, size: tuple[int, int], targets: Sequence[DetectionTarget], is_last_phase: bool
    ) -> dict[str, Tensor]:
        """Return the parts of the loss, scalars whose sum is learnt from, by name.

        ``targets`` holds for each image its boxes float32 (K, 4), left, top, right, bottom in pixels of the input of
        ``size``, and their class ids int64 (K,); ``last`` says that this is one of the last epochs, where images are
        no longer mixed.
        """
        raise NotImplementedError

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return what the decoder reads of ``images`` (N, 3, H, W)."""
        return self.run_head(self.extract_features(images), (images.shape[2], images.shape[3]))

    def compute_losses(
        self, images: Tensor, targets: Sequence[DetectionTarget], is_last_phase: bool = False
    ) -> dict[str, Tensor]:
        """Return the parts of the loss for ``images``, as ``learn`` does."""
        return self.compute_head_losses(
            self.extract_features(images), (images.shape[2], images.shape[3]), targets, is_last_phase
        )

    def get_backbone(self) -> nn.Module:
        """Return the part that weights of a classifier can fill: all of it, where there is no such part."""
        return self

    def adapt_key(self, name: str) -> str:
        """Return how this network calls the tensor ``name`` of a published file: alike, unless said otherwise."""
        return name

    def adapt_state_dict(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a published file under the names, and in the pieces, that this network has."""
        return {self.adapt_key(name): value for name, value in state.items()}

    def is_class_layer(self, name: str) -> bool:
        """Return whether the shape of the tensor ``name`` depends on the classes, so that other weights lack it."""
        raise NotImplementedError
