"""Video detection: the pipeline against one step after another, and memory growth over 10,000 frames."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np

from lince.annotations import Classes
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend, count_cores
from lince.inference.detection.predictor import DetectionPredictor
from lince.inference.video.frames import WHOLE_VIDEO, Frame, FrameRange
from lince.inference.video.video_pipeline import BATCH_SIZE, VideoPipeline, run_video
from lince.inference.video.video_reader import open_video
from lince.inference.video.video_writer import open_video_writer
from lince.model_card import NETWORK_FILE, ModelCard

SHARED = Path(__file__).resolve().parents[2] / "shared"
VIDEOS = SHARED / "data" / "videos"
MODEL, WEIGHTS, COUNT = "yolox-nano", SHARED / "weights" / "yolox_nano.pth", 80
LENGTH = 125  # timed frames of each video
FRAMES, GROWTH, SETTLED = 10_000, 50.0, 500
ROUNDS = 3


def run() -> None:
    """Print the seconds for a part of each video in ``../shared``, and the growth of memory in MB."""
    paths = sorted(VIDEOS.glob("*.mp4"))
    if not paths:
        print(f"no videos in {VIDEOS}")
        return
    with tempfile.TemporaryDirectory() as folder:
        model = _model(Path(folder))
        for path in paths:
            _speed(model, path, Path(folder))
        _memory(model, _looped(paths[-1], Path(folder) / "long.mp4"), Path(folder))


def _model(folder: Path) -> DetectionPredictor:
    from lince.export.torch_to_onnx import export_detector
    from lince.models import weights, weights_source
    from lince.models.detection import builders
    from lince.models.detection import registry as detection_registry

    entry = detection_registry.get_detector_entry(MODEL)
    source = weights_source.resolve_weights(entry, str(WEIGHTS))
    spec = weights_source.make_preprocess_spec(source)
    network = builders.build_detector(entry, COUNT, spec, 0)
    weights.load_network_weights(network, source)
    export_detector(network.eval(), spec, folder / NETWORK_FILE)
    names = Classes(tuple(map(str, range(COUNT))))
    card = ModelCard("detect", names, spec, entry.name, entry.licence, "published", decoder="yolox")
    return DetectionPredictor(card, OnnxRuntimeBackend(folder / NETWORK_FILE))


def _speed(model: DetectionPredictor, path: Path, folder: Path) -> None:
    with open_video(path) as reader:
        part = FrameRange(0.0, float(LENGTH / reader.frame_rate))
    together, apart = [], []
    for number in range(ROUNDS):
        began = time.perf_counter()
        count = run_video(
            path, VideoPipeline.from_model(model, path, part, False, (), ()), folder / f"{path.stem}-{number}"
        ).frame_count
        together.append(time.perf_counter() - began)
        apart.append(_one_after_another(model, path, part, folder))
    steps = np.min(apart, axis=0)
    ours, theirs = min(together), min(map(sum, apart))
    print(f"{count} frames of {path.name}, {count_cores()} cores, best of {ROUNDS}")
    print(f"  lince predict --save         {ours:7.2f} s   {count / ours:6.1f} frames/s")
    print(f"  decode + model + encode      {theirs:7.2f} s   ({steps[0]:.2f} + {steps[1]:.2f} + {steps[2]:.2f})")
    print(f"  ratio                        {ours / theirs:7.2f}      at most 1.00")


def _one_after_another(
    model: DetectionPredictor, path: Path, part: FrameRange, folder: Path
) -> tuple[float, float, float]:
    """Return the seconds of decoding, of the model, and of encoding without drawing."""
    began = time.perf_counter()
    with open_video(path, part) as reader:
        frames: list[Frame] = list(reader.iter_frames())
        decoded = time.perf_counter()
        for at in range(0, len(frames), BATCH_SIZE):
            model.detect([frame.image for frame in frames[at : at + BATCH_SIZE]])
        asked = time.perf_counter()
        with open_video_writer(folder / "apart.mp4", reader) as writer:
            for frame in frames:
                writer.write_frame(frame)
    return decoded - began, asked - decoded, time.perf_counter() - asked


def _looped(path: Path, target: Path) -> Path:
    """Repeat the encoded frames of ``path`` until there are FRAMES, without encoding them again."""
    with av.open(str(target), "w") as container:
        stream, offset, count = None, 0, 0
        while count < FRAMES:
            with av.open(str(path)) as source:
                stream = stream or container.add_stream_from_template(source.streams.video[0])
                last = 0
                for packet in source.demux(video=0):
                    if packet.pts is None or packet.dts is None:
                        continue
                    last = max(last, packet.pts + (packet.duration or 0))
                    packet.pts, packet.dts, packet.stream = packet.pts + offset, packet.dts + offset, stream
                    container.mux(packet)
                    count += 1
                offset += last
    return target


class _Sampled:
    """Progress listener that samples memory."""

    def __init__(self) -> None:
        self.done, self.samples = 0, list[float]()

    def show_message(self, text: str) -> None:
        """Ignore the message."""

    @contextmanager
    def open_stage(self, _name: str, _total: int) -> Iterator[_Sampled]:
        """Open a stage."""
        yield self

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Measure once in SETTLED frames."""
        self.done += steps
        if self.done % SETTLED == 0:
            self.samples.append(resident())


def resident() -> float:
    """Return the memory of this process in MB (Linux)."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def _memory(model: DetectionPredictor, path: Path, folder: Path) -> None:
    heard = _Sampled()
    began = time.perf_counter()
    how = VideoPipeline.from_model(model, path, WHOLE_VIDEO, True, (), ())
    watched = run_video(path, how, folder / "long", heard)
    spent = time.perf_counter() - began
    growth = max(heard.samples) - heard.samples[0]
    print(f"{watched.frame_count:,} frames, tracked, in {spent:.0f} s ({watched.frame_count / spent:.1f} frames/s)")
    print(f"  memory after {SETTLED} frames     {heard.samples[0]:7.1f} MB")
    print(f"  growth since then            {growth:7.1f} MB   at most {GROWTH:.0f}")
