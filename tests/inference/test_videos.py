"""Several videos and folders of them at once, videos for classifiers, and videos from addresses."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av")
pytest.importorskip("scipy")

from tests.inference.test_video import film, times_of  # noqa: E402
from tests.support import tiny_classifier, tiny_detector, tiny_multilabel  # noqa: E402

import lince  # noqa: E402
from lince import images  # noqa: E402
from lince.annotations import RejectedItem  # noqa: E402
from lince.cli.main import main  # noqa: E402
from lince.errors import DataError, UsageError  # noqa: E402
from lince.inference import http_video  # noqa: E402
from lince.inference.http_video import RetryPolicy, download_video  # noqa: E402
from lince.inference.media import find_media  # noqa: E402
from lince.inference.video.frames import WHOLE_VIDEO, FrameRange  # noqa: E402
from lince.inference.video.live_reader import StreamReader, open_stream  # noqa: E402
from lince.inference.video.open_source import open_source  # noqa: E402
from lince.inference.video.video_reader import open_video  # noqa: E402

QUICK = RetryPolicy(attempts=4, first_seconds=0.05, longest_seconds=0.1)
RED, BLUE = (230, 20, 20), (20, 20, 230)


def plain(colour: tuple[int, int, int], count: int) -> list[np.ndarray]:
    return [np.full((48, 64, 3), colour, np.uint8)] * count


def told(capsys: pytest.CaptureFixture[str], *words: object) -> dict:
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def read_rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def classifier(awkward: Path) -> Path:
    return tiny_classifier.run_folder(awkward / "clases")


@pytest.fixture
def detector(awkward: Path) -> Path:
    return tiny_detector.model_folder(awkward / "cajas")


@pytest.fixture
def clips(awkward: Path) -> Path:
    """Return a folder with two videos, one in a folder of its own, one that is none, a photo and a note."""
    folder = awkward / "vídeos [1]"
    (folder / "más").mkdir(parents=True)
    film(folder / "a.mp4", plain(RED, 6) + plain(BLUE, 4))
    film(folder / "más" / "a.mp4", plain(BLUE, 5))
    (folder / "roto.mp4").write_bytes(b"no video")
    (folder / "foto.png").write_bytes(images.encode_png(tiny_classifier.photo("red")))
    (folder / "notes.txt").write_text("x")
    return folder


def test_a_classifier_tells_of_a_video_what_its_frames_show(
    awkward: Path, classifier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = film(awkward / "a.mp4", plain(RED, 6) + plain(BLUE, 4), sound="aac")
    out, table = awkward / "out", awkward / "frames.csv"
    document = told(capsys, "predict", classifier, path, "--save", out, "--csv", table)
    assert (document["frames"], document["most_frequent"], document["highest_mean"]) == (10, "red", "red")
    assert {row["name"]: row["frames"] for row in document["classes"]} == {"red": 6, "blue": 4, "green": 0}
    assert {Path(name).name for name in document["written"]} == {"frames.csv", "video.mp4"}
    rows = read_rows(out / "frames.csv")
    assert [row["class"] for row in rows] == ["red"] * 6 + ["blue"] * 4
    assert [float(row["time"]) for row in rows] == pytest.approx([at / 25 for at in range(10)], abs=2e-3)
    assert read_rows(table) == rows
    means = {row["name"]: row["mean_probability"] for row in document["classes"]}
    for name, mean in means.items():
        assert mean == pytest.approx(np.mean([float(row[f"p:{name}"]) for row in rows]), abs=1e-5)
    assert len(times_of(out / "video.mp4")) == 10
    with av.open(str(out / "video.mp4")) as container:
        first = next(container.decode(video=0)).to_ndarray(format="rgb24")
        assert container.streams.audio
    assert first[:12, :40].std() > 20, "the class is written in the corner"
    assert abs(first[-8:, -8:].astype(int) - RED).max() < 30
    assert main(["predict", str(classifier), str(path), "--every", "2", "--start", "0.2s"]) == 0
    text = capsys.readouterr().out
    assert "3 frames classified" in text
    assert "most frequent: blue, in 2 of 3 frames (66.7%)" in text


def test_a_multilabel_model_counts_the_frames_with_each_class(
    awkward: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tiny_multilabel.model_folder(awkward / "modelo")
    yellow, black = plain((230, 230, 20), 6), plain((20, 20, 20), 3)
    path, out = film(awkward / "a.mp4", yellow + plain(RED, 2) + black), awkward / "out"
    document = told(capsys, "predict", model, path, "--save", out, "--csv", awkward / "frames.csv")
    assert (document["frames"], document["most_frequent"], document["without_class"]) == (11, "red", 3)
    assert {row["name"]: row["frames"] for row in document["classes"]} == {"red": 8, "green": 6, "blue": 0}
    rows = read_rows(out / "frames.csv")
    assert [set(row["classes"].split("|")) for row in rows] == [{"red", "green"}] * 6 + [{"red"}] * 2 + [{""}] * 3
    assert read_rows(awkward / "frames.csv") == rows
    with av.open(str(out / "video.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert frames[0][:12, :40].std() > 20, "the classes are written in the corner"
    assert main(["predict", str(model), str(path)]) == 0
    text = capsys.readouterr().out
    assert "red: in 8 of 11 frames (72.7%)" in text
    assert "frames without any class: 3" in text
    assert main(["predict", str(model), str(path), "--threshold", "1"]) == 0
    assert "frames without any class: 11" in capsys.readouterr().out


def test_the_mean_may_name_another_class_than_most_frames(awkward: Path, classifier: Path) -> None:
    nearly = [np.full((48, 64, 3), (130, 20, 120), np.uint8)] * 6
    (result,) = lince.predict_videos(classifier, film(awkward / "a.mp4", nearly + plain(BLUE, 4)))
    names = result.classes.names
    assert (names[result.most_frequent], names[int(result.means.argmax())]) == ("red", "blue")


@pytest.mark.parametrize("task", ["classifier", "detector"])
def test_videos_and_photos_of_folders_are_predicted_together(
    task: str, clips: Path, awkward: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    model, out = request.getfixturevalue(task), awkward / "out"
    document = told(capsys, "predict", model, clips, "--save", out)
    assert [(video["source"], video["frames"]) for video in document["videos"]] == [("a.mp4", 10), ("más/a.mp4", 5)]
    assert [row["file"] for row in document["predictions" if task == "classifier" else "photos"]] == ["foto.png"]
    assert {row["file"] for row in document["rejected"]} == {"notes.txt", "roto.mp4"}
    found = {path.relative_to(out).as_posix() for path in out.rglob("video.mp4")}
    assert found == {"videos/a/video.mp4", "videos/más-a/video.mp4"}
    assert list(out.glob("*.csv"))
    sources = [clips / "a.mp4", str(clips).replace("vídeos [1]", "v* [[]1]") + "/más/*.mp4"]
    again = told(capsys, "predict", model, *sources)
    assert [video["frames"] for video in again["videos"]] == [10, 5]
    with zipfile.ZipFile(awkward / "todo.zip", "w") as archive:
        for path in clips.rglob("*.*"):
            archive.write(path, path.relative_to(clips))
    zipped = told(capsys, "predict", model, awkward / "todo.zip")
    assert [(video["source"], video["frames"]) for video in zipped["videos"]] == [("a.mp4", 10), ("más/a.mp4", 5)]


def test_python_predicts_what_the_command_line_does(
    clips: Path, awkward: Path, classifier: Path, detector: Path
) -> None:
    results = list(lince.predict_videos(classifier, clips, awkward / "uno", FrameRange(end=0.1)))
    assert [getattr(result, "frame_count", None) for result in results] == [3, 3, None]
    assert isinstance(results[2], RejectedItem)
    found = list(
        lince.predict_videos(lince.load(detector), [clips / "a.mp4"], awkward / "dos", track=True, lines=["0,0,9,9"])
    )
    assert found[0].frame_count == 10
    assert (awkward / "uno" / "más-a" / "frames.csv").is_file()
    assert len(list((awkward / "dos").rglob("crossings.csv"))) == 1
    with pytest.raises(UsageError):
        lince.predict_videos(detector, clips, lines=["x"])
    with pytest.raises(DataError, match="no video"):
        lince.predict_videos(detector, clips / "foto.png")


def test_where_no_video_can_be_read_it_is_an_error(
    awkward: Path, classifier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.mp4", "b.mp4"):
        (awkward / name).write_bytes(b"x")
    table = awkward / "t.csv"
    assert main(["predict", str(classifier), str(awkward / "a.mp4"), str(awkward / "b.mp4"), "--csv", str(table)]) == 1
    assert "None of the 2 videos" in capsys.readouterr().err
    assert not table.exists()


def test_the_tables_of_photos_and_videos_are_not_mixed(clips: Path, awkward: Path, classifier: Path) -> None:
    assert main(["predict", str(classifier), str(clips), "--csv", str(awkward / "t.csv")]) == 2
    assert main(["predict", str(classifier), str(clips / "foto.png"), "--every", "2"]) == 2
    assert not (awkward / "t.csv").exists()


def test_without_the_extra_photos_are_still_predicted(
    clips: Path, classifier: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("lince.inference.video.")]:
        monkeypatch.delitem(sys.modules, name)
        monkeypatch.delattr("lince.inference.video." + name.rpartition(".")[2], raising=False)
    monkeypatch.setitem(sys.modules, "av", None)
    document = told(capsys, "predict", classifier, clips)
    assert [row["file"] for row in document["predictions"]] == ["foto.png"]
    assert "[video]" in next(row["remedy"] for row in document["rejected"] if row["file"] == "a.mp4")


# Addresses.


class Web(BaseHTTPRequestHandler):
    """Serves a file in pieces, a stream of JPEGs, a photo, redirects and playlists."""

    protocol_version = "HTTP/1.1"
    content, asked, breaks = b"", [], 0  # of the file; the ranges asked for; how many answers break off
    frames, gap, refuses_ranges = 8, 0.0, False

    def do_GET(self) -> None:
        type(self).asked.append((self.path, self.headers.get("Range", "")))
        page = self.path.partition("?")[0].strip("/").replace(".", "_")
        getattr(self, f"send_{page}", lambda: self.send_error(404))()

    def send_film_mp4(self) -> None:
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        is_part = bool(start) and not self.refuses_ranges
        body = self.content[start if is_part else 0 :]
        self.send_response(206 if is_part else 200)
        self.send_header("ETag", '"one"' if b"other" not in self.content else f'"{len(self.asked)}"')
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        is_broken = type(self).breaks > 0
        type(self).breaks -= 1
        self.wfile.write(body[: 2 * len(body) // 3] if is_broken else body)
        self.close_connection = True

    send_same = send_film_mp4

    def send_live(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for number in range(self.frames):
            picture = images.encode_jpeg(np.full((48, 64, 3), RED if number % 2 else BLUE, np.uint8))
            self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture))
            self.wfile.write(picture + b"\r\n")
            time.sleep(self.gap)
        self.close_connection = True

    def send_photo(self) -> None:
        body = images.encode_png(tiny_classifier.photo("red"))
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_away(self) -> None:
        self.send_response(302)
        self.send_header("Location", "file:///etc/hostname")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_list_m3u8(self) -> None:
        body = b"#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:%d/film.mp4\n" % self.server.server_port
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.apple.mpegurl")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Write no log."""

    def handle(self) -> None:
        with suppress(ConnectionError):
            super().handle()


