"""Weight files: sources, matching of tensors, and faults of files and downloads."""

from __future__ import annotations

import argparse
import hashlib
import http.server
import json
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lince.errors import UsageError, WeightsError
from lince.models import hub, weights_source
from lince.models.classification import registry as classification_registry

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from safetensors.torch import save_file  # noqa: E402

from lince.models import weights  # noqa: E402
from lince.models.classification.classifier import Classifier, build_classifier  # noqa: E402
from lince.preprocess import PreprocessSpec  # noqa: E402

SPEC = PreprocessSpec(32, 32)
NAME = "mobilenetv3_small_050"
CNN = "cnn: conv 4 3, norm, gap"


@pytest.fixture(scope="module")
def donor() -> Classifier:
    return build_classifier(NAME, 7, SPEC, seed=1)


@pytest.fixture
def network() -> Classifier:
    return build_classifier(NAME, 3, SPEC, seed=2)


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_HUB_CACHE", "LINCE_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("LINCE_CACHE", str(tmp_path / "cache"))


def state_of(network: Classifier) -> dict[str, Any]:
    return dict(network.body.network.state_dict())


def loaded(network: Classifier, path: Path) -> weights.WeightsReport:
    return weights.load_classifier_weights(
        network, weights_source.resolve_weights(classification_registry.get_model_entry(NAME), str(path))
    )


def same(first: Classifier, second: Classifier) -> bool:
    ours, theirs = state_of(first), state_of(second)
    return all(torch.equal(ours[key], theirs[key]) for key in ours)


WRAPPINGS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "bare": lambda state: state,
    "state_dict": lambda state: {"epoch": 3, "state_dict": state},
    "model": lambda state: {"model": state, "optimizer": {}},
    "module": lambda state: {"state_dict": {f"module.{key}": value for key, value in state.items()}},
    "compiled": lambda state: {f"_orig_mod.{key}": value for key, value in state.items()},
    "average": lambda state: {"model": {k: v * 0 for k, v in state.items()}, "ema": {"module": state, "updates": 3}},
    "settings": lambda state: {"model": state, "args": argparse.Namespace(lr=1e-3, names=["a", "b"])},
    "ema first": lambda state: {"state_dict": {k: v * 0 for k, v in state.items()}, "state_dict_ema": state},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_files_are_read_through_their_wrappings(
    wrapping: str, donor: Classifier, network: Classifier, awkward: Path
) -> None:
    torch.save(WRAPPINGS[wrapping](state_of(donor)), awkward / "weights.pth")
    report = loaded(network, awkward / "weights.pth")
    assert same(network, donor)
    assert report.fitted_count == report.total_count
    assert not report.describe_misfits()


def test_safetensors_and_linces_own_checkpoints_are_read(
    donor: Classifier, network: Classifier, tmp_path: Path
) -> None:
    head = network.head.weight.clone()
    save_file(donor.state_dict(), tmp_path / "best.safetensors")
    report = loaded(network, tmp_path / "best.safetensors")
    assert same(network, donor)
    assert torch.equal(network.head.weight, head)
    assert set(report.class_layers) == {"head.weight", "head.bias"}


def test_a_declared_network_takes_its_own_weights_back(tmp_path: Path) -> None:
    first, second = build_classifier(CNN, 3, SPEC, seed=1), build_classifier(CNN, 3, SPEC, seed=2)
    save_file(first.state_dict(), tmp_path / "best.safetensors")
    weights.load_classifier_weights(
        second,
        weights_source.resolve_weights(
            classification_registry.get_model_entry(CNN), str(tmp_path / "best.safetensors")
        ),
    )
    torch.testing.assert_close(second.body.state_dict(), first.body.state_dict())


def test_every_key_that_does_not_fit_is_named(donor: Classifier, network: Classifier, tmp_path: Path) -> None:
    state = state_of(donor)
    del state["conv_stem.weight"]
    state["bn1.weight"] = torch.zeros(99)
    state["surplus"] = torch.zeros(1)
    state["classifier.weight"] = torch.zeros(1000, 1024)
    save_file(state, tmp_path / "weights.safetensors")
    report = loaded(network, tmp_path / "weights.safetensors")
    assert report.missing == ("conv_stem.weight",)
    assert report.wrong_shape == (("bn1.weight", (99,), (16,)),)
    assert report.unexpected == ("surplus",)
    assert report.class_layers == ("classifier.weight",)
    assert report.fitted_count == report.total_count - 2
    text = "\n".join(report.format_lines())
    for name in ("conv_stem.weight", "bn1.weight (99,) / (16,)", "surplus", "classifier.weight", "licence: unknown"):
        assert name in text


