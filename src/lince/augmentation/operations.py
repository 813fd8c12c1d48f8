"""The table of augmentation operations: names, groups, units, ranges and descriptions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lince.i18n import _

LazyText = Callable[[], str]  # called when the text is shown, to translate it into the current language
GEOMETRY = "geometry"
COLOUR = "colour"
LOCAL = "local"


@dataclass(frozen=True)
class AugmentationOperation:
    """One augmentation operation.

    ``low`` and ``high`` limit the amounts that a policy may ask for; ``neutral`` is the amount that changes nothing.
    Each time, ``amount_count`` amounts are drawn uniformly from the range of the policy. A single number v in a policy
    means the range -v..v where ``symmetric``, else the range between v and ``neutral``. An operation without amounts
    is a switch: it has only a probability.

    ``extra_count`` is the number of further random numbers 0..1 that the operation needs, such as a position.
    ``keras_argument`` names the equivalent argument of Keras' ``ImageDataGenerator``, for the documentation.
    """

    name: str
    group: str
    description: LazyText
    unit: LazyText = str
    low: float = 0.0
    high: float = 1.0
    neutral: float = 0.0
    symmetric: bool = False
    amount_count: int = 1
    extra_count: int = 0
    keras_argument: str = ""

    @property
    def is_switch(self) -> bool:
        """Whether the operation has no amount, only a probability."""
        return self.amount_count == 0

    def expand_range(self, value: float) -> tuple[float, float]:
        """Return the range (low, high) that the single number ``value`` in a policy stands for."""
        if self.symmetric:
            return -abs(value), abs(value)
        return min(value, self.neutral), max(value, self.neutral)


def _symmetric_operation(
    name: str, group: str, description: LazyText, unit: LazyText, limit: float, keras_argument: str = ""
) -> AugmentationOperation:
    """Return an operation whose amounts range from -``limit`` to ``limit``."""
    return AugmentationOperation(
        name, group, description, unit, -limit, limit, symmetric=True, keras_argument=keras_argument
    )


def _factor_operation(name: str, group: str, description: LazyText, keras_argument: str = "") -> AugmentationOperation:
    """Return an operation that multiplies by 1 + amount; amounts are -0.9 to 4."""
    return AugmentationOperation(
        name, group, description, lambda: _("relative change"), -0.9, 4.0, symmetric=True, keras_argument=keras_argument
    )


def _switch_operation(
    name: str, group: str, description: LazyText, extra_count: int = 0, keras_argument: str = ""
) -> AugmentationOperation:
    """Return an operation without amounts."""
    return AugmentationOperation(
        name, group, description, amount_count=0, extra_count=extra_count, keras_argument=keras_argument
    )


_TABLE = (
    _symmetric_operation(
        "rotation",
        GEOMETRY,
        lambda: _("rotates the image, anticlockwise when positive"),
        lambda: _("degrees"),
        180.0,
        "rotation_range",
    ),
    _switch_operation(
        "quarter_turn", GEOMETRY, lambda: _("rotates the image by 90, 180 or 270 degrees"), extra_count=1
    ),
    _symmetric_operation(
        "shift_x",
        GEOMETRY,
        lambda: _("shifts the image horizontally"),
        lambda: _("fraction of the width"),
        0.9,
        "width_shift_range",
    ),
    _symmetric_operation(
        "shift_y",
        GEOMETRY,
        lambda: _("shifts the image vertically"),
        lambda: _("fraction of the height"),
        0.9,
        "height_shift_range",
    ),
    _symmetric_operation("shear_x", GEOMETRY, lambda: _("horizontal shear"), lambda: _("degrees"), 60.0, "shear_range"),
    _symmetric_operation("shear_y", GEOMETRY, lambda: _("vertical shear"), lambda: _("degrees"), 60.0),
    _factor_operation("zoom", GEOMETRY, lambda: _("enlarges the image (shrinks it when negative)"), "zoom_range"),
    _factor_operation(
        "stretch", GEOMETRY, lambda: _("changes the aspect ratio: wider when positive, narrower when negative")
    ),
    _switch_operation("flip_x", GEOMETRY, lambda: _("flips the image horizontally"), keras_argument="horizontal_flip"),
    _switch_operation("flip_y", GEOMETRY, lambda: _("flips the image vertically"), keras_argument="vertical_flip"),
    AugmentationOperation(
        "perspective",
        GEOMETRY,
        lambda: _("moves each corner by up to this much (perspective)"),
        lambda: _("fraction of the side"),
        0.0,
        0.24,
        extra_count=8,
    ),
    AugmentationOperation(
        "crop",
        GEOMETRY,
        lambda: _("takes a random crop and resizes it to the full size"),
        lambda: _("fraction of the area"),
        0.01,
        1.0,
        neutral=1.0,
        extra_count=2,
    ),
    _factor_operation(
        "saturation", COLOUR, lambda: _("changes the saturation: stronger colours when positive, paler when negative")
    ),
    _symmetric_operation(
        "hue",
        COLOUR,
        lambda: _("shifts the hue, keeping the brightness"),
        lambda: _("degrees"),
        180.0,
    ),
    _switch_operation("greyscale", COLOUR, lambda: _("converts the image to greyscale")),
    _switch_operation("autocontrast", COLOUR, lambda: _("stretches each channel to the full range (autocontrast)")),
    _switch_operation("equalize", COLOUR, lambda: _("equalises the histogram of each channel")),
    _factor_operation("gamma", COLOUR, lambda: _("changes the gamma: darker mid-tones when positive")),
    _factor_operation(
        "brightness", COLOUR, lambda: _("changes the brightness: multiplies the pixel values"), "brightness_range"
    ),
    _factor_operation("contrast", COLOUR, lambda: _("changes the contrast around the image's mean grey")),
    AugmentationOperation(
        "channel_shift",
        COLOUR,
        lambda: _("adds a different random value to each channel"),
        lambda: _("levels"),
        -255.0,
        255.0,
        symmetric=True,
        amount_count=3,
        keras_argument="channel_shift_range",
    ),
    _switch_operation("invert", COLOUR, lambda: _("inverts the colours (negative)")),
    AugmentationOperation(
        "solarize",
        COLOUR,
        lambda: _("inverts the pixel values from this level up (solarize)"),
        lambda: _("level"),
        0.0,
        256.0,
        neutral=256.0,
    ),
    AugmentationOperation(
        "posterize",
        COLOUR,
        lambda: _("keeps only this many bits per channel (posterize)"),
        lambda: _("bits"),
        1.0,
        8.0,
        neutral=8.0,
    ),
    AugmentationOperation(
        "sharpness",
        LOCAL,
        lambda: _("sharpens edges (softens them when negative)"),
        lambda: _("relative change"),
        -1.0,
        4.0,
        symmetric=True,
    ),
    AugmentationOperation(
        "blur", LOCAL, lambda: _("Gaussian blur with this standard deviation"), lambda: _("pixels"), 0.0, 20.0
    ),
    AugmentationOperation(
        "noise", LOCAL, lambda: _("adds Gaussian noise with this standard deviation"), lambda: _("levels"), 0.0, 128.0
    ),
    AugmentationOperation(
        "salt_pepper",
        LOCAL,
        lambda: _("turns pixels white or black (salt-and-pepper noise)"),
        lambda: _("fraction of the pixels"),
        0.0,
        1.0,
    ),
    AugmentationOperation(
        "jpeg",
        LOCAL,
        lambda: _("adds JPEG compression artefacts at this quality"),
        lambda: _("quality"),
        1.0,
        100.0,
        100.0,
    ),
    AugmentationOperation(
        "erasing",
        LOCAL,
        lambda: _("covers a rectangle with random pixels (random erasing)"),
        lambda: _("fraction of the area"),
        0.0,
        0.9,
        extra_count=3,
    ),
)
OPERATIONS = {operation.name: operation for operation in _TABLE}
ALIASES = {
    "flip": "flip_x",
    "grayscale": "greyscale",
    "solarise": "solarize",
    "posterise": "posterize",
    "equalise": "equalize",
}
FILLS = ("auto", "reflect", "nearest", "wrap", "constant")
