"""Augmentation policies: parsing, refusals and round trip through text."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lince.augmentation import OPERATIONS, PRESETS, Policy, PolicyStep, augment, colour, pixel_ops, warp
from lince.augmentation.operations import COLOUR, GEOMETRY, LOCAL
from lince.errors import UsageError
from lince.preprocess import PreprocessSpec

DOCS = Path(__file__).resolve().parents[2] / "docs"

KERAS_OPTIONS = [
    "featurewise_center",
    "samplewise_center",
    "featurewise_std_normalization",
    "samplewise_std_normalization",
    "zca_whitening",
    "zca_epsilon",
    "rotation_range",
    "width_shift_range",
    "height_shift_range",
    "brightness_range",
    "shear_range",
    "zoom_range",
    "channel_shift_range",
    "fill_mode",
    "cval",
    "horizontal_flip",
    "vertical_flip",
    "rescale",
    "preprocessing_function",
    "data_format",
    "validation_split",
    "interpolation_order",
    "dtype",
]


@st.composite
def steps(draw, names):
    operation = OPERATIONS[draw(names)]
    probability = draw(st.floats(0.01, 1.0))
    if operation.is_switch:
        return PolicyStep(operation.name, probability=probability)
    ends = sorted(draw(st.tuples(*[st.floats(operation.low, operation.high)] * 2)))
    return PolicyStep(operation.name, *ends, probability=probability)


@st.composite
def policies(draw):
    names = draw(st.lists(st.sampled_from(sorted(OPERATIONS)), unique=True, max_size=10))
    chosen = tuple(draw(steps(st.just(name))) for name in names)
    return Policy(chosen, draw(st.sampled_from(["auto", "reflect", "nearest", "wrap"])))


@given(policies())
def test_a_policy_reads_back_from_its_text(policy):
    again = Policy.parse(str(policy))
    assert again == Policy(tuple(step for step in policy if not step.is_no_op), policy.fill)


@given(st.text(alphabet="abcdefghijklmnoprstuwxyz_.,-0123456789 p", max_size=60))
def test_any_text_is_read_or_refused_with_a_reason(text):
    refused = None
    try:
        policy = Policy.parse(text)
    except UsageError as error:
        refused = error
    if refused:
        assert refused.problem
        assert refused.expected
    else:
        assert Policy.parse(str(policy)) == policy


@pytest.mark.parametrize("name", PRESETS)
def test_presets_read_back_and_describe_every_step(name):
    policy = Policy.parse(name)
    assert Policy.parse(str(policy)) == policy
    lines = policy.describe()
    assert [line.partition(":")[0] for line in lines[: len(policy)]] == [step.name for step in policy]


def test_presets_change_more_and_more_and_digits_are_never_flipped():
    ramp = np.tile(np.linspace(0, 255, 64, dtype=np.uint8)[None, :, None], (64, 1, 3))
    changes = []
    for name in ("none", "light", "medium", "strong"):
        rng = np.random.default_rng(0)
        copies = [augment(ramp, Policy.parse(name), rng, PreprocessSpec(64, 64)).image for _i in range(60)]
        changes.append(np.abs(np.stack(copies).astype(int) - ramp).mean())
    assert changes[0] == 0
    assert changes == sorted(changes)
    assert not {"flip_x", "flip_y", "quarter_turn"} & {step.name for step in Policy.parse("digits")}


def test_ranges_probabilities_and_aliases():
    policy = Policy.parse("rotation 15, zoom -0.1..0.3 p 0.5, crop 0.4, flip, jpeg 30, fill constant 20")
    assert set(policy) == {
        PolicyStep("rotation", -15, 15),
        PolicyStep("zoom", -0.1, 0.3, 0.5),
        PolicyStep("crop", 0.4, 1.0),
        PolicyStep("flip_x", probability=0.5),
        PolicyStep("jpeg", 30, 100),
    }
    assert (policy.fill, policy.fill_value) == ("constant", 20)


def test_a_preset_with_changes():
    changed = {step.name: step for step in Policy.parse("medium, rotation 30, hue 0, flip_x 0")}
    whole = {step.name: step for step in Policy.parse("medium")}
    assert changed["rotation"] == PolicyStep("rotation", -30, 30)
    assert set(whole) - set(changed) == {"hue", "flip_x"}
    assert changed["zoom"] == whole["zoom"]


def test_the_order_of_the_list_does_not_matter():
    assert Policy.parse("noise 5, zoom 0.1, rotation 3") == Policy.parse("rotation 3, noise 5, zoom 0.1")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rotatoin 15", "rotation, quarter_turn"),
        ("rotation 200", "from -180.0 to 180.0"),
        ("brightness 1.5", "from -0.9 to 4.0"),
        ("rotation", "rotation 0.1"),
        ("rotation x", "'rotation x' cannot be read"),
        ("rotation nan", "cannot be read"),
        ("rotation 1 2", "cannot be read"),
        ("rotation 5..-5", "Expected a number from 5.0"),
        ("flip_x 2", "from 0.0 to 1.0"),
        ("flip_x 0.5 p 0.5", "followed by its probability"),
        ("blur 2 p 1.5", "blur probability"),
        ("rotation 5, rotation 6", "contains rotation twice"),
        ("zoom 0.1, medium", "operation cannot be 'medium'"),
        ("fill purple", "auto, reflect, nearest, wrap, constant"),
        ("fill constant 300", "from 0 to 255"),
        ("fill reflect 3", "cannot be read"),
        ("fill", "cannot be read"),
    ],
)
def test_invalid_policies_are_refused_with_the_valid_choices(text, says):
    with pytest.raises(UsageError) as caught:
        Policy.parse(text)
    assert says in str(caught.value)
    assert caught.value.exit_code == 2


def test_an_empty_policy_says_so():
    assert str(Policy()) == "none"
    assert Policy.parse("") == Policy.parse("none") == Policy()
    assert Policy().describe() == []


def test_every_operation_is_carried_out():
    """A row of the table alone is read, and changes nothing."""
    carried_out = {
        GEOMETRY: [*warp._FRAME_OPERATIONS, *warp._CENTRED_OPERATIONS, "shift_x", "shift_y"],
        COLOUR: [*colour._MATRIX_OPERATIONS, *colour._POINTWISE_OPERATIONS],
        LOCAL: [*pixel_ops._LOCAL_OPERATIONS],
    }
    for group, names in carried_out.items():
        assert sorted(names) == sorted(one.name for one in OPERATIONS.values() if one.group == group), group


def test_amounts_fill_their_range_and_probabilities_hold():
    policy = Policy.parse("rotation -5..20, blur 2 p 0.3, flip_x 0.5")
    rng = np.random.default_rng(0)
    drawn = [policy.sample(rng) for _i in range(4000)]
    angles = np.array([one["rotation"][0] for one in drawn])
    assert -5 <= angles.min() < -4.9 < 19.9 < angles.max() <= 20
    assert angles.mean() == pytest.approx(7.5, abs=0.4)
    assert np.mean(["blur" in one for one in drawn]) == pytest.approx(0.3, abs=0.03)
    assert np.mean(["flip_x" in one for one in drawn]) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("page", ["augmentation.md", "es/augmentation.md", "pt/augmentation.md"])
def test_the_page_lists_every_operation_with_its_limits(page):
    text = (DOCS / page).read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)\|$", text, re.MULTILINE))
    assert OPERATIONS.keys() <= rows.keys()
    for operation in OPERATIONS.values():
        limits = "" if operation.is_switch else f"{operation.low:g} … {operation.high:g}"
        assert limits in rows[operation.name], operation.name


@pytest.mark.parametrize("page", ["augmentation.md", "es/augmentation.md", "pt/augmentation.md"])
def test_the_page_answers_every_keras_option_and_every_preset(page):
    text = (DOCS / page).read_text("utf-8")
    assert not [name for name in KERAS_OPTIONS if f"| `{name}` |" not in text]
    for operation in OPERATIONS.values():
        if operation.keras_argument:
            row = next(line for line in text.splitlines() if line.startswith(f"| `{operation.keras_argument}` |"))
            assert f"`{operation.name}" in row
    for name, policy in PRESETS.items():
        assert f"`{name}`" in text
        assert policy in text