def test_too_few_fitting_keys_change_nothing(network: Classifier, tmp_path: Path) -> None:
    before = {key: value.clone() for key, value in state_of(network).items()}
    save_file(state_of(build_classifier("resnet18", 2, SPEC)), tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=r"matches only 0 of the \d+ tensors of mobilenetv3_small_050") as caught:
        loaded(network, tmp_path / "other.safetensors")
    assert "conv_stem.weight" in str(caught.value)
    assert "more" in str(caught.value)
    assert all(torch.equal(value, before[key]) for key, value in state_of(network).items())


def test_random_weights_are_said_to_be_random(network: Classifier) -> None:
    report = weights.load_classifier_weights(
        network, weights_source.resolve_weights(classification_registry.get_model_entry(NAME), "none")
    )
    assert report.format_lines() == ["Weights: random."]


def cut(source: Path, target: Path, share: float) -> Path:
    data = source.read_bytes()
    target.write_bytes(data[: int(len(data) * share)])
    return target


@pytest.mark.parametrize("share", [0.001, 0.01, 0.02, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("ending", [".pth", ".safetensors", ".old"])
def test_a_file_that_was_cut_off_says_so(share: float, ending: str, donor: Classifier, tmp_path: Path) -> None:
    whole = tmp_path / f"whole{ending}"
    if ending == ".safetensors":
        save_file(state_of(donor), whole)
    else:
        torch.save(state_of(donor), whole, _use_new_zipfile_serialization=ending == ".pth")
    with pytest.raises(WeightsError, match="is truncated: it ends after"):
        weights.read_weights(cut(whole, tmp_path / f"part{ending}", share))


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("sprung"),)


@pytest.mark.parametrize("trap", [Trap(), argparse.Namespace(lr=Trap())])
@pytest.mark.parametrize("write", [torch.save, lambda v, p: p.write_bytes(pickle.dumps(v, 2))])
def test_a_pickle_with_code_is_refused_and_never_run(
    write: Callable[[Any, Path], None], trap: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write({"a": torch.zeros(1), "b": trap}, tmp_path / "trap.pth")
    with pytest.raises(WeightsError, match="contains more than tensors"):
        weights.read_weights(tmp_path / "trap.pth")
    assert not Path("sprung").exists()


def test_a_file_that_holds_whole_modules_is_read_for_its_tensors(tmp_path: Path) -> None:
    """Such files come from ``torch.save(model)`` and from the scripts of Ultralytics."""
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Sequential(torch.nn.BatchNorm2d(4)))
    for content in (module, {"epoch": 3, "ema": None, "model": module}):
        torch.save(content, tmp_path / "whole.pt")
        torch.testing.assert_close(weights.read_weights(tmp_path / "whole.pt")["model"], dict(module.state_dict()))


def test_code_inside_a_module_is_refused_and_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = torch.nn.Linear(2, 2)
    module.trap = Trap()
    torch.save({"model": module}, tmp_path / "trap.pt")
    with pytest.raises(WeightsError, match="contains more than tensors"):
        weights.read_weights(tmp_path / "trap.pt")
    assert not Path("sprung").exists()


class Deep(torch.nn.Module):
    """A module of a class that the reader does not know."""


def test_a_module_of_an_unknown_class_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Sequential(Deep()), tmp_path / "own.pt")
    with pytest.raises(WeightsError, match="contains more than tensors"):
        weights.read_weights(tmp_path / "own.pt")


