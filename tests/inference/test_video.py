"""Video prediction: decoding, encoding, tracking and counting; complete output or none."""

from __future__ import annotations

import csv
import io
import json
import signal
import sys
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

av = pytest.importorskip("av")
pytest.importorskip("scipy")

from tests.support import tiny_detector  # noqa: E402

from lince.annotations import Classes, Detections  # noqa: E402
from lince.cli.detection import predict_video  # noqa: E402
from lince.cli.main import main  # noqa: E402
from lince.errors import DataError, UsageError  # noqa: E402
from lince.inference.video import regions  # noqa: E402
from lince.inference.video.byte_track import ByteTracker  # noqa: E402
from lince.inference.video.frames import WHOLE_VIDEO, FrameRange, is_video  # noqa: E402
from lince.inference.video.interrupt import stop_on_interrupt  # noqa: E402
from lince.inference.video.video_extent import _CHECKS as CHECKS  # noqa: E402
from lince.inference.video.video_pipeline import VideoPipeline, run_video  # noqa: E402
from lince.inference.video.video_reader import VideoReader, open_video  # noqa: E402
from lince.inference.video.video_result import LEFT, RIGHT, VideoResult  # noqa: E402

Image = NDArray[np.uint8]
RED, BLUE = (230, 20, 20), (20, 20, 230)
CLASSES = Classes(("rojo", "azul"))


def film(
    path: Path,
    pictures: Sequence[Image],
    times: Sequence[float] | None = None,
    sound: str = "",
    turned: int = 0,
    codec: str = "libx264",
    rate: int = 25,
) -> Path:
    """Write a small video with frames at ``times``."""
    times = [at / rate for at in range(len(pictures))] if times is None else times
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=rate, options={"crf": "5", "g": "12"} if codec == "libx264" else {})
        video.height, video.width, video.pix_fmt = (
            *pictures[0].shape[:2],
            "yuv444p" if codec == "libx264" else "yuv420p",
        )
        video.codec_context.time_base = Fraction(1, 1000) if codec == "libx264" else Fraction(1, rate)
        if turned:
            video.set_display_rotation(turned)
        voice = container.add_stream(sound, rate=44100, layout="mono") if sound else None
        for picture, time in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.time_base = video.codec_context.time_base
            frame.pts = round(time / frame.time_base)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if voice:
            tone = (np.sin(np.arange(int(44100 * times[-1])) / 20) * 0.3).astype(np.float32)
            for at in range(0, len(tone) - 1024, 1024):
                heard = av.AudioFrame.from_ndarray(tone[None, at : at + 1024], format="fltp", layout="mono")
                heard.sample_rate, heard.pts = 44100, at
                container.mux(voice.encode(heard))
            container.mux(voice.encode(None))
    return path


def picture(squares: Sequence[tuple[tuple[int, int, int], int, int]], height: int = 120, width: int = 160) -> Image:
    """Return a grey image with squares of 20 pixels, given by colour, left and top."""
    image = np.full((height, width, 3), 128, np.uint8)
    for colour, left, top in squares:
        image[max(top, 0) : top + 20, max(left, 0) : left + 20] = colour
    return image


def find(images: Sequence[Image]) -> list[Detections]:
    """Return one box around all red pixels and one around all blue ones."""
    return [_find(image.astype(int)) for image in images]


def _find(image: NDArray[np.int_]) -> Detections:
    boxes, numbers = [], []
    for number, channel in enumerate((0, 2)):
        rows, columns = np.nonzero(image[..., channel] - image[..., 2 - channel] > 100)
        if len(rows) > 20:
            boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
            numbers.append(number)
    return Detections(np.array(boxes, float).reshape(-1, 4), np.array(numbers, np.int32), np.full(len(boxes), 0.9, "f"))


def tracker() -> ByteTracker:
    return ByteTracker(lambda numbers: np.full(len(numbers), 0.5, np.float32))


def moving(count: int = 20) -> list[Image]:
    return [picture([(RED, 4 * at, 40)]) for at in range(count)]


