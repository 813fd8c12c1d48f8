"""No library reports its use: what predict, serve, train and export reach and write, seen below Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.command import bring_run
from tests.support.system_calls import COMMAND, Observed, observe

REPORTS = Path(".cache", "Microsoft", "DeveloperTools", ".onnxruntime")
HOLD_SECONDS = 14  # ONNX Runtime asks for the address of its collector about nine seconds after it was loaded
# A namespace starts with its loopback down; a thread is the client, so that the switches can be undone in the server.
SERVE = """
import fcntl, os, signal, socket, struct, sys, threading, time, urllib.error, urllib.request
from pathlib import Path

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", 1))
run, photo, seconds = sys.argv[1:]

def ask():
    headers = {"Content-Type": "image/png"}
    request = urllib.request.Request("http://127.0.0.1:8000/v1/predict", Path(photo).read_bytes(), headers)
    for _attempt in range(600):
        try:
            print(urllib.request.urlopen(request, timeout=10).read().decode())
            break
        except ConnectionError:
            time.sleep(0.1)
        except urllib.error.URLError as error:
            if isinstance(error, urllib.error.HTTPError):
                break
            time.sleep(0.1)
    time.sleep(float(seconds))
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=ask, daemon=True).start()
from lince.cli.main import main
raise SystemExit(main(["serve", run, "--port", "8000"]))
"""
TRAIN_AND_EXPORT = """
from lince.cli.main import main
choices = ["--recipe", "scratch", "--model", "cnn: conv 8 3, pool, flatten", "--size", "8", "--epochs", "1"]
print("train", main(["train", "lince:digits", *choices, "--out", "out"]))
print("float16", main(["export", "out", "--fp16", "--max-drop", "100"]))
print("int8", main(["export", "out", "--int8", "--max-drop", "100"]))
import time
time.sleep(3)
"""


@pytest.fixture
def model(tmp_path: Path) -> tuple[Path, Path]:
    """Return a run that an earlier version can read, too, and a photo that it calls cruz."""
    return bring_run(tmp_path), tmp_path / "shapes" / "aro" / "foto 01.png"


def check_silence(observed: Observed, home: Path, *written: Path) -> None:
    """Check that nothing was reached, and that all files are in lince's cache, in ``written`` or temporary."""
    assert observed.addresses == frozenset()
    assert observed.written_outside(home / ".cache" / "lince", home / "tmp", *written) == []
    assert {path.name for path in home.iterdir()} <= {".cache", "tmp", *(path.name for path in written)}
    assert {path.name for path in home.glob(".cache/*")} <= {"lince"}


def test_predict_reaches_nobody_and_writes_nothing(model: tuple[Path, Path], tmp_path: Path) -> None:
    observed = observe(COMMAND, "predict", *model, home=tmp_path / "home")
    assert observed.code == 0, observed.output
    assert "cruz" in observed.output
    check_silence(observed, tmp_path / "home")


def test_without_the_switches_the_same_prediction_writes_an_identifier(
    model: tuple[Path, Path], tmp_path: Path
) -> None:
    observed = observe(COMMAND, "predict", *model, home=tmp_path / "home", switches=False)
    assert observed.code == 0, observed.output
    assert tmp_path / "home" / REPORTS / "deviceid" in observed.written
    with pytest.raises(AssertionError):
        check_silence(observed, tmp_path / "home")


def test_serve_reaches_nobody_and_writes_nothing(model: tuple[Path, Path], tmp_path: Path) -> None:
    observed = observe(SERVE, *model, "1", home=tmp_path / "home")
    assert '"class":"cruz"' in observed.output.replace(" ", ""), observed.output
    check_silence(observed, tmp_path / "home")