def test_modules_that_hold_each_other_end(tmp_path: Path) -> None:
    module = torch.nn.Linear(1, 1)
    module._modules["again"] = module
    torch.save(module, tmp_path / "loop.pt")
    assert len(weights.read_weights(tmp_path / "loop.pt")["model"]) < 1000


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\x00" * 5000, b"\x80\x02]."])
@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_what_is_no_weight_file_is_refused(content: bytes, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights{ending}"
    path.write_bytes(content)
    with pytest.raises(WeightsError):
        weights.read_weights(path)


def test_a_name_that_promises_another_digest_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "w.pth")
    digest = hashlib.sha256((tmp_path / "w.pth").read_bytes()).hexdigest()
    good, bad = tmp_path / f"net-{digest[:8]}.pth", tmp_path / "net-00000000.pth"
    for path in (good, bad):
        path.write_bytes((tmp_path / "w.pth").read_bytes())
    assert list(weights.read_weights(good)) == ["a"]
    with pytest.raises(WeightsError, match="does not match the hash in its name"):
        weights.read_weights(bad)


def test_files_and_folders_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = classification_registry.get_model_entry(NAME)
    with pytest.raises(WeightsError, match="contains no weights of mobilenetv3_small_050"):
        weights_source.resolve_weights(entry, str(tmp_path))
    with pytest.raises(WeightsError, match="There is no weight file"):
        weights_source.resolve_weights(entry, str(tmp_path / "none.pth"))
    file = tmp_path / "mobilenetv3_small_050.lamb_in1k.safetensors"
    file.touch()
    assert weights_source.resolve_weights(entry, str(tmp_path)).path == file
    monkeypatch.setenv("LINCE_WEIGHTS", str(tmp_path))
    assert weights_source.resolve_weights(entry).path == file
    preset = tmp_path / "nano.pth"
    preset.touch()
    assert weights_source.resolve_weights(classification_registry.get_model_entry("nano")).path == preset
    assert weights_source.resolve_weights(classification_registry.get_model_entry("cnn")).kind == "none"


def test_a_name_with_padsame_decides_padding_and_normalisation(tmp_path: Path) -> None:
    (tmp_path / "mobilenetv2_100_padsame.pth").touch()
    source = weights_source.resolve_weights(classification_registry.get_model_entry("mobilenetv2_100"), str(tmp_path))
    assert source.entry.pad_type == "same"
    assert "padsame" in source.notes[0]
    spec = weights_source.make_preprocess_spec(source, size=288, resize="crop")
    assert (spec.shape, spec.mean, spec.std, spec.resize) == ((3, 288, 288), (127.5,) * 3, (127.5,) * 3, "crop")


def test_a_card_beside_the_file_is_obeyed(tmp_path: Path) -> None:
    (tmp_path / "mine.pth").touch()
    card = {"pad_type": "same", "mean": [1, 2, 3], "std": [4, 5, 6], "licence": "mit", "source": "me"}
    (tmp_path / "mine.json").write_text(json.dumps(card), "utf-8")
    source = weights_source.resolve_weights(
        classification_registry.get_model_entry("mobilenetv2_100"), str(tmp_path / "mine.pth")
    )
    assert (source.entry.pad_type, source.licence, source.provenance) == ("same", "mit", "me")
    assert weights_source.make_preprocess_spec(source).mean == (1.0, 2.0, 3.0)
    (tmp_path / "mine.json").write_text('{"mean": [1]}', "utf-8")
    with pytest.raises(UsageError, match="mean cannot be"):
        weights_source.resolve_weights(
            classification_registry.get_model_entry("mobilenetv2_100"), str(tmp_path / "mine.pth")
        )
    (tmp_path / "mine.json").write_text("[1", "utf-8")
    with pytest.raises(WeightsError, match="cannot be read"):
        weights_source.resolve_weights(
            classification_registry.get_model_entry("mobilenetv2_100"), str(tmp_path / "mine.pth")
        )


def test_only_declared_networks_read_one_grey_channel() -> None:
    grey = weights_source.make_preprocess_spec(
        weights_source.resolve_weights(classification_registry.get_model_entry("cnn")), size=28, grey=True
    )
    assert (grey.shape, grey.channels) == ((1, 28, 28), "grey")
    colour = weights_source.make_preprocess_spec(
        weights_source.resolve_weights(classification_registry.get_model_entry(NAME), "none"), grey=True
    )
    assert colour.shape == (3, 224, 224)


# A local server in the role of the hub.


CUT = 1000  # bytes after which a truncated connection ends


