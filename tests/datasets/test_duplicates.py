"""Duplicate search: altered copies are found, other photos are not, a second search uses the cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from lince import images
from lince.datasets import image_stats, open_dataset
from lince.datasets.content_cache import ContentCache
from lince.datasets.duplicates import candidates, comparisons
from lince.datasets.duplicates.alignment import align_thumbnails, compute_similarity
from lince.datasets.duplicates.hashes import MIRROR_BITS, compute_hamming_distances, compute_perceptual_hashes
from lince.datasets.duplicates.search import DuplicatePair, compute_fingerprints, find_duplicates


def picture(seed: int, height: int = 180, width: int = 240) -> Image.Image:
    """Return an image of soft and sharp shapes that differs from that of any other seed."""
    rng = np.random.default_rng(seed)
    canvas = np.asarray(
        Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(
            (width, height), Image.Resampling.BICUBIC
        )
    ).copy()
    for _shape in range(25):
        y, x = rng.integers(0, height - 12), rng.integers(0, width - 12)
        canvas[y : y + rng.integers(4, 60), x : x + rng.integers(4, 60)] = rng.integers(0, 256, 3)
    return Image.fromarray(canvas)


def cut(share: float) -> Callable[[Image.Image], Image.Image]:
    def alter(image: Image.Image) -> Image.Image:
        width, height = image.size
        return image.crop((round(width * share), 0, width, round(height * (1 - share))))

    return alter


ALTERED: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half the size": lambda image: image.resize((120, 90)),
    "squeezed": lambda image: image.resize((150, 180)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.25),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "mirrored": ImageOps.mirror,
    "cut": cut(0.04),
    "turned a little": lambda image: image.rotate(2, Image.Resampling.BICUBIC, fillcolor=(128, 128, 128)),
    "coarse JPEG": lambda image: Image.fromarray(images.decode_image(images.encode_jpeg(np.asarray(image), 30))),
}


def folders(root: Path, pictures: dict[str, Image.Image]) -> Path:
    for name, image in pictures.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    return root


def names(root: Path, pairs: tuple[DuplicatePair, ...]) -> set[tuple[str, str, bool]]:
    dataset = open_dataset(root)
    return {
        (*sorted(dataset.images.get_name(row) for row in (pair.first, pair.second)), pair.is_near_duplicate)
        for pair in pairs
    }


@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED)
def test_an_altered_copy_is_found_and_other_photos_are_not(awkward: Path, alter) -> None:
    originals = {f"a/{seed}.png": picture(seed) for seed in range(12)}
    copies = {f"b/{seed} copia.png": alter(picture(seed)) for seed in range(0, 12, 3)}
    root = folders(awkward / "fotos", originals | copies)
    found = names(root, find_duplicates(open_dataset(root)))
    assert found == {(f"a/{seed}.png", f"b/{seed} copia.png", True) for seed in range(0, 12, 3)}


def test_the_same_file_is_told_from_the_same_picture(awkward: Path) -> None:
    root = folders(awkward / "fotos", {"a/1.png": picture(1), "a/2.bmp": picture(1), "b/3.png": picture(3)})
    for name in ("b/again.png", "b/other ending.jpg"):
        (root / name).write_bytes((root / "a/1.png").read_bytes())
    found = names(root, find_duplicates(open_dataset(root)))
    assert found == {
        ("a/1.png", "b/again.png", False),
        ("a/1.png", "b/other ending.jpg", False),
        ("a/1.png", "a/2.bmp", True),
    }


def test_flat_and_tiny_pictures_are_no_copies_of_each_other(awkward: Path) -> None:
    flat = {f"a/{value}.png": Image.new("RGB", (90, 90), (value, value, value)) for value in (0, 90, 200)}
    tiny = {f"b/{seed}.png": picture(0).resize((28, 28 + seed)) for seed in range(3)}
    root = folders(awkward / "fotos", flat | tiny)
    assert find_duplicates(open_dataset(root)) == ()


def test_unreadable_photos_are_skipped(awkward: Path) -> None:
    root = folders(awkward / "fotos", {"a/1.png": picture(1), "b/1.png": picture(1)})
    for name in ("a/2.png", "b/2.png"):
        (root / name).write_bytes((root / "a/1.png").read_bytes()[:200])
    found = compute_fingerprints(open_dataset(root))
    assert found.short_sides.tolist() == [180, 0, 180, 0]
    assert names(root, find_duplicates(open_dataset(root))) == {("a/1.png", "b/1.png", False)}


def test_a_second_search_decodes_nothing(awkward: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LINCE_CACHE", str(tmp_path / "own"))
    root = folders(awkward / "fotos", {f"a/{seed}.png": picture(seed) for seed in range(3)} | {"b/x.png": picture(2)})
    before = find_duplicates(open_dataset(root))
    assert [pair.is_near_duplicate for pair in before] == [False]
    monkeypatch.setattr(images, "decode_image", lambda *_arguments: pytest.fail("an image was decoded again"))
    assert find_duplicates(open_dataset(root)) == before
    for shard in (tmp_path / "own").glob("*/*.columns"):
        shard.write_bytes(shard.read_bytes()[:-9])
    monkeypatch.undo()
    monkeypatch.setenv("LINCE_CACHE", str(tmp_path / "own"))
    assert find_duplicates(open_dataset(root)) == before


def test_large_sets_are_compared_by_quarters_of_their_hashes(awkward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = {f"a/{seed}.png": picture(seed) for seed in range(8)} | {"b/x.png": ALTERED["darker"](picture(5))}
    root = folders(awkward / "fotos", pictures)
    monkeypatch.setattr(candidates, "_MAX_EXHAUSTIVE", 1)
    assert names(root, find_duplicates(open_dataset(root))) == {("a/5.png", "b/x.png", True)}


def test_a_hash_follows_its_mirror_image() -> None:
    thumbs = np.stack([np.asarray(picture(seed).convert("L").resize((64, 64))) for seed in range(20)])
    turned = compute_perceptual_hashes(np.ascontiguousarray(thumbs[:, :, ::-1])) ^ MIRROR_BITS
    assert int(compute_hamming_distances(compute_perceptual_hashes(thumbs), turned).max()) <= 1
    assert (
        int(
            compute_hamming_distances(
                compute_perceptual_hashes(thumbs)[:, None], compute_perceptual_hashes(thumbs)[None]
            )[np.triu_indices(20, 1)].min()
        )
        > 14
    )


def test_similarity_is_structural_similarity() -> None:
    one, other = (np.asarray(picture(seed).convert("L").resize((64, 64))) for seed in (1, 2))
    assert compute_similarity(one, one) == pytest.approx(1)
    assert compute_similarity(one, (one // 2 + 60).astype(np.uint8)) > 0.95
    assert compute_similarity(one, other) < 0.3
    assert compute_similarity(np.zeros((64, 64), np.uint8), one) < 0.3


def test_real_photos(shared: Path) -> None:
    dataset = open_dataset(shared / "data" / "raccoon", format="voc")
    pairs = find_duplicates(dataset)
    exact = {
        (dataset.images.get_name(pair.first), dataset.images.get_name(pair.second))
        for pair in pairs
        if not pair.is_near_duplicate
    }
    assert len(exact) == 4
    assert ("images/raccoon-52.jpg", "images/raccoon-74.jpg") in {
        (dataset.images.get_name(pair.first), dataset.images.get_name(pair.second)) for pair in pairs
    }


def test_equal_frames_of_a_still_video_are_not_compared_pairwise(
    awkward: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = np.asarray(picture(3)).astype(int)
    noise = np.random.default_rng(0)
    frames = {
        f"a/{i:03}.png": Image.fromarray(np.clip(scene + noise.integers(-9, 9, scene.shape), 0, 255).astype(np.uint8))
        for i in range(60)
    }
    asked = []
    monkeypatch.setattr(
        comparisons, "align_thumbnails", lambda one, other: asked.append(1) or align_thumbnails(one, other)
    )
    pairs = find_duplicates(open_dataset(folders(awkward / "film", frames | {"b/x.png": picture(4)}), format="folders"))
    assert len({row for pair in pairs for row in (pair.first, pair.second)}) == 60
    assert 59 <= len(pairs) < 2 * 60
    assert len(asked) < 60 * 59 / 2 / 3


def alike(count: int) -> dict[str, Image.Image]:
    """Return photos of a fixed camera: one scene with noise and a tile that stands elsewhere in each."""
    noise = np.random.default_rng(1)
    frames = {}
    for number in range(count):
        frame = np.asarray(picture(3)).astype(int) + noise.integers(-9, 9, (180, 240, 3))
        frame[20 + 12 * (number % 12) :, 30 + 15 * (number // 2) :][:18, :24] = noise.integers(0, 256, 3)
        frames[f"a/{number:03}.png"] = Image.fromarray(np.clip(frame, 0, 255).astype(np.uint8))
    return frames


def test_frames_of_a_fixed_camera_are_told_from_copies_of_one(awkward: Path) -> None:
    frames = alike(12)
    copies = {f"b/{number}.png": ALTERED["darker"](frames[f"a/{number:03}.png"]) for number in (2, 7)}
    dataset = open_dataset(folders(awkward / "fotos", frames | copies))
    found = {pair for pair in find_duplicates(dataset) if pair.is_same_photo}
    assert {tuple(dataset.images.get_name(row) for row in (pair.first, pair.second)) for pair in found} == {
        ("a/002.png", "b/2.png"),
        ("a/007.png", "b/7.png"),
    }
    assert any(not pair.is_same_photo for pair in find_duplicates(dataset))


def test_a_mirror_image_is_marked(awkward: Path) -> None:
    root = folders(awkward / "fotos", {"a/1.png": picture(1), "b/1.png": ImageOps.mirror(picture(1))})
    (pair,) = find_duplicates(open_dataset(root))
    assert pair.is_turned
    assert pair.is_same_photo


def test_pairs_that_were_compared_are_not_compared_again(
    awkward: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LINCE_CACHE", str(tmp_path / "own"))
    root = folders(awkward / "fotos", alike(14))
    before = find_duplicates(open_dataset(root, format="folders"))
    asked: list[int] = []
    monkeypatch.setattr(
        comparisons, "align_thumbnails", lambda one, other: asked.append(1) or align_thumbnails(one, other)
    )
    assert find_duplicates(open_dataset(root, format="folders")) == before
    assert not asked
    folders(root, {"b/x.png": picture(9)})
    after = find_duplicates(open_dataset(root))
    assert [(pair.first, pair.second) for pair in after] == [(pair.first, pair.second) for pair in before]
    assert len(asked) < 14


def test_equal_contents_are_decoded_once(awkward: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LINCE_CACHE", str(tmp_path / "own"))
    root = folders(awkward / "fotos", {"a/1.png": picture(1), "a/2.png": picture(2)})
    damaged = (root / "a/1.png").read_bytes()[:300]
    for number in range(40):
        (root / f"a/again {number}.png").write_bytes((root / "a/1.png").read_bytes())
        (root / f"a/damaged {number}.png").write_bytes(damaged)
    decoded: list[bytes] = []
    real = images.decode_image
    monkeypatch.setattr(images, "decode_image", lambda data, *size: decoded.append(data) or real(data, *size))
    stats = image_stats.compute_image_stats(open_dataset(root, format="folders"))
    assert len(decoded) == len(set(decoded)) == 3
    assert len(stats.unreadable_images) == stats.keys.count("") == 40
    assert {item.path for item in stats.unreadable_images.values()} == {
        f"a/damaged {number}.png" for number in range(40)
    }
    assert set(stats.columns["width"].tolist()) == {0, 240}


def test_thumbnails_of_many_photos_are_in_a_file(awkward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = open_dataset(
        folders(awkward / "fotos", {f"a/{seed}.png": picture(seed) for seed in range(4)}), format="folders"
    )
    in_memory = compute_fingerprints(dataset).thumbnails
    monkeypatch.setattr(image_stats, "MAX_THUMBNAILS_IN_MEMORY", 3)
    in_file = compute_fingerprints(dataset).thumbnails
    assert isinstance(in_file, np.memmap)
    assert not isinstance(in_memory, np.memmap)
    assert (in_file == in_memory).all()


def test_the_cache_of_contents_stays_below_its_size(tmp_path: Path) -> None:
    keys = [bytes([number]) * 16 for number in range(60)]
    for number, key in enumerate(keys):
        cache = ContentCache(tmp_path, 2, 50_000)
        cache.add([key], {"values": np.full((1, 5000), number, np.uint8)})
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 50_000
    kept = ContentCache(tmp_path, 2, 50_000)
    assert kept.find(keys[-1])["values"].tolist() == [59] * 5000
    assert kept.find(keys[0]) is None
    assert ContentCache(tmp_path, 3, 50_000).find(keys[-1]) is None


def test_small_files_of_the_cache_are_merged(tmp_path: Path) -> None:
    keys = [bytes([number]) * 16 for number in range(80)]
    for number, key in enumerate(keys):
        ContentCache(tmp_path, 1, 10**6).add([key], {"values": np.full((1, 3), number, np.float64)})
    assert len(list(tmp_path.iterdir())) < 40
    kept = ContentCache(tmp_path, 1, 10**6)
    assert [kept.find(key)["values"][0] for key in keys] == list(range(80))