@pytest.fixture
def web(awkward: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, type[Web]]]:
    handler = type("OwnWeb", (Web,), {"asked": []})
    handler.content = film(awkward / "film.mp4", plain(RED, 20) + plain(BLUE, 10)).read_bytes()
    (awkward / "film.mp4").unlink()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    for name in ("http_video", "video.live_reader"):
        monkeypatch.setattr(f"lince.inference.{name}.DEFAULT_RETRIES", QUICK)
    for function in (download_video, open_stream):
        bare = getattr(function, "__wrapped__", function)
        monkeypatch.setattr(bare, "__defaults__", (QUICK,))
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    server.server_close()
    thread.join()


def test_addresses_are_refused_without_the_option(
    web: tuple[str, type[Web]], classifier: Path, detector: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address, handler = web
    places = [
        f"{address}/film.mp4?key=s3cret",
        f"{address}/live",
        f"{address}/photo.png",
        "rtsp://u:s3cret@127.0.0.1/x",
    ]
    for model in (classifier, detector):
        for place in places:
            assert main(["predict", str(model), place]) == 2
            message = capsys.readouterr().err
            assert "--allow-urls" in message
            assert "s3cret" not in message
            with pytest.raises(UsageError, match="address"):
                list(lince.predict_videos(lince.load(model), place))
    for place in ("concat:a.mp4|b.mp4", "file:a.mp4", "ftp://127.0.0.1/a.mp4", "subfile,,start,0,end,9,,:a.mp4"):
        assert main(["predict", str(classifier), place, "--allow-urls"]) != 0
    assert handler.asked == []


@pytest.mark.parametrize("refuses_ranges", [False, True])
def test_a_video_that_breaks_off_is_taken_up_again(
    web: tuple[str, type[Web]], detector: Path, awkward: Path, refuses_ranges: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    address, handler = web
    handler.breaks, handler.refuses_ranges = 3, refuses_ranges
    handler.breaks += 1  # the first answer is asked for its headers alone
    assert (
        main(
            [
                "predict",
                str(detector),
                f"{address}/film.mp4?key=s3cret",
                "--allow-urls",
                "--save",
                str(awkward / "o"),
                "--json",
            ]
        )
        == 0
    )
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["frames"], document["cut"], document["source"]) == (30, False, f"{address}/film.mp4")
    assert "trying again" in err
    assert "s3cret" not in out + err
    assert any(start for _path, start in handler.asked)
    assert len(times_of(awkward / "o" / "video.mp4")) == 30


def test_a_server_that_breaks_off_for_good_or_changes_the_file_is_an_error(
    web: tuple[str, type[Web]], awkward: Path
) -> None:
    address, handler = web
    handler.content, handler.breaks = handler.content[:100] + b"other" + handler.content[100:], 99
    with pytest.raises(DataError, match="has changed"):
        download_video(f"{address}/film.mp4", awkward / "a.mp4", lambda _text: None, QUICK)
    with pytest.raises(DataError, match="cannot be read"):
        download_video(f"{address}/none", awkward / "a.mp4", lambda _text: None, QUICK)


def test_playlists_and_lists_of_pieces_lead_nowhere(
    web: tuple[str, type[Web]], awkward: Path, classifier: Path
) -> None:
    address, handler = web
    film(awkward / "b.mp4", plain(RED, 3))
    texts = {
        "a.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{address}/film.mp4\n",
        "c.mkv": f"ffconcat version 1.0\nfile '{address}/film.mp4'\n",
        "d.avi": f"ffconcat version 1.0\nfile {awkward}/b.mp4\n",
        "e.mov": f"<?xml version='1.0'?><MPD><BaseURL>{address}/film.mp4</BaseURL></MPD>",
        "f.ts": "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 26\r\n",
    }
    for name, text in texts.items():
        (awkward / name).write_text(text)
        with pytest.raises(DataError, match="playlist"), open_video(awkward / name):
            pass
        (awkward / name).write_text("\n" * 70 + text)
        with pytest.raises(DataError), open_video(awkward / name):
            pass
    assert handler.asked == []
    for page in ("list.m3u8", "away"):
        assert main(["predict", str(classifier), f"{address}/{page}", "--allow-urls"]) == 1
    assert {path for path, _range in handler.asked} == {"/list.m3u8", "/away"}
    os.mkfifo(awkward / "g.mp4")
    with pytest.raises(DataError, match="pipe"), open_video(awkward / "g.mp4"):
        pass


def test_a_photo_without_an_ending_is_told_from_a_stream(
    web: tuple[str, type[Web]], classifier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address, _handler = web
    document = told(capsys, "predict", classifier, f"{address}/photo", f"{address}/film.mp4", "--allow-urls")
    assert [row["class"] for row in document["predictions"]] == ["red"]
    assert [video["most_frequent"] for video in document["videos"]] == ["red"]


def test_a_stream_is_taken_up_again_and_ends_after_attempts_in_vain(web: tuple[str, type[Web]], awkward: Path) -> None:
    address, handler = web
    handler.gap = 0.02
    texts: list[str] = []
    with open_stream(f"{address}/live", WHOLE_VIDEO, texts.append, QUICK) as reader:
        frames = []
        for frame in reader.iter_frames():
            frames.append(frame)
            if len(frames) == 20:
                handler.send_live = lambda self: self.send_error(503)
    times = [frame.time for frame in frames]
    assert times == sorted(set(times))
    assert times[0] == 0
    assert len(frames) >= 20
    assert reader.loss.count >= 2
    assert reader.loss.is_final
    assert reader.loss.seconds > 0
    assert len(texts) == reader.loss.count + QUICK.attempts
    assert [frame.index for frame in frames] == list(range(len(frames)))
    colours = {tuple((frame.image[0, 0] > 128).tolist()) for frame in frames}
    assert colours == {(True, False, False), (False, False, True)}


@pytest.mark.parametrize("moment", ["frames", "pause", "silence"])
def test_ctrl_c_ends_a_stream_with_whole_files(
    web: tuple[str, type[Web]],
    classifier: Path,
    awkward: Path,
    moment: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, handler = web
    handler.frames, handler.gap = (10_000, 0.02) if moment == "frames" else (12, 0.02)
    slow = RetryPolicy(attempts=3, first_seconds=60)
    monkeypatch.setattr(open_stream.__wrapped__, "__defaults__", (slow,))
    if moment == "silence":
        send = handler.send_live

        def send_and_wait(self: Web) -> None:
            send(self)
            time.sleep(30)

        handler.send_live = send_and_wait
    threading.Timer(2.5, lambda: signal.raise_signal(signal.SIGINT)).start()
    began = time.monotonic()
    document = told(capsys, "predict", classifier, f"{address}/live", "--allow-urls", "--save", awkward / "out")
    assert time.monotonic() - began < 20
    assert document["frames"] >= 10
    assert len(times_of(awkward / "out" / "video.mp4")) == document["frames"]
    assert len(read_rows(awkward / "out" / "frames.csv")) == document["frames"]


class _Pieces:
    """A stream whose connections are files: an injected opener, as of RTSP."""

    has_times = True

    def __init__(self, path: Path) -> None:
        self.container = av.open(str(path))
        self.is_stopped = False

    def stop(self) -> None:
        self.is_stopped = True

    def close(self) -> None:
        self.container.close()


def test_a_stream_by_any_opener_keeps_its_own_times_and_its_size(awkward: Path) -> None:
    one, other = film(awkward / "1.mp4", plain(RED, 5)), film(awkward / "2.mp4", plain(BLUE, 5))
    large = film(awkward / "3.mp4", [np.zeros((96, 64, 3), np.uint8)] * 3)
    opened: list[Callable[[], _Pieces]] = [
        lambda: _Pieces(one),
        _refuse,
        lambda: _Pieces(other),
        lambda: _Pieces(large),
    ]

    def connect() -> _Pieces:
        return opened.pop(0)()

    reader = StreamReader(connect, "rtsp://u:p@host/x?k=1", WHOLE_VIDEO, lambda _text: None, QUICK)
    frames = list(reader.iter_frames())
    assert reader.name == "rtsp://host/x"
    assert len(frames) == 10
    steps = np.diff([frame.time for frame in frames])
    assert steps[[0, 1, 2, 3, 5, 6, 7, 8]] == pytest.approx(0.04, abs=2e-3)
    assert steps[4] > 0
    assert (reader.loss.count, reader.loss.is_final) == (2, True), "another size is not mixed in"
    assert reader.frame_range is WHOLE_VIDEO
    reader.close()


def _refuse() -> _Pieces:
    raise DataError("not now")


def test_an_address_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("rtsp://127.0.0.1:9/x", "http://127.0.0.1:9/live"):
        with pytest.raises(DataError, match="cannot be read") as caught, open_source(place, allow_urls=True):
            pass
        assert "address" in caught.value.expected
    assert RetryPolicy().list_pauses() == [1, 2, 4, 8, 16, 30, 30, 30]
    assert http_video.DEFAULT_RETRIES.attempts == 8


def test_media_are_listed_once_and_in_order(clips: Path) -> None:
    media = find_media([clips / "a.mp4", clips])
    assert [item.path for item in media.videos] == [str(clips / name) for name in ("a.mp4", "más/a.mp4", "roto.mp4")]
    (clips / "leer").mkdir()
    with pytest.raises(DataError, match="neither photo nor video"):
        find_media(clips / "leer")
    shutil.rmtree(clips / "leer")
