"""The one table of operations: parsing, drawing, describing and the documentation all read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lince.i18n import _

LazyText = Callable[[], str]  # asked when it is shown, so that it speaks the language then in force
GEOMETRY = "geometry"
COLOUR = "colour"
LOCAL = "local"


@dataclass(frozen=True)
class Operation:
    """One way to alter an image.

    An amount is drawn between the two ends of a range; ``low`` and ``high`` are the limits of what may be asked, and
    ``neutral`` is the amount that changes nothing. One number v means -v to v where ``mirrored``, else from v to
    ``neutral``. A switch (``amounts`` 0) has no amount, only a probability. ``extras`` counts further draws in 0..1
    (a position, say). ``keras`` names the ImageDataGenerator option that it replaces.
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
        """Whether it is either done or not, with no amount to choose."""
        return self.amount_count == 0

    def expand_range(self, value: float) -> tuple[float, float]:
        """Return the range that the single number ``value`` stands for."""
        if self.symmetric:
            return -abs(value), abs(value)
        return min(value, self.neutral), max(value, self.neutral)


def _symmetric_operation(
    name: str, group: str, description: LazyText, unit: LazyText, limit: float, keras_argument: str = ""
) -> Operation:
    return Operation(name, group, description, unit, -limit, limit, symmetric=True, keras_argument=keras_argument)


def _factor_operation(name: str, group: str, description: LazyText, keras_argument: str = "") -> Operation:
    return Operation(
        name, group, description, lambda: _("relative change"), -0.9, 4.0, symmetric=True, keras_argument=keras_argument
    )


def _switch_operation(
    name: str, group: str, description: LazyText, extra_count: int = 0, keras_argument: str = ""
) -> Operation:
    return Operation(name, group, description, amount_count=0, extra_count=extra_count, keras_argument=keras_argument)


_TABLE = (
    _symmetric_operation(
        "rotation",
        GEOMETRY,
        lambda: _("turns the image, anticlockwise when positive"),
        lambda: _("degrees"),
        180.0,
        "rotation_range",
    ),
    _switch_operation("quarter_turn", GEOMETRY, lambda: _("turns the image by 90, 180 or 270 degrees"), extra_count=1),
    _symmetric_operation(
        "shift_x",
        GEOMETRY,
        lambda: _("moves the image sideways"),
        lambda: _("share of the width"),
        0.9,
        "width_shift_range",
    ),
    _symmetric_operation(
        "shift_y",
        GEOMETRY,
        lambda: _("moves the image up or down"),
        lambda: _("share of the height"),
        0.9,
        "height_shift_range",
    ),
    _symmetric_operation(
        "shear_x", GEOMETRY, lambda: _("slants upright lines"), lambda: _("degrees"), 60.0, "shear_range"
    ),
    _symmetric_operation("shear_y", GEOMETRY, lambda: _("slants level lines"), lambda: _("degrees"), 60.0),
    _factor_operation("zoom", GEOMETRY, lambda: _("enlarges the image (shrinks it when negative)"), "zoom_range"),
    _factor_operation("stretch", GEOMETRY, lambda: _("makes the image wider for its height (narrower when negative)")),
    _switch_operation("flip_x", GEOMETRY, lambda: _("mirrors left and right"), keras_argument="horizontal_flip"),
    _switch_operation("flip_y", GEOMETRY, lambda: _("mirrors top and bottom"), keras_argument="vertical_flip"),
    Operation(
        "perspective",
        GEOMETRY,
        lambda: _("moves each corner by up to this much"),
        lambda: _("share of the side"),
        0.0,
        0.24,
        extra_count=8,
    ),
    Operation(
        "crop",
        GEOMETRY,
        lambda: _("cuts out a window anywhere and enlarges it to the whole"),
        lambda: _("share of the area"),
        0.01,
        1.0,
        neutral=1.0,
        extra_count=2,
    ),
    _factor_operation("saturation", COLOUR, lambda: _("makes colours stronger (paler when negative)")),
    _symmetric_operation(
        "hue",
        COLOUR,
        lambda: _("turns colours around the colour circle, keeping their brightness"),
        lambda: _("degrees"),
        180.0,
    ),
    _switch_operation("greyscale", COLOUR, lambda: _("takes the colours out")),
    _switch_operation("autocontrast", COLOUR, lambda: _("stretches each channel to the whole range")),
    _switch_operation("equalize", COLOUR, lambda: _("spreads the levels of each channel evenly")),
    _factor_operation(
        "gamma", COLOUR, lambda: _("changes the exponent of the levels: darker middle tones when positive")
    ),
    _factor_operation("brightness", COLOUR, lambda: _("multiplies the levels"), "brightness_range"),
    _factor_operation(
        "contrast", COLOUR, lambda: _("moves the levels away from the image's mean grey (towards it when negative)")
    ),
    Operation(
        "channel_shift",
        COLOUR,
        lambda: _("adds to each channel an amount of its own"),
        lambda: _("levels"),
        -255.0,
        255.0,
        symmetric=True,
        amount_count=3,
        keras_argument="channel_shift_range",
    ),
    _switch_operation("invert", COLOUR, lambda: _("turns the image into its negative")),
    Operation(
        "solarize",
        COLOUR,
        lambda: _("inverts the levels from this one up"),
        lambda: _("level"),
        0.0,
        256.0,
        neutral=256.0,
    ),
    Operation(
        "posterize",
        COLOUR,
        lambda: _("keeps only this many bits of each level"),
        lambda: _("bits"),
        1.0,
        8.0,
        neutral=8.0,
    ),
    Operation(
        "sharpness",
        LOCAL,
        lambda: _("sharpens edges (softens them when negative)"),
        lambda: _("relative change"),
        -1.0,
        4.0,
        symmetric=True,
    ),
    Operation("blur", LOCAL, lambda: _("blurs with a Gaussian of this deviation"), lambda: _("pixels"), 0.0, 20.0),
    Operation("noise", LOCAL, lambda: _("adds Gaussian noise of this deviation"), lambda: _("levels"), 0.0, 128.0),
    Operation(
        "salt_pepper", LOCAL, lambda: _("turns pixels white or black"), lambda: _("share of the pixels"), 0.0, 1.0
    ),
    Operation(
        "jpeg",
        LOCAL,
        lambda: _("leaves the traces of JPEG compression at this quality"),
        lambda: _("quality"),
        1.0,
        100.0,
        100.0,
    ),
    Operation(
        "erasing",
        LOCAL,
        lambda: _("covers a rectangle with random levels"),
        lambda: _("share of the area"),
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