class Hub(http.server.BaseHTTPRequestHandler):
    content = b""
    digest = ""
    fault = ""
    cuts = 0  # number of connections that end after ``CUT`` bytes
    asked: list[str] = []  # noqa: RUF012
    ranges: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.fault == "404":
            self.send_error(404)
        elif self.path.endswith("/resolve/main/model.safetensors"):
            self.send_response(302)
            self.send_header("Location", "/bytes")
            self.send_header("X-Linked-Etag", f'"{self.digest}"')
            self.end_headers()
        else:
            self.send_bytes(self.headers.get("Range", ""))

    def send_bytes(self, asked: str) -> None:
        """Send the bytes from the position in ``asked``, or all of them when the server ignores ranges."""
        self.ranges.append(asked)
        start = 0 if not asked or self.fault == "no ranges" else int(asked.removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.content) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        self.end_headers()
        is_cut = self.cuts > 0
        type(self).cuts -= is_cut
        self.wfile.write(self.content[start:][: CUT if is_cut else None])

    def log_message(self, *_args: Any) -> None:
        pass


@pytest.fixture
def served(donor: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    save_file(state_of(donor), tmp_path / "served.safetensors")
    content = (tmp_path / "served.safetensors").read_bytes()
    handler = type(
        "OneHub",
        (Hub,),
        {"content": content, "digest": hashlib.sha256(content).hexdigest(), "asked": [], "ranges": []},
    )
    monkeypatch.setattr(hub, "RETRY_SECONDS", 0.0)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield handler
        server.shutdown()
        thread.join()


class Listener:
    """A progress listener that records messages and stages."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.steps = 0

    def show_message(self, text: str) -> None:
        self.said.append(text)

    def open_stage(self, name: str, total: int) -> Listener:
        self.said.append(name)
        return self

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.steps += steps

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_error: object) -> None:
        return None


def test_a_download_happens_once_and_says_its_licence(
    served: type[Hub], donor: Classifier, network: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, heard = classification_registry.get_model_entry(NAME), Listener()
    source = weights_source.resolve_weights(entry, "auto", heard)
    weights.load_classifier_weights(network, source)
    assert same(network, donor)
    assert source.compute_digest() == served.digest
    assert served.asked == ["/timm/mobilenetv3_small_050.lamb_in1k/resolve/main/model.safetensors", "/bytes"]
    assert "licence apache-2.0" in heard.said[0]
    assert heard.steps >= 1
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert weights_source.resolve_weights(entry).path == source.path
    assert len(served.asked) == 2


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_download_that_is_refused_leaves_nothing(served: type[Hub], tmp_path: Path) -> None:
    served.fault = "404"
    with pytest.raises(WeightsError, match="answered 404"):
        weights_source.resolve_weights(classification_registry.get_model_entry(NAME))
    assert files_in(tmp_path / "cache") == []


def test_a_download_that_is_cut_off_goes_on_where_it_stopped(served: type[Hub], tmp_path: Path) -> None:
    served.cuts = 2
    source = weights_source.resolve_weights(classification_registry.get_model_entry(NAME))
    assert served.ranges == ["", "bytes=1000-", "bytes=2000-"]
    assert source.compute_digest() == served.digest
    assert files_in(tmp_path / "cache") == [source.path]


def test_a_download_that_failed_is_continued_by_the_next_call(served: type[Hub], tmp_path: Path) -> None:
    entry = classification_registry.get_model_entry(NAME)
    served.cuts = 100
    with pytest.raises(WeightsError, match="stopped at 5000 of"):
        weights_source.resolve_weights(entry)
    (part,) = files_in(tmp_path / "cache")
    assert part.read_bytes() == served.content[:5000]
    served.cuts = 0
    served.ranges.clear()
    source = weights_source.resolve_weights(entry)
    assert served.ranges == ["", "bytes=5000-"]
    assert source.compute_digest() == served.digest
    assert files_in(tmp_path / "cache") == [source.path]


def test_a_part_of_another_file_is_not_continued(served: type[Hub], tmp_path: Path) -> None:
    entry = classification_registry.get_model_entry(NAME)
    served.cuts = 100
    with pytest.raises(WeightsError, match="stopped at"):
        weights_source.resolve_weights(entry)
    served.cuts = 0
    served.content += b" "
    served.digest = hashlib.sha256(served.content).hexdigest()
    assert weights_source.resolve_weights(entry).compute_digest() == served.digest
    assert len(files_in(tmp_path / "cache")) == 1


def test_a_server_without_ranges_sends_all_again(served: type[Hub]) -> None:
    served.fault, served.cuts = "no ranges", 1
    source = weights_source.resolve_weights(classification_registry.get_model_entry(NAME))
    assert served.ranges == ["", "bytes=1000-"]
    assert source.compute_digest() == served.digest


@pytest.mark.parametrize("cuts", [0, 2])
def test_other_bytes_than_published_are_refused(served: type[Hub], cuts: int, tmp_path: Path) -> None:
    served.digest, served.cuts = "0" * 64, cuts
    with pytest.raises(WeightsError, match="does not match the published one"):
        weights_source.resolve_weights(classification_registry.get_model_entry(NAME))
    assert files_in(tmp_path / "cache") == []


def test_a_file_of_unknown_digest_is_not_continued(served: type[Hub], tmp_path: Path) -> None:
    served.digest, served.cuts = "", 1
    with pytest.raises(WeightsError, match="stopped at 1000 of"):
        weights_source.resolve_weights(classification_registry.get_model_entry(NAME))
    assert files_in(tmp_path / "cache") == []


def test_without_network_the_three_ways_out_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(WeightsError) as caught:
            weights_source.resolve_weights(classification_registry.get_model_entry(NAME))
    for way in ("--weights FILE", "LINCE_WEIGHTS", "--weights none"):
        assert way in caught.value.remedy


def test_offline_and_unpublished_networks_ask_nobody(served: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match="no known download address"):
        weights_source.resolve_weights(classification_registry.get_model_entry("mobilenetv3_large_075"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE"):
        weights_source.resolve_weights(classification_registry.get_model_entry(NAME))
    assert served.asked == []


def test_an_endpoint_that_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "file:///etc")
    with pytest.raises(WeightsError, match="HF_ENDPOINT"):
        weights_source.resolve_weights(classification_registry.get_model_entry(NAME))


def test_what_timm_downloaded_before_is_used(tmp_path: Path) -> None:
    entry = classification_registry.get_model_entry(NAME)
    file = tmp_path / "hf/hub/models--timm--mobilenetv3_small_050.lamb_in1k/snapshots/abc/model.safetensors"
    assert hub.find_cached_weights(entry) is None
    file.parent.mkdir(parents=True)
    file.touch()
    assert hub.find_cached_weights(entry) == file


def test_a_licence_that_forbids_things_is_said(tmp_path: Path) -> None:
    entry = classification_registry.get_model_entry("convnextv2_tiny.fcmae_ft_in22k_in1k")
    file = tmp_path / "cache/weights/convnextv2_tiny.fcmae_ft_in22k_in1k.safetensors"
    file.parent.mkdir(parents=True)
    file.touch()
    assert "cc-by-nc-4.0" in weights_source.resolve_weights(entry).notes[0]


# Real files.


def test_the_real_padsame_weights_classify_flowers_features(shared: Path) -> None:
    entry = classification_registry.get_model_entry("mobilenetv2_100")
    source = weights_source.resolve_weights(entry, str(shared / "weights" / "mobilenetv2_100_padsame.pth"))
    report = weights.load_classifier_weights(build_classifier(source.entry, 5, PreprocessSpec(64, 64)), source)
    assert report.fitted_count == report.total_count == 260
    assert report.class_layers == ("classifier.weight", "classifier.bias")


def test_the_real_truncated_file_says_so(shared: Path) -> None:
    with pytest.raises(WeightsError, match="is truncated: it ends after 579,901 bytes"):
        weights.read_weights(shared / "weights" / "truncated_resnet18-f37072fd.pth")


def test_a_real_name_with_a_digest_is_checked(shared: Path, tmp_path: Path) -> None:
    real = shared / "weights" / "resnet20-12fca82f.th"
    assert "state_dict" in weights.read_weights(real)
    changed = bytearray(real.read_bytes())
    changed[-1] ^= 1
    (tmp_path / real.name).write_bytes(changed)
    with pytest.raises(WeightsError, match="hash in its name"):
        weights.read_weights(tmp_path / real.name)