def times_of(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_frames_come_with_their_own_times_and_colours(awkward: Path) -> None:
    times = [0.0, 0.04, 0.2, 0.24, 0.5, 1.0, 1.1]
    path = film(awkward / "vídeo ñ.mp4", moving(7), times)
    with open_video(path) as reader:
        frames = list(reader.iter_frames())
    assert [frame.time for frame in frames] == pytest.approx(times, abs=1e-3)
    assert [frame.index for frame in frames] == list(range(7))
    assert np.abs(frames[3].image.astype(int) - moving(7)[3]).mean() < 6
    assert reader.broken_count == 0


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (FrameRange(frame_step=3), [0, 3, 6, 9, 12, 15, 18]),
        (FrameRange(time_step=0.2), [0, 5, 10, 15]),
        (FrameRange(start=0.2, end=0.4), [5, 6, 7, 8, 9]),
        (FrameRange(start=0.2, frame_step=4), [5, 9, 13, 17]),
        (FrameRange(start=9.0), []),
    ],
)
def test_the_part_that_is_asked_for_comes(awkward: Path, part: FrameRange, expected: list[int]) -> None:
    with open_video(film(awkward / "a.mp4", moving()), part) as reader:
        assert [frame.index for frame in reader.iter_frames()] == expected
        assert abs(reader.expected_frames - len(expected)) <= 1


@pytest.mark.parametrize("turned", [90, 180, -90])
def test_a_turned_video_is_read_and_written_upright(awkward: Path, turned: int) -> None:
    path = film(awkward / "a.mp4", moving(4), turned=turned)
    with open_video(path) as reader:
        frame = next(reader.iter_frames())
        expected = np.rot90(moving(1)[0], turned // 90)
        assert reader.size == expected.shape[:2]
        assert np.abs(frame.image.astype(int) - expected).mean() < 6
    run_video(path, VideoPipeline(find, CLASSES), awkward / "out")
    with open_video(awkward / "out" / "video.mp4") as reader:
        assert reader.size == expected.shape[:2]
    with av.open(str(awkward / "out" / "video.mp4")) as container:
        assert next(container.decode(video=0)).rotation == 0


def test_what_is_written_plays_with_its_sound_at_its_times(awkward: Path) -> None:
    times = [0.0, 0.04, 0.2, 0.24, 0.5, 1.0, 1.1]
    path = film(awkward / "a.mp4", moving(7), times, sound="aac")
    watched = run_video(path, VideoPipeline(find, CLASSES), awkward / "out")
    assert times_of(awkward / "out" / "video.mp4") == pytest.approx(times, abs=1e-3)
    with av.open(str(path)) as source, av.open(str(awkward / "out" / "video.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
        ours, theirs = ([bytes(one) for one in file.demux(audio=0) if one.size] for file in (container, source))
        assert len(theirs) > 20
        assert ours == theirs
    assert watched.dropped_audio == ""


def test_audio_that_an_mp4_cannot_hold_is_reported(awkward: Path) -> None:
    path = film(awkward / "a.avi", moving(), sound="mp2", codec="mpeg4")
    watched = run_video(path, VideoPipeline(find, CLASSES), awkward / "out")
    assert watched.dropped_audio.startswith("mp2")
    assert len(times_of(awkward / "out" / "video.mp4")) == 20


def test_odd_sides_grow_by_a_row(awkward: Path) -> None:
    path = film(awkward / "a.mp4", [picture([], 61, 97)] * 3)
    run_video(path, VideoPipeline(find, CLASSES), awkward / "out")
    with open_video(awkward / "out" / "video.mp4") as reader:
        assert reader.size == (62, 98)


def test_corrupted_packets_are_skipped_and_counted(awkward: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 120, 160, 3)).astype(np.uint8)
    path = film(awkward / "a.mp4", list(noise))
    with av.open(str(path)) as container:
        spans = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for at in (10, 20):
        data[spans[at][0] : spans[at][0] + spans[at][1]] = bytes(spans[at][1])
    path.write_bytes(data)
    watched = run_video(path, VideoPipeline(find, CLASSES), awkward / "out")
    assert watched.broken_count >= 2
    assert watched.frame_count + watched.broken_count == 40
    assert len(times_of(awkward / "out" / "video.mp4")) == watched.frame_count


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100])
def test_what_is_no_video_is_refused_and_nothing_is_left(awkward: Path, content: bytes) -> None:
    path = awkward / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as a video"):
        run_video(path, VideoPipeline(find, CLASSES), awkward / "out")
    assert [one.name for one in awkward.iterdir()] == ["a.mp4"]


