import base64
import ctypes
import hashlib
import json
import logging
import math
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto
from PIL import Image

from pneumoscan import Scanner, cuda, models
from pneumoscan.card import Card
from pneumoscan.model import Device, DeviceError, Model, ModelError
from tests.tiny_model import CARD, SIZE, write_model


def flat(*brightnesses: int) -> np.ndarray:
    return np.stack([np.full((SIZE, SIZE), brightness, np.uint8) for brightness in brightnesses])


def white(*probabilities: float) -> dict[str, object]:
    """A golden picture that must get these probabilities; right are 0, 0.75, 0.25."""
    file = BytesIO()
    Image.new("L", (SIZE, SIZE), 255).save(file, "PNG")
    return {"png": base64.b64encode(file.getvalue()).decode(), "probabilities": probabilities}


class TestAModel:
    def test_scores_a_batch(self, tiny_model: Path) -> None:
        prediction = Model(tiny_model, "cpu").predict(flat(0, 51, 255))
        assert prediction.probabilities == pytest.approx(
            np.array([[1, 0, 0], [0.8, 0.15, 0.05], [0, 0.75, 0.25]]), abs=1e-6
        )
        assert prediction.outlier_scores == pytest.approx(np.array([0, 0.2, 1]), abs=1e-6)

    @pytest.mark.parametrize(("pictures", "run"), [(0, 0), (1, 4), (3, 4), (4, 4), (5, 8), (64, 64)])
    def test_fills_up_what_a_cpu_runs_to_a_multiple_of_four_and_answers_for_the_pictures_alone(
        self, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, pictures: int, run: int
    ) -> None:
        model = Model(tiny_model, "cpu")
        session, sizes = model._session, []

        class Watched:
            def run(self, names: list[str], inputs: dict[str, np.ndarray]) -> object:
                sizes.append(len(inputs["images"]))
                return session.run(names, inputs)

        monkeypatch.setattr(model, "_session", Watched())
        prediction = model.predict(np.full((pictures, SIZE, SIZE), 51, np.uint8), heatmaps=True)
        assert sizes == [run]
        assert prediction.outlier_scores is not None and prediction.heatmaps is not None
        assert prediction.probabilities == pytest.approx(np.tile([0.8, 0.15, 0.05], (pictures, 1)), abs=1e-6)
        assert prediction.outlier_scores == pytest.approx(np.full(pictures, 0.2), abs=1e-6)
        assert prediction.heatmaps.shape == (pictures, SIZE, SIZE)

    def test_runs_each_call_on_as_many_cores_as_it_is_told_and_asks_for_a_call_on_each_core_that_is_left(
        self, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pneumoscan.limits.available_cores", lambda: 6)
        for threads, calls in ((1, 6), (3, 2), (8, 1)):
            model = Model(tiny_model, "cpu", threads=threads)
            assert model._session.get_session_options().intra_op_num_threads == threads
            assert model.in_flight == calls

    def test_gives_heatmaps_with_its_scores_only_when_asked(self, tiny_model: Path) -> None:
        model = Model(tiny_model, "cpu")
        images = np.arange(SIZE * SIZE, dtype=np.uint8).reshape(1, SIZE, SIZE)
        assert model.predict(images).heatmaps is None
        assert model.predict(images, heatmaps=True).heatmaps == pytest.approx(images / 255, abs=1e-6)

    def test_without_heatmaps_gives_none(self, tmp_path: Path) -> None:
        model = Model(write_model(tmp_path / "blind.onnx", has_heatmap=False), "cpu")
        assert (model.has_heatmap, model.predict(flat(51), heatmaps=True).heatmaps) == (False, None)

    def test_knows_its_card_its_digest_and_its_device(self, tiny_model: Path) -> None:
        model = Model(tiny_model, "cpu")
        assert (model.card.name, model.card.version, model.card.input_size) == ("tiny", "1.2.3", SIZE)
        assert model.sha256 == hashlib.sha256(tiny_model.read_bytes()).hexdigest()
        assert model.device == "cpu"

    def test_finds_that_its_golden_pictures_score_otherwise(self, tmp_path: Path) -> None:
        right = write_model(tmp_path / "right.onnx", golden=(white(0, 0.75, 0.25),))
        wrong = write_model(tmp_path / "wrong.onnx", golden=(white(0.5, 0.25, 0.25),))
        assert Model(right, "cpu").self_test() < 1e-6
        assert Model(wrong, "cpu").self_test() == pytest.approx(0.5)

    def test_whose_golden_pictures_score_otherwise_is_not_scanned_with(self, tmp_path: Path) -> None:
        Scanner(write_model(tmp_path / "right.onnx", golden=(white(0, 0.75, 0.25),)), device="cpu")
        for probabilities in ([0.02, 0.75, 0.23], [np.nan, 0.75, 0.25]):
            path = write_model(tmp_path / "wrong.onnx", golden=(white(*probabilities),))
            with pytest.raises(ModelError, match=r"wrong\.onnx is damaged, or this machine .*: its golden pictures"):
                Scanner(path, device="cpu")

    @pytest.mark.parametrize("golden", [({"png": "x"},), "abc", ({"png": "", "probabilities": [0, 0, 1]},)])
    def test_whose_golden_pictures_are_none_is_scanned_with(self, tmp_path: Path, golden: object) -> None:
        Scanner(write_model(tmp_path / "m.onnx", golden=golden), device="cpu")

    @pytest.mark.parametrize("probabilities", [(), (0.5, 0.5), ("x", 0, 1), ((0, 0.75, 0.25),) * 2])
    def test_whose_golden_pictures_have_odd_probabilities_is_scanned_with(
        self, tmp_path: Path, probabilities: tuple[Any, ...]
    ) -> None:
        Scanner(write_model(tmp_path / "m.onnx", golden=(white(*probabilities),)), device="cpu")

    def test_that_cannot_run_its_golden_pictures_is_not_scanned_with(self, tmp_path: Path) -> None:
        path = write_model(tmp_path / "m.onnx", golden=(white(0, 0.75, 0.25),), fails_above=0)
        with pytest.raises(ModelError, match=r"m\.onnx cannot score its golden pictures: "):
            Scanner(path, device="cpu")

    def test_of_its_recorded_digest_is_believed_without_a_test(self, tmp_path: Path) -> None:
        path = write_model(tmp_path / "m.onnx", golden=(white(0.5, 0.25, 0.25),))
        models.put(path, path)
        Scanner(path, device="cpu")

    def test_of_another_than_its_recorded_digest_is_not_loaded(self, tmp_path: Path) -> None:
        path = write_model(tmp_path / "m.onnx")
        models.put(path, path)
        assert path.with_name("m.onnx.sha256").read_text() == f"{Model(path, 'cpu').sha256}  m.onnx\n"
        data = path.read_bytes()
        path.write_bytes(data.replace(b"1.2.3", b"1.2.4"))
        with pytest.raises(ModelError, match=r"m\.onnx is damaged, or was replaced: m\.onnx\.sha256 .* another digest"):
            Model(path, "cpu")

    @pytest.mark.parametrize(
        "line", ["{}  m.onnx\n", "{} *m.onnx", "SHA256 (m.onnx) = {}\n", "\ufeffnone x\n{}  m.onnx"]
    )
    @pytest.mark.parametrize("case", [str.lower, str.upper])
    def test_has_its_digest_in_whatever_form_programs_write_it(
        self, tmp_path: Path, line: str, case: Callable[[str], str]
    ) -> None:
        path = write_model(tmp_path / "m.onnx")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        path.with_name("m.onnx.sha256").write_text(line.format(case(digest)), encoding="utf-8")
        assert models.recorded_digest(path) == Model(path, "cpu").sha256 == digest

    @pytest.mark.parametrize(
        "content", [b"", b"\xff\xfe", bytes(80), b"ab" * 32 + b"  other.onnx\n", b"ab" * 31 + b"  m.onnx\n"]
    )
    def test_beside_what_holds_no_digest_of_it_is_loaded(self, tmp_path: Path, content: bytes) -> None:
        path = write_model(tmp_path / "m.onnx")
        path.with_name("m.onnx.sha256").write_bytes(content)
        assert Model(path, "cpu").card.name == "tiny"

    def test_that_is_replaced_has_no_older_digest_whatever_happens(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write_model(tmp_path / "m.onnx")
        models.put(path, path)

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(models, "replace_with", full)
        with pytest.raises(OSError, match="No space left"):
            models.put(write_model(tmp_path / "new.onnx", name="newer"), path)
        assert Model(path, "cpu").card.name == "newer"

    def test_without_golden_pictures_claims_no_self_test(self, tiny_model: Path) -> None:
        assert Model(tiny_model, "cpu").self_test() is None


@pytest.mark.parametrize("name", models.names())
def test_a_shipped_model_passes_its_self_test(name: str) -> None:
    model = Model(name, "cpu")
    assert model.card.golden
    assert model.self_test() < 1e-4
    assert models.recorded_digest(model.path) == model.sha256


def test_a_card_survives_the_file() -> None:
    restored = Card.from_json(CARD.to_json())
    assert restored.to_json() == CARD.to_json()


def test_a_card_of_before_there_were_unfamiliar_pictures_is_read() -> None:
    values = {key: value for key, value in json.loads(CARD.to_json()).items() if key != "unfamiliar_threshold"}
    assert Card.from_json(json.dumps(values)).unfamiliar_threshold is None


class TestRefusals:
    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=r"cannot read the model .*gone\.onnx: No such file"):
            Model(tmp_path / "gone.onnx", "cpu")

    def test_a_file_that_is_no_onnx(self, tmp_path: Path) -> None:
        (tmp_path / "x.onnx").write_text("hello")
        with pytest.raises(ModelError, match="no usable ONNX file"):
            Model(tmp_path / "x.onnx", "cpu")

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"metadata": None}, "no metadata under 'pneumoscan'"),
            ({"metadata": "{"}, "metadata cannot be read"),
            ({"metadata": "[]"}, "metadata cannot be read"),
            ({"metadata": "{}"}, "metadata cannot be read: .*name"),
            ({"classes": ("a", "b")}, r"classes are \['a', 'b'\]"),
            ({"resampling": "lanczos"}, "wants 'lanczos' resampling"),
            ({"threshold": 1.5}, "must lie between 0 and 1"),
            ({"review_band": (0.9, 0.1)}, "must lie between 0 and 1"),
            ({"review_band": (0.5,)}, "metadata cannot be read"),
            ({"review_band": None}, "metadata cannot be read"),
            ({"threshold": "0.5"}, "metadata cannot be read"),
            ({"threshold": True}, "metadata cannot be read: a threshold is not a number"),
            ({"unfamiliar_threshold": False}, "metadata cannot be read: a threshold is not a number"),
            ({"outlier_threshold": "1e9"}, "metadata cannot be read"),
            ({"outlier_threshold": 10**400}, "metadata cannot be read"),
            ({"metadata": "[" * 100_000}, "metadata cannot be read"),
            ({"version": "\ud800"}, "metadata cannot be read"),
            ({"classes": None}, "metadata cannot be read"),
            ({"outlier_threshold": "x"}, "metadata cannot be read"),
            ({"outlier_threshold": math.nan}, "outlier thresholds must be numbers"),
            ({"input_size": str(SIZE)}, "must be text, and its input size a number"),
            ({"name": None}, "must be text, and its input size a number"),
            ({"unfamiliar_threshold": "x"}, "metadata cannot be read"),
            ({"subtype_threshold": 0.4}, "threshold for subtypes must lie between 0.5 and 1"),
            ({"subtype_threshold": "x"}, "metadata cannot be read"),
            ({"unfamiliar_threshold": 0.6, "outlier_threshold": 0.5}, "must not be above its outlier threshold"),
            ({"input_size": 99}, r"input must be images, uint8 \[N, 99, 99\]"),
            ({"input_type": TensorProto.FLOAT}, "input must be images, uint8"),
            ({"batch": 1}, "input must be images, uint8"),
            ({"heatmap_type": TensorProto.DOUBLE}, r"output heatmap must be float \[N, h, w\]"),
            ({"outlier_type": TensorProto.DOUBLE}, r"output outlier_score must be float \[N\]"),
            ({"outlier_axes": 2}, r"output outlier_score must be float \[N\]"),
            ({"threshold_method": 5}, "must be text"),
            ({"licence": None}, "must be text"),
            ({"data_sha256": ["ab"]}, "must be text"),
        ],
    )
    def test_a_file_that_breaks_the_contract_is_told_in_what(
        self, tmp_path: Path, changes: dict[str, object], message: str
    ) -> None:
        path = write_model(tmp_path / "x.onnx", **changes)  # type: ignore[arg-type]
        with pytest.raises(ModelError, match=message):
            Model(path, "cpu")

    def test_a_file_that_takes_weights_from_another_which_its_digest_does_not_cover(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        whole = write_model(Path("whole.onnx"))
        onnx.save_model(
            onnx.load(whole), "split.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0
        )
        assert Path("weights.bin").stat().st_size > 0
        Model("./whole.onnx", "cpu")
        with pytest.raises(ModelError, match="no usable ONNX file"):
            Model("./split.onnx", "cpu")


class Driver:
    """An NVIDIA driver of this version, as 1000 times the major and 10 times the minor number of its CUDA."""

    def __init__(self, version: int) -> None:
        self.version = version

    def cuDriverGetVersion(self, version: Any) -> int:  # noqa: N802
        version._obj.value = self.version
        return 0


class TestDevices:
    """The choices are tested with stand-ins for what ONNX Runtime and the driver report."""

    @pytest.fixture
    def driver(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
        monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
        monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(13_020))
        monkeypatch.setattr(onnxruntime, "cuda_version", "13.0")
        monkeypatch.setattr(cuda, "find_gpus", lambda: ["NVIDIA Z1"])

    @pytest.fixture
    def no_driver(self, driver: None, monkeypatch: pytest.MonkeyPatch) -> None:
        def missing(name: str) -> None:
            raise OSError(f"{name}: cannot open shared object file")

        monkeypatch.setattr(ctypes, "CDLL", missing)

    def start_claiming(self, monkeypatch: pytest.MonkeyPatch, provider: str) -> None:
        """Lets sessions that were asked for CUDA report `provider`, and run on the CPU."""
        Session = onnxruntime.InferenceSession  # noqa: N806

        def start(content: bytes, options: object, providers: list[object], enable_fallback: int) -> object:
            assert not enable_fallback
            session = Session(content, options, providers=["CPUExecutionProvider"])
            if providers != ["CPUExecutionProvider"]:
                session.get_providers = lambda: [provider, "CPUExecutionProvider"]
            return session

        monkeypatch.setattr(onnxruntime, "InferenceSession", start)

    @pytest.mark.usefixtures("driver")
    @pytest.mark.parametrize("device", ["auto", "cuda"])
    def test_cuda_is_used_when_the_session_says_so(
        self, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, device: Device
    ) -> None:
        self.start_claiming(monkeypatch, "CUDAExecutionProvider")
        assert Model(tiny_model, device).device == "cuda"

    @pytest.mark.usefixtures("driver")
    def test_cuda_fails_where_the_driver_is_too_old(self, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.start_claiming(monkeypatch, "CUDAExecutionProvider")
        monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(12_080))
        with pytest.raises(DeviceError, match=r"driver knows CUDA up to 12\.8, and .* needs 13\.0: update the driver"):
            Model(tiny_model, "cuda")

    @pytest.mark.usefixtures("driver")
    def test_cuda_fails_when_the_session_fell_back(self, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.start_claiming(monkeypatch, "CPUExecutionProvider")
        with pytest.raises(DeviceError, match=r"pip install 'pneumoscan\[cuda\]'"):
            Model(tiny_model, "cuda")

    @pytest.mark.usefixtures("driver")
    def test_auto_says_so_when_the_session_fell_back(
        self, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.start_claiming(monkeypatch, "CPUExecutionProvider")
        with caplog.at_level(logging.WARNING):
            assert Model(tiny_model, "auto").device == "cpu"
        assert "scanning on the CPU: ONNX Runtime could not start it" in caplog.text

    @pytest.mark.usefixtures("driver")
    def test_cuda_that_fails_to_start_is_told_and_auto_goes_on(
        self, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        Session = onnxruntime.InferenceSession  # noqa: N806

        def start(*arguments: object, providers: list[object], **options: object) -> object:
            if providers != ["CPUExecutionProvider"]:
                raise RuntimeError("CUDA failure 100")
            return Session(*arguments, providers=providers)

        monkeypatch.setattr(onnxruntime, "InferenceSession", start)
        with pytest.raises(DeviceError, match="CUDA failure 100"):
            Model(tiny_model, "cuda")
        with caplog.at_level(logging.WARNING):
            assert Model(tiny_model, "auto").device == "cpu"
        assert "CUDA failure 100" in caplog.text

    @pytest.mark.usefixtures("driver")
    def test_what_the_inference_library_prints_stays_off_standard_output(
        self, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("Failed to load libcublas"))
        self.start_claiming(monkeypatch, "CPUExecutionProvider")
        Model(tiny_model, "auto")
        assert capsys.readouterr().out == ""

    @pytest.mark.usefixtures("no_driver")
    def test_cuda_fails_without_a_driver(self, tiny_model: Path) -> None:
        with pytest.raises(DeviceError, match="no NVIDIA driver found"):
            Model(tiny_model, "cuda")

    @pytest.mark.usefixtures("no_driver")
    def test_auto_says_that_there_is_no_driver(self, tiny_model: Path, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING):
            assert Model(tiny_model, "auto").device == "cpu"
        assert "scanning on the CPU: no NVIDIA driver found" in caplog.text

    def test_cuda_fails_where_onnx_runtime_has_none(self, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
        with pytest.raises(DeviceError, match="has no CUDA provider"):
            Model(tiny_model, "cuda")

    def test_the_cpu_is_used_without_a_word_when_asked_for(
        self, tiny_model: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert Model(tiny_model, "cpu").device == "cpu"
        assert not caplog.text


@pytest.mark.parametrize("threshold", [{"outlier_threshold": 0.5}, {"unfamiliar_threshold": 0.5}])
def test_a_model_with_a_threshold_for_outliers_must_score_them(tmp_path: Path, threshold: dict[str, float]) -> None:
    path = write_model(tmp_path / "x.onnx", **threshold)
    model = onnx.load(path)
    (score,) = [each for each in model.graph.output if each.name == "outlier_score"]
    model.graph.output.remove(score)
    onnx.save(model, path)
    with pytest.raises(ModelError, match="a threshold for outliers but no output outlier_score"):
        Model(path, "cpu")
