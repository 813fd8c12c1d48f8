"""The interface of all detection networks, on which training and export depend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from lince.models.blocks import FreezableNetwork

FeatureMaps = tuple[Tensor, ...]
DetectionTarget = tuple[Tensor, ...]


class Detector(FreezableNetwork):
    """A network that detects objects of ``num_classes`` classes on images (N, 3, H, W).

    It has two parts: ``extract_features`` is everything below the head, ``run_head`` is the head, and ``forward`` is
    both. The outputs are those of the decoder ``decoder_name`` in ``lince.postprocess``, in its order, with images
    along the first axis of each.
    """

    decoder_name: str
    num_classes: int
    learns_masks: bool = False  # whether the targets must have masks

    def extract_features(self, images: Tensor) -> FeatureMaps:
        """Return the feature maps of ``images`` (N, 3, H, W), everything that the head reads."""
        raise NotImplementedError

    def run_head(self, maps: FeatureMaps, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """Return the outputs for the feature ``maps`` of inputs of ``size`` (height, width)."""
        raise NotImplementedError

    def compute_head_losses(
        self, maps: FeatureMaps, size: tuple[int, int], targets: Sequence[DetectionTarget], is_last_phase: bool
    ) -> dict[str, Tensor]:
        """Return the losses by name, scalars whose sum is minimised.

        ``targets`` has for each image its boxes float32 (K, 4), left, top, right, bottom in pixels of the input of
        ``size`` (height, width), and their class ids int64 (K,); where it learns masks, also what each object covers of
        the cells of the prototypes, uint8 (K, h, w) in 0..255, and which objects have a mask, bool (K,). ``is_last_phase`` is true in the last epochs, in which
        images are not mixed any more.
        """
        raise NotImplementedError

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs for ``images`` (N, 3, H, W)."""
        return self.run_head(self.extract_features(images), (images.shape[2], images.shape[3]))

    def compute_losses(
        self, images: Tensor, targets: Sequence[DetectionTarget], is_last_phase: bool = False
    ) -> dict[str, Tensor]:
        """Return the losses for ``images`` by name, as ``compute_head_losses`` does."""
        return self.compute_head_losses(
            self.extract_features(images), (images.shape[2], images.shape[3]), targets, is_last_phase
        )

    def get_backbone(self) -> nn.Module:
        """Return the part that weights of a classifier can be loaded into; the whole network where there is none."""
        return self

    def adapt_key(self, name: str) -> str:
        """Return the name in this network of the tensor ``name`` of a published file; unchanged by default."""
        return name

    def adapt_state_dict(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a published file with this network's names, split where it fuses several of ours."""
        return {self.adapt_key(name): value for name, value in state.items()}

    def is_class_layer(self, name: str) -> bool:
        """Return whether the shape of the tensor ``name`` depends on the number of classes.

        Such tensors cannot be loaded from weights for other classes.
        """
        raise NotImplementedError
