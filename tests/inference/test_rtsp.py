"""RTSP by a real server: frames, their times, and a connection that breaks and is taken up again.

The server is the program ``rtsp-server`` of the package aio-rtsp-toolkit, of the extra ``test``, or of any environment
that is on the PATH.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av")
pytest.importorskip("scipy")

from lince.errors import DataError  # noqa: E402
from lince.inference.http_video import RetryPolicy  # noqa: E402
from lince.inference.video.frames import WHOLE_VIDEO  # noqa: E402
from lince.inference.video.live_reader import open_stream  # noqa: E402

SERVER = shutil.which("rtsp-server", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
RETRIES = RetryPolicy(attempts=40, first_seconds=0.25, longest_seconds=0.5)
RED = (230, 20, 20)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(SERVER is None, reason="no rtsp-server: pip install aio-rtsp-toolkit av, in any environment"),
]


def film(path: Path, count: int) -> None:
    """Write ``count`` red frames at 25 a second as a camera sends them: H.264 without B-frames."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"tune": "zerolatency", "g": "12"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for _number in range(count):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), RED, np.uint8), format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode(None))


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serve(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Serve the films of ``folder`` on ``port`` until the end of the block."""
    ports = ["-H", "127.0.0.1", "-p", str(port), "-cp", str(find_free_port())]
    process = subprocess.Popen(
        [str(SERVER), "-d", str(folder), *ports], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _attempt in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_camera_is_read_and_taken_up_again(tmp_path: Path) -> None:
    film(tmp_path / "camera.mp4", 250)
    port, told = find_free_port(), []
    with (
        serve(tmp_path, port) as server,
        open_stream(f"rtsp://127.0.0.1:{port}/camera.mp4", WHOLE_VIDEO, told.append, RETRIES) as reader,
    ):
        frames = reader.iter_frames()
        before = [next(frames) for _number in range(20)]
        server.kill()
        server.wait()
        with serve(tmp_path, port):
            after = [next(frame for frame in frames if reader.loss.count) for _number in range(20)]
        reader.stop()
    assert all(frame.image.shape == (48, 64, 3) for frame in (*before, *after))
    assert np.abs(before[0].image.astype(int) - RED).max() < 40
    times = [frame.time for frame in (*before, *after)]
    assert (np.diff(times) > 0).all()
    assert np.diff(times[:20]) == pytest.approx(0.04, abs=0.005)  # the camera's clock, not that of the network
    assert reader.loss.count == 1
    assert reader.loss.seconds > 0
    assert told


def test_a_film_that_the_server_does_not_have_is_an_error_with_its_address(tmp_path: Path) -> None:
    film(tmp_path / "camera.mp4", 5)
    port = find_free_port()
    with (
        serve(tmp_path, port),
        pytest.raises(DataError, match=r"other\.mp4"),
        open_stream(f"rtsp://127.0.0.1:{port}/other.mp4", WHOLE_VIDEO, lambda _text: None, RETRIES),
    ):
        pass