def test_a_video_that_was_cut_off_is_read_as_far_as_it_goes(awkward: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 120, 160, 3)).astype(np.uint8)
    path = film(awkward / "a.mkv", list(noise))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    watched = run_video(path, VideoPipeline(find, CLASSES), awkward / "out")
    assert 10 < watched.frame_count < 25
    path = film(awkward / "b.mp4", list(noise))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError):
        run_video(path, VideoPipeline(find, CLASSES))


def test_a_missing_camera_is_reported() -> None:
    with pytest.raises(DataError, match=r"camera .*7.* does not respond"):
        run_video("camera:7", VideoPipeline(find, CLASSES))
    with pytest.raises(UsageError, match="is not a camera"):
        run_video("camera:front", VideoPipeline(find, CLASSES))


@pytest.mark.parametrize("where", ["find", "draw"])
def test_a_failure_half_way_leaves_no_files(awkward: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = film(awkward / "a.mp4", moving(60)), []

    def failing(images: Sequence[Image]) -> list[Detections]:
        seen.extend(images)
        if len(seen) > 20:
            raise DataError("half way")
        return find(images)

    def full(*_anything: object) -> bytes:
        raise OSError("disk full")

    if where == "draw":
        monkeypatch.setattr("lince.images.encode_jpeg", full)
    with pytest.raises((DataError, OSError), match=r"half way|disk full"):
        run_video(path, VideoPipeline(failing if where == "find" else find, CLASSES), awkward / "out")
    assert [one.name for one in awkward.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("calls", [1, 2])
def test_ctrl_c_ends_a_camera_and_keeps_what_it_saw(awkward: Path, monkeypatch: pytest.MonkeyPatch, calls: int) -> None:
    monkeypatch.setattr(VideoReader, "is_live", property(lambda _reader: True))
    path, seen = film(awkward / "a.mp4", moving(600)), []

    def interrupted(images: Sequence[Image]) -> list[Detections]:
        seen.extend(images)
        if len(seen) == 24:
            signal.raise_signal(signal.SIGINT)
        time.sleep(0.01)
        return find(images)

    how = VideoPipeline(interrupted, CLASSES, batch_size=4, parallel_calls=calls)
    watched = run_video(path, how, awkward / "out")
    assert 24 <= watched.frame_count <= 48
    assert len(times_of(awkward / "out" / "video.mp4")) == watched.frame_count
    assert len(rows(awkward / "out" / "detections.csv")) == watched.frame_count


def test_the_first_ctrl_c_stops_gracefully_and_the_second_interrupts() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_on_interrupt(True) as wished:
        signal.raise_signal(signal.SIGINT)
        assert wished.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    with stop_on_interrupt(False):
        assert signal.getsignal(signal.SIGINT) is before


def test_tracks_stay_through_a_crossing_and_a_gap() -> None:
    follow, seen = tracker(), []
    for at in range(60):
        boxes = [[4 * at, 40, 4 * at + 20, 60], [240 - 4 * at, 46, 260 - 4 * at, 66]]
        if 40 <= at < 50:
            boxes = boxes[1:]
        found = Detections(np.array(boxes, float), np.zeros(len(boxes), np.int32), np.full(len(boxes), 0.9, "f"))
        seen.append(follow.update(found).track_ids.tolist())
    assert seen[0] == [-1, -1]
    assert seen[1:40] == [[1, 2]] * 39
    assert seen[40:50] == [[2]] * 10
    assert seen[50:] == [[1, 2]] * 10


def test_a_low_score_continues_a_track_and_starts_none() -> None:
    follow = tracker()
    for at in range(20):
        score = 0.2 if 5 <= at < 15 else 0.9
        boxes = np.array([[4.0 * at, 40, 4 * at + 20, 60], [200, 200, 220, 220]])
        followed = follow.update(Detections(boxes, np.zeros(2, np.int32), np.array([score, 0.15], np.float32)))
        assert followed.track_ids.tolist() == ([1] if at else [-1])


def test_lines_and_zones_count_exactly(awkward: Path) -> None:
    there = [picture([(RED, 4 * at, 40), (BLUE, 140 - 4 * at, 90)]) for at in range(35)]
    back = [picture([(RED, 140 - 4 * at, 40)]) for at in range(35)]
    path = film(awkward / "a.mp4", there + back)
    lines = (regions.parse_line("50%,0,50%,100%:medio"), regions.parse_line("0,85,100%,85"))
    zones = (regions.parse_zone("100,0,100%,0,100%,70,100,70:sala"),)
    watched = run_video(path, VideoPipeline(find, CLASSES, WHOLE_VIDEO, tracker(), lines, zones), awkward / "out")
    assert dict(watched.crossing_counts) == {("medio", 0, LEFT): 1, ("medio", 0, RIGHT): 1, ("medio", 1, RIGHT): 1}
    # Seen along the line from top to bottom, a move to the right of the image is a move to the left.
    passings = rows(awkward / "out" / "crossings.csv")
    assert sorted((one["class"], one["way"]) for one in passings) == [
        ("azul", "right"), ("rojo", "left"), ("rojo", "right"),
    ]  # fmt: skip
    stays = rows(awkward / "out" / "dwell.csv")
    assert [(one["zone"], one["class"]) for one in stays] == [("sala", "rojo")]
    # The centre is at x = 100 in frame 22.5, and again on the way back.
    assert float(stays[0]["start"]) == pytest.approx(23 / 25, abs=0.05)
    assert float(stays[0]["end"]) == pytest.approx(46 / 25, abs=0.05)
    assert dict(watched.track_counts) == {0: 1, 1: 1}
    crops = sorted(one.relative_to(awkward / "out" / "crops").as_posix() for one in (awkward / "out").rglob("*.jpg"))
    assert [crop.partition("/")[0] for crop in crops] == ["azul", "rojo"]


def test_tables_list_the_tracks_and_counts(awkward: Path) -> None:
    run_video(film(awkward / "a.mp4", moving(30)), VideoPipeline(find, CLASSES), awkward / "out")
    found = rows(awkward / "out" / "detections.csv")
    assert len(found) == 30
    assert float(found[10]["left"]) == pytest.approx(40, abs=2)
    assert (found[10]["time"], found[10]["frame"], found[10]["class"]) == ("0.400", "10", "rojo")
    assert rows(awkward / "out" / "counts.csv") == [{"second": "0", "rojo": "1"}, {"second": "1", "rojo": "1"}]
    assert len(list((awkward / "out" / "crops" / "rojo").iterdir())) == 2


@pytest.mark.parametrize("text", ["1,2,3", "1,2,3,4,5", "a,b,c,d", "1,1,1,1", "", "1,2,3,4%%"])
def test_a_line_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        regions.parse_line(text)
    with pytest.raises(UsageError):
        regions.parse_zone(text)


def test_times_and_steps_are_read() -> None:
    assert [predict_video.parse_timestamp(text) for text in ("90s", "1:30", "1:02:03.5", "2m")] == [90, 90, 3723.5, 120]
    assert predict_video.parse_frame_range("1:30", "2m", "0.5s") == FrameRange(90, 120, 1, 0.5)
    assert predict_video.parse_frame_range(None, None, "5") == FrameRange(frame_step=5)
    for wrong in (("x", None, None), (None, "1:2:3:4", None), (None, None, "0"), ("2m", "1m", None)):
        with pytest.raises(UsageError):
            predict_video.parse_frame_range(*wrong)
    assert is_video("a.MP4")
    assert is_video("camera:0")
    assert not is_video("a.jpg")


def test_the_command_line_from_video_to_folder(awkward: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tiny_detector.model_folder(awkward / "model")
    path = film(awkward / "a.mp4", [tiny_detector.scene([(0, at // 4, 2)], 128, 128) for at in range(24)])
    out = awkward / "out"
    arguments = ["predict", str(model), str(path), "--save", str(out), "--line", "50%,0,50%,100%:puerta", "--json"]
    assert main(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["frames"] == 24
    assert {Path(one).name for one in told["written"]} == {
        "video.mp4", "detections.csv", "counts.csv", "crossings.csv", "crops",
    }  # fmt: skip
    assert main(arguments) == 2
    assert main(["predict", str(model), str(path), "--from", "0.4s", "--to", "0:00.8"]) == 0
    assert "10 frames processed" in capsys.readouterr().out
    assert main(["predict", str(model), str(model), "--track"]) == 2, "a folder without videos"
    assert main(["predict", str(model), str(path), "--csv", "a.csv"]) == 2


def test_a_missing_part_is_named_with_the_line_to_type(
    awkward: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_detector.model_folder(awkward / "model")
    monkeypatch.delitem(sys.modules, "lince.inference.video.video_pipeline", raising=False)
    monkeypatch.delattr("lince.inference.video.video_pipeline", raising=False)
    monkeypatch.delitem(sys.modules, "lince.inference.video.video_reader", raising=False)
    monkeypatch.setitem(sys.modules, "av", None)
    assert main(["predict", str(model), "a.mp4"]) == 1
    assert '-m pip install -c constraints.txt -e ".[video]"' in capsys.readouterr().err


def test_real_videos(shared: Path, awkward: Path) -> None:
    path = shared / "data" / "videos" / "helmet_workers_rafa.mp4"
    watched = run_video(path, VideoPipeline(find, CLASSES, FrameRange(2.0, 3.0)), awkward / "out")
    assert watched.frame_count == 25
    assert times_of(awkward / "out" / "video.mp4") == pytest.approx([at / 25 for at in range(25)], abs=2e-3)
    with av.open(str(awkward / "out" / "video.mp4")) as container:
        assert float(container.streams.audio[0].duration * container.streams.audio[0].time_base) > 0.9


def test_memory_stays_flat(awkward: Path) -> None:
    """Memory does not grow with the number of frames."""
    path = film(awkward / "a.mp4", [picture([(RED, 4 * (at % 30), 40)], 480, 640) for at in range(200)])
    sizes: list[float] = []

    def measured(images: Sequence[Image]) -> list[Detections]:
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
        sizes.append(next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")))
        return find(images)

    if not Path("/proc/self/status").exists():
        pytest.skip("memory is measured on Linux")
    run_video(path, VideoPipeline(measured, CLASSES, WHOLE_VIDEO, tracker()), awkward / "out")
    # All frames together would be 180 MB.
    assert max(sizes) - sizes[len(sizes) // 4] < 50


# Files that end early, and whole ones, in every container that this build of FFmpeg writes.

CONTAINERS = {
    "mp4": ("a.mp4", "libx264", {}),
    "mp4 for the web": ("a.mp4", "libx264", {"movflags": "+faststart"}),
    "mp4 in fragments": ("a.mp4", "libx264", {"movflags": "frag_keyframe+empty_moov"}),
    "mp4 for DASH": ("a.mp4", "libx264", {"movflags": "+dash+frag_keyframe+empty_moov+global_sidx"}),
    "mov": ("a.mov", "libx264", {"movflags": "+faststart"}),
    "mkv": ("a.mkv", "libx264", {}),
    "mkv without length": ("a.mkv", "libx264", {"live": "1"}),
    "webm": ("a.webm", "libvpx", {}),
    "avi": ("a.avi", "mpeg4", {}),
    "ts": ("a.ts", "libx264", {}),
    "mpeg": ("a.mpg", "mpeg2video", {}),
    "flv": ("a.flv", "flv1", {}),
    "wmv": ("a.wmv", "wmv2", {}),
}
SILENT_ON_LENGTH = ("mkv without length", "ts", "mpeg")
WITH_AUDIO = ("mp4", "mp4 for the web", "mp4 in fragments", "mkv", "ts", "flv")


def contained(folder: Path, kind: str, audio: bool = False) -> Path:
    """Write 30 frames of noise at 25 a second into a container of ``kind``, with a key frame every tenth."""
    name, codec, options = CONTAINERS[kind]
    noise = np.random.default_rng(0).integers(0, 256, (30, 120, 160, 3)).astype(np.uint8)
    with av.open(str(folder / name), "w", options=options) as container:
        try:
            video = container.add_stream(codec, rate=25, options={"g": "10"})
        except (ValueError, av.FFmpegError):
            pytest.skip(f"no encoder for {codec}")
        video.height, video.width, video.pix_fmt = 120, 160, "yuv420p"
        voice = container.add_stream("aac", rate=44100, layout="mono") if audio else None
        for at, image in enumerate(noise):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = at, Fraction(1, 25)
            container.mux(video.encode(frame))
            if voice:
                heard = av.AudioFrame.from_ndarray(np.zeros((1, 1764), np.float32), format="fltp", layout="mono")
                heard.sample_rate, heard.pts = 44100, 1764 * at
                container.mux(voice.encode(heard))
        container.mux(video.encode(None))
        if voice:
            container.mux(voice.encode(None))
    return folder / name


def watch(path: Path, **part: float) -> VideoResult:
    return run_video(path, VideoPipeline(find, CLASSES, FrameRange(**part)))


@pytest.mark.parametrize("kind", CONTAINERS)
@pytest.mark.parametrize("audio", [False, True])
def test_a_whole_video_gives_no_alarm(awkward: Path, kind: str, audio: bool) -> None:
    if audio and kind not in WITH_AUDIO:
        pytest.skip("no audio of this kind")
    watched = watch(contained(awkward, kind, audio))
    assert (watched.frame_count, watched.broken_count) == (30, 0)
    assert not watched.coverage.is_short
    said = predict_video.summarise_video(watched, CLASSES)[2:]
    assert said == [UNKNOWN_LENGTH] * (kind in SILENT_ON_LENGTH)


UNKNOWN_LENGTH = "This file does not say how long it is: whether its end is missing cannot be told."


@pytest.mark.parametrize("kind", CONTAINERS)
@pytest.mark.parametrize("share", [0.5, 0.55, 0.7])
def test_a_video_that_was_cut_off_says_how_much_could_be_read(awkward: Path, kind: str, share: float) -> None:
    path = contained(awkward, kind)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    if kind == "mp4":  # its index was at the end
        with pytest.raises(DataError, match="cannot be read as a video"):
            watch(path)
        return
    watched = watch(path)
    text = "\n".join(predict_video.summarise_video(watched, CLASSES))
    assert 3 < watched.frame_count < 25
    if kind in SILENT_ON_LENGTH and not watched.coverage.is_truncated:  # cut between two packets
        assert UNKNOWN_LENGTH in text
        return
    assert watched.coverage.is_truncated
    assert watched.to_dict(CLASSES)["cut"] is True
    assert f"cut off or damaged: what can be read of it ends at {watched.frame_count / 25:.2f} s" in text
    if watched.coverage.declared_count:
        about = "" if watched.coverage.is_exact else "about "
        assert f"{watched.frame_count} of {about}30 frames could be read." in text
    assert watched.to_dict(CLASSES)["file"]["frames_read"] == watched.frame_count


def test_a_file_that_is_cut_between_two_frames_is_noticed(awkward: Path) -> None:
    for kind in ("mp4 for the web", "mp4 in fragments", "mkv", "webm", "avi", "mov"):
        path = contained(awkward, kind)
        with av.open(str(path)) as container:
            ends = [packet.pos + packet.size for packet in container.demux(video=0) if packet.size]
        path.write_bytes(path.read_bytes()[: ends[14]])
        watched = watch(path)
        assert watched.coverage.is_truncated, kind
        assert watched.frame_count in (14, 15), kind


def test_all_frames_before_a_cut_are_kept(awkward: Path) -> None:
    """With an error in the last packet, a decoder with several threads gave none of the frames that it still held."""
    path = contained(awkward, "mp4 for the web")
    with av.open(str(path)) as container:
        spans = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    path.write_bytes(path.read_bytes()[: spans[15][0] + spans[15][1] // 2])
    watched = watch(path)
    assert (watched.frame_count, watched.broken_count) == (15, 1)


def test_what_is_missing_behind_the_last_frame_is_no_cut(awkward: Path) -> None:
    path = contained(awkward, "mkv")
    path.write_bytes(path.read_bytes()[:-20])  # in the index
    assert not watch(path).coverage.is_short


def test_a_part_before_the_cut_is_complete(awkward: Path) -> None:
    path = contained(awkward, "mp4 for the web")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    watched = watch(path, end=0.2)
    assert watched.frame_count == 5
    assert watched.to_dict(CLASSES)["cut"] is False
    assert len(predict_video.summarise_video(watched, CLASSES)) == 2
    assert watch(path, frame_step=5).coverage.is_short


@pytest.mark.parametrize("kind", ["mp4", "mkv", "webm", "avi", "ts", "flv"])
def test_frames_lost_in_the_middle_are_told(awkward: Path, kind: str) -> None:
    path = contained(awkward, kind)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) * 6 // 10] = bytes(len(data) * 6 // 10 - len(data) // 2)
    path.write_bytes(data)
    watched = watch(path)
    assert 15 <= watched.frame_count < 30
    text = "\n".join(predict_video.summarise_video(watched, CLASSES))
    assert f"{watched.frame_count} of 30 frames could be read." in text or "Gaps without a frame: 1" in text
    assert "cut off" not in text


HEADS = (
    b"",
    b"\0\0\0\x14ftypisom",
    b"RIFF\x20\0\0\0AVI ",
    b"\x1a\x45\xdf\xa3\x84abcd\x18\x53\x80\x67",
    b"\x47" + bytes(187),
)


@given(st.sampled_from(HEADS), st.binary(max_size=200))
def test_a_structure_of_any_bytes_is_read_without_an_error(head: bytes, rest: bytes) -> None:
    for check in CHECKS.values():
        is_whole, is_fragmented = check(io.BytesIO(head + rest), len(head + rest))
        assert is_whole in (True, False, None)
        assert is_fragmented in (True, False)


@pytest.mark.parametrize("kind", ["mp4", "mp4 in fragments", "mov", "mkv", "webm", "avi"])
def test_every_cut_of_a_file_with_a_known_size_is_seen_in_its_structure(awkward: Path, kind: str) -> None:
    path = contained(awkward, kind)
    data = path.read_bytes()
    with av.open(str(path)) as container:
        check = CHECKS[container.format.name]
    assert check(io.BytesIO(data), len(data))[0] is True
    for size in range(100, len(data) - 8, len(data) // 97):
        is_whole, is_fragmented = check(io.BytesIO(data[:size]), size)
        assert is_whole is False or (is_fragmented and is_whole is None), size
    assert check(io.BytesIO(data + bytes(1000)), len(data) + 1000)[0] is True  # padding


def test_frames_that_an_edit_hides_are_not_missed(awkward: Path) -> None:
    path = contained(awkward, "mp4")
    with av.open(str(path)) as source, av.open(str(awkward / "b.mp4"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                shift = round(Fraction(2, 5) / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
                target.mux(packet)
    with av.open(str(awkward / "b.mp4")) as container:
        assert container.streams.video[0].frames == 30
    watched = watch(awkward / "b.mp4")
    assert watched.frame_count == 20
    assert len(predict_video.summarise_video(watched, CLASSES)) == 2


@pytest.mark.parametrize("start", [1.2, 1.5, 90.0])
@pytest.mark.parametrize("kind", ["mp4", "ts"])
def test_a_start_beyond_the_end_is_refused_and_nothing_is_written(awkward: Path, kind: str, start: float) -> None:
    path = contained(awkward, kind)
    for folder in (None, awkward / "out"):
        with pytest.raises(UsageError, match=f"no frame from {start:g} s on: what can be read of it ends at 1.20 s"):
            run_video(path, VideoPipeline(find, CLASSES, FrameRange(start=start)), folder)
    assert [one.name for one in awkward.iterdir()] == [path.name]


def test_a_part_between_two_frames_is_refused(awkward: Path) -> None:
    path = contained(awkward, "mp4")
    with pytest.raises(UsageError, match=r"no frame between 0.41 s and 0.43 s"):
        run_video(path, VideoPipeline(find, CLASSES, FrameRange(0.41, 0.43)), awkward / "out")
    assert [one.name for one in awkward.iterdir()] == [path.name]


def test_the_command_line_tells_of_a_cut_and_refuses_a_late_start(
    awkward: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, path = tiny_detector.model_folder(awkward / "model"), contained(awkward, "mkv")
    assert main(["predict", str(model), str(path), "--from", "5s", "--save", str(awkward / "out")]) == 2
    assert "ends at 1.20 s" in capsys.readouterr().err
    assert not (awkward / "out").exists()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert main(["predict", str(model), str(path), "--save", str(awkward / "out")]) == 0
    assert "15 of about 30 frames could be read." in capsys.readouterr().out
    assert main(["predict", str(model), str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["frames"], told["cut"], told["file"]["frames_declared"]) == (15, True, 30)


@pytest.mark.slow
def test_real_videos_give_no_alarm(shared: Path) -> None:
    for path in sorted((shared / "data" / "videos").glob("*.mp4")):
        watched = run_video(path, VideoPipeline(find, CLASSES, FrameRange(frame_step=50)))
        assert watched.coverage.read_count == watched.coverage.declared_count
        assert watched.coverage.gap_count == 0