@pytest.mark.slow
@pytest.mark.parametrize("switches", [True, False])
def test_serve_asks_for_no_address_while_it_waits(model: tuple[Path, Path], tmp_path: Path, switches: bool) -> None:
    observed = observe(SERVE, *model, str(HOLD_SECONDS), home=tmp_path / "home", switches=switches)
    assert '"class":"cruz"' in observed.output.replace(" ", ""), observed.output
    if switches:
        check_silence(observed, tmp_path / "home")
    else:
        assert any(address.endswith(":53") for address in observed.addresses)


@pytest.mark.slow
@pytest.mark.parametrize("switches", [True, False])
def test_train_and_export_reach_nobody(tmp_path: Path, switches: bool) -> None:
    pytest.importorskip("torch")
    home = tmp_path / "home"
    observed = observe(TRAIN_AND_EXPORT, home=home, switches=switches)
    assert "train 0" in observed.output, observed.output
    assert "float16 0" in observed.output, observed.output
    assert "int8 " in observed.output, observed.output
    if switches:
        check_silence(observed, home, home / "out")
    else:
        assert home / REPORTS / "deviceid" in observed.written
        assert any(address.endswith(":53") for address in observed.addresses)


def test_onnx_runtime_that_was_loaded_before_still_works(model: tuple[Path, Path], tmp_path: Path) -> None:
    code = "import sys, onnxruntime, lince\nprint(lince.load(sys.argv[1]).predict(sys.argv[2]).class_name)"
    observed = observe(code, *model, home=tmp_path / "home")
    assert observed.code == 0, observed.output
    assert "cruz" in observed.output


def child(code: str, **environment: str) -> str:
    """Return what Python prints for ``code``."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **environment}
    )
    return done.stdout.strip()


def test_import_lince_sets_every_switch_whatever_the_environment_says() -> None:
    from lince import telemetry

    code = f"import lince, os\nprint({{name: os.environ[name] for name in {list(telemetry.SWITCHES)}}})"
    contrary = {name: "0" if value == "1" else "1" for name, value in telemetry.SWITCHES.items()}
    assert child(code, **contrary) == str(telemetry.SWITCHES)
    assert telemetry.SWITCHES["ORT_DISABLE_TELEMETRY"] == "1"


def test_hugging_face_hears_the_switch() -> None:
    pytest.importorskip("huggingface_hub")
    code = "import lince\nfrom huggingface_hub import constants\nprint(constants.HF_HUB_DISABLE_TELEMETRY)"
    assert child(code, HF_HUB_DISABLE_TELEMETRY="0", DO_NOT_TRACK="0") == "True"


@pytest.mark.parametrize("switches", [True, False])
def test_the_package_by_which_openvino_reports_is_kept_out(tmp_path: Path, switches: bool) -> None:
    pytest.importorskip("openvino")
    package = tmp_path / "modules" / "openvino_telemetry"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("print('openvino reports')\nraise ImportError\n", "utf-8")
    code = f"import sys\nsys.path.insert(0, {str(package.parent)!r})\nimport lince\n"
    code += "" if switches else "del sys.modules['openvino_telemetry']\n"
    assert ("openvino reports" in child(f"{code}import openvino.tools.ovc")) is not switches


def test_ultralytics_is_offline_and_its_settings_have_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    from lince import telemetry

    for given, folder in (({"YOLO_OFFLINE": "false"}, "cache"), ({"YOLO_CONFIG_DIR": "mine"}, "mine")):
        monkeypatch.setattr(os, "environ", given)
        telemetry.switch_off_ultralytics(Path("cache"))
        assert given == {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": folder}


@pytest.mark.slow
def test_the_networks_of_ultralytics_are_switched_off_before_its_import() -> None:
    pytest.importorskip("torch")
    code = "import os, lince.models.ultralytics_model\nprint(os.environ['YOLO_OFFLINE'], os.environ['YOLO_CONFIG_DIR'])"
    assert child(code, YOLO_OFFLINE="false") == f"true {Path(os.environ['LINCE_CACHE'], 'ultralytics')}"
