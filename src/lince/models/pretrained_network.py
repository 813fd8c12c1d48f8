"""The interface of networks of a body and a head that may start from published weights."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from lince.models.blocks import FreezableNetwork

FeatureMaps = tuple[Tensor, ...]


class PretrainedNetwork(FreezableNetwork):
    """A network of two parts: ``extract_features`` is everything below the head, ``run_head`` is the head.

    ``forward`` is both.
    """

    def extract_features(self, images: Tensor) -> FeatureMaps:
        """Return the feature maps of ``images`` (N, 3, H, W), everything that the head reads."""
        raise NotImplementedError

    def run_head(self, maps: FeatureMaps, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """Return the outputs for the feature ``maps`` of inputs of ``size`` (height, width)."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs for ``images`` (N, 3, H, W)."""
        return self.run_head(self.extract_features(images), (images.shape[2], images.shape[3]))

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
