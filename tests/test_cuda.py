"""What is asked of CUDA, and what comes of it. Except in the last test, the CPU stands in for every GPU."""

import base64
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from threading import Barrier, BrokenBarrierError, current_thread, get_ident
from typing import Any

import numpy as np
import onnxruntime
import pytest
import typer
from PIL import Image

from pneumoscan import Scanner, cuda, devices, runtime
from pneumoscan.benchmark.loading import load
from pneumoscan.cli.exits import Exit
from pneumoscan.cli.start import load_scanner
from pneumoscan.doctor import examine
from pneumoscan.model import DeviceError, Model
from pneumoscan.records import ErrorCode
from tests.tiny_model import SIZE, write_model

CPU = "cpu"
InferenceSession = onnxruntime.InferenceSession


def flat(*brightnesses: int) -> np.ndarray:
    return np.stack([np.full((SIZE, SIZE), brightness, np.uint8) for brightness in brightnesses])


class Session:
    """A session that says it runs on a GPU, and runs on the CPU."""

    def __init__(self, machine: "Machine", content: bytes, options: object, providers: list[Any]) -> None:
        self.machine = machine
        self.real = InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self.options: dict[str, str] = {} if providers == ["CPUExecutionProvider"] else providers[0][1]
        self.gpu = self.options.get("device_id", CPU)
        self.get_modelmeta, self.get_inputs, self.get_outputs = (
            self.real.get_modelmeta, self.real.get_inputs, self.real.get_outputs,
        )  # fmt: skip

    def get_providers(self) -> list[str]:
        on_gpu = self.gpu != CPU and self.gpu not in self.machine.without_libraries
        return ["CUDAExecutionProvider"] * on_gpu + ["CPUExecutionProvider"]

    def run(self, names: Sequence[str], inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        if current_thread().name.startswith("gpu"):  # a batch
            pictures = len(inputs["images"])
            self.machine.ran.append((self.gpu, pictures, tuple(names)))
            self.machine.before_run(self.gpu, pictures)
            return self.real.run(names, inputs)
        self.machine.tried.append(self.gpu)
        if self.gpu in self.machine.out_of_memory:
            raise RuntimeError("out of memory")
        return [output + np.float32(self.machine.off) for output in self.real.run(names, inputs)]


class Machine:
    """What the stand-ins do, and what was asked of them.

    Attributes:
        names: of the GPUs.
        broken: numbers of GPUs on which no session can be made.
        without_libraries: numbers of GPUs for which ONNX Runtime goes on with the CPU in silence.
        out_of_memory: numbers of GPUs on which golden pictures cannot be scored.
        off: how much their probabilities are off.
        before_run: called with GPU and number of pictures before a batch runs.
        asked: providers of each session.
        tried: GPU, or CPU, of each run that is no batch.
        ran: GPU, pictures and outputs of each batch.
    """

    def __init__(self) -> None:
        self.names = ["NVIDIA Z1", "NVIDIA Z2"]
        self.broken: set[str] = set()
        self.without_libraries: set[str] = set()
        self.out_of_memory: set[str] = set()
        self.off = 0.0
        self.before_run: Callable[[str, int], object] = lambda gpu, pictures: None
        self.asked: list[list[Any]] = []
        self.tried: list[str] = []
        self.ran: list[tuple[str, int, tuple[str, ...]]] = []

    def new_session(self, content: bytes, options: object, providers: list[Any], enable_fallback: int) -> Session:
        assert not enable_fallback
        self.asked.append(providers)
        session = Session(self, content, options, providers)
        if session.gpu in self.broken:
            raise RuntimeError(f"CUDA failure 2 on {session.gpu}")
        return session

    def gpus_asked(self) -> list[str]:
        """The GPU of each session that was asked for on one."""
        return [providers[0][1]["device_id"] for providers in self.asked if providers != ["CPUExecutionProvider"]]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(cuda, "obstacle", lambda: None)
    monkeypatch.setattr(cuda, "find_gpus", lambda: machine.names)
    monkeypatch.setattr(onnxruntime, "InferenceSession", machine.new_session)
    return machine


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with a golden picture, which is white."""
    file = BytesIO()
    Image.new("L", (SIZE, SIZE), 255).save(file, "PNG")
    golden = {"png": base64.b64encode(file.getvalue()).decode(), "probabilities": [0, 0.75, 0.25]}
    return write_model(tmp_path_factory.mktemp("cuda") / "golden.onnx", golden=(golden,))


class TestNames:
    @pytest.mark.parametrize(
        ("name", "wanted"),
        [
            ("auto", ("auto", "first")),
            ("cpu", ("cpu", "first")),
            ("cuda", ("cuda", "first")),
            ("cuda:all", ("cuda", "all")),
            ("cuda:1", ("cuda", (1,))),
            ("cuda:10,0", ("cuda", (10, 0))),
        ],
    )
    def test_are_these(self, name: str, wanted: object) -> None:
        assert devices.parse(name) == wanted

    @pytest.mark.parametrize(
        "name",
        ["", "gpu", "CUDA", "cuda:", "cuda:x", "cuda:-1", "cuda:0,", "cuda:0,0", "cuda:0,00", "cuda:0 ,1", "cuda:²",
         "cuda:all,1", "cpu:0", "auto:1", "cuda:1\n"],
    )  # fmt: skip
    def test_are_no_others(self, name: str, tiny_model: Path) -> None:
        with pytest.raises(ValueError, match=r"is not a device: name auto, cpu, cuda .*cuda:0,1, or cuda:all"):
            Scanner(tiny_model, device=name)


class TestTheGpusChosen:
    @pytest.mark.parametrize(
        ("device", "gpus"),
        [
            ("auto", ["0"]),
            ("cuda", ["0"]),
            ("cuda:1", ["1"]),
            ("cuda:1,0", ["1", "0"]),
            ("cuda:all", ["0", "1"]),
            ("cpu", []),
        ],
    )
    def test_are_those_that_are_named(self, machine: Machine, model: Path, device: str, gpus: list[str]) -> None:
        loaded = Model(model, device)
        assert machine.gpus_asked() == gpus
        assert loaded.device == ("cuda" if gpus else "cpu")
        if gpus:
            assert (loaded.in_flight, loaded.batch_size) == (2 * len(gpus), 64)

    def test_get_these_options_and_leave_to_the_cpu_only_what_cuda_cannot_do(
        self, machine: Machine, model: Path
    ) -> None:
        Model(model, "cuda:1")
        options = {
            "device_id": "1",
            "use_tf32": "0",
            "cudnn_conv_algo_search": "HEURISTIC",
            "arena_extend_strategy": "kSameAsRequested",
        }
        assert machine.asked[-1] == [("CUDAExecutionProvider", options), "CPUExecutionProvider"]

    @pytest.mark.parametrize("device", ["cpu", "cuda", "auto", "cuda:1,0"])
    def test_get_the_same_when_a_benchmark_only_loads_the_model(
        self, machine: Machine, model: Path, device: str
    ) -> None:
        Model(model, device)
        cpu: list[Any] = ["CPUExecutionProvider"]
        by_scan = [providers for providers in machine.asked if providers != cpu] or [cpu]
        machine.asked, machine.tried = [], []
        load(str(model), device)
        assert (machine.asked, machine.tried) == (by_scan, [])

    @pytest.mark.parametrize("device", ["cuda:2", "cuda:0,2"])
    def test_must_be_there(self, machine: Machine, model: Path, device: str) -> None:
        message = r"there is no GPU 2; there are: cuda:0 NVIDIA Z1, cuda:1 NVIDIA Z2$"
        with pytest.raises(DeviceError, match=message):
            Model(model, device)
        assert machine.asked == []

    def test_that_are_not_there_end_the_program_with_4(
        self, machine: Machine, model: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(typer.Exit) as ended:
            load_scanner(model, device="cuda:7")
        assert ended.value.exit_code == Exit.UNAVAILABLE == 4
        assert "no GPU 7; there are: cuda:0 NVIDIA Z1, cuda:1 NVIDIA Z2" in capsys.readouterr().err

    @pytest.mark.parametrize("device", ["auto", "cuda"])
    def test_are_the_first_that_runs_where_none_is_named(
        self, machine: Machine, model: Path, caplog: pytest.LogCaptureFixture, device: str
    ) -> None:
        machine.broken = {"0"}
        assert Model(model, device).device == "cuda"
        assert machine.gpus_asked() == ["0", "1"]
        assert "scanning on GPU 1: starting it on GPU 0 failed: CUDA failure 2 on 0" in caplog.text

    @pytest.mark.parametrize("device", ["cuda:0,1", "cuda:all"])
    @pytest.mark.parametrize("trouble", ["broken", "without_libraries"])
    def test_all_run_or_none_where_they_are_named(
        self, machine: Machine, model: Path, device: str, trouble: str
    ) -> None:
        setattr(machine, trouble, {"1"})
        with pytest.raises(DeviceError, match=r"CUDA cannot be used: (starting it on GPU 1|ONNX Runtime could not)"):
            Model(model, device)

    def test_are_none_where_none_runs_which_only_auto_survives(
        self, machine: Machine, model: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        machine.broken = {"0", "1"}
        with pytest.raises(DeviceError, match=r"GPU 0 failed: CUDA failure 2 on 0; .* on 1"):
            Model(model, "cuda")
        assert Model(model, "auto").device == "cpu"
        assert "scanning on the CPU: starting it on GPU 0 failed" in caplog.text

    def test_are_none_where_the_driver_finds_none(self, machine: Machine, model: Path) -> None:
        machine.names = []
        with pytest.raises(DeviceError, match="the NVIDIA driver finds no GPU"):
            Model(model, "cuda:all")

    def test_are_none_where_the_driver_fails(
        self, machine: Machine, model: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail() -> list[str]:
            raise OSError("the NVIDIA driver fails with error 803")

        monkeypatch.setattr(cuda, "find_gpus", fail)
        with pytest.raises(DeviceError, match="error 803"):
            Model(model, "cuda")

    def test_are_told_by_doctor_which_tries_those_that_are_named(self, machine: Machine, model: Path) -> None:
        checks, used = examine(model, "cuda:1")
        check = next(check for check in checks if check.name == "cuda")
        assert check.message.startswith("cuda:0 NVIDIA Z1, cuda:1 NVIDIA Z2: runs, ")
        assert (check.state, used, machine.gpus_asked()) == ("ok", "cuda", ["1"])


class TestGoldenPictures:
    def test_that_a_card_lacks_are_stood_in_for_by_a_blank_one_since_a_session_may_start_where_nothing_runs(
        self, machine: Machine, tiny_model: Path
    ) -> None:
        Model(tiny_model, "cuda")
        assert machine.tried == ["0"]
        machine.out_of_memory = {"0", "1"}
        with pytest.raises(DeviceError, match="starting it on GPU 0 failed: out of memory"):
            Model(tiny_model, "cuda")
        assert Model(tiny_model, "auto").device == "cpu"

    def test_are_scored_on_each_gpu_before_it_is_used(self, machine: Machine, model: Path) -> None:
        Model(model, "cuda:0,1")
        assert machine.tried == ["0", "1"]

    def test_that_a_gpu_scores_alike_need_no_words(
        self, machine: Machine, model: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        machine.off = 0.9 * devices.TOLERANCE
        Model(model, "cuda")
        assert not caplog.text

    @pytest.mark.parametrize(("off", "told"), [(0.2, "0.2"), (1.1 * devices.TOLERANCE, "0.011"), (np.nan, "nan")])
    def test_that_a_gpu_scores_otherwise_are_warned_of(
        self, machine: Machine, model: Path, caplog: pytest.LogCaptureFixture, off: float, told: str
    ) -> None:
        machine.off = off
        Scanner(model, device="cuda")
        assert f"GPU 0 scores golden pictures otherwise, by up to {told}; see: pneumoscan doctor" in caplog.text

    def test_that_a_gpu_cannot_score_show_that_it_does_not_run(self, machine: Machine, model: Path) -> None:
        machine.out_of_memory = {"0"}
        with pytest.raises(DeviceError, match="starting it on GPU 0 failed: out of memory"):
            Model(model, "cuda:0")
        assert Model(model, "auto").device == "cuda"
        assert machine.tried == ["0", "0", "1"]

    @pytest.mark.parametrize("golden", [(), ({"png": "x"},), "abc"])
    def test_are_no_condition(self, machine: Machine, tmp_path: Path, golden: object) -> None:
        assert Model(write_model(tmp_path / "m.onnx", golden=golden), "cuda").device == "cuda"


class TestABatch:
    def test_is_run_for_only_the_outputs_that_are_wanted(self, machine: Machine, model: Path) -> None:
        loaded = Model(model, "cuda")
        prediction = loaded.predict(flat(0, 255))
        assert prediction.probabilities == pytest.approx(np.array([[1, 0, 0], [0, 0.75, 0.25]]), abs=1e-6)
        assert loaded.predict(flat(0, 51), heatmaps=True).heatmaps == pytest.approx(flat(0, 51) / 255, abs=1e-6)
        scores = ("probabilities", "outlier_score")
        assert machine.ran == [("0", 2, scores), ("0", 2, (*scores, "heatmap"))]

    @pytest.mark.parametrize(("pictures", "run"), [(1, 1), (2, 2), (3, 4), (5, 8), (33, 64), (64, 64)])
    def test_is_filled_up_to_a_power_of_two_which_changes_no_answer(
        self, machine: Machine, model: Path, pictures: int, run: int
    ) -> None:
        found = Model(model, "cuda").predict(flat(*range(pictures)))
        expected = Model(model, "cpu").predict(flat(*range(pictures)))
        assert [count for _, count, _ in machine.ran] == [run]
        np.testing.assert_array_equal(found.probabilities, expected.probabilities)
        np.testing.assert_array_equal(found.outlier_scores, expected.outlier_scores)

    def test_gets_an_answer_for_each_of_its_pictures_and_none_for_what_it_was_filled_with(
        self, machine: Machine, model: Path
    ) -> None:
        start = partial(runtime.start_session, model.read_bytes())
        gpus = cuda.start([(0,)], start, lambda session: None)
        (found,) = gpus.run(["probabilities"], {"images": flat(0, 51, 255)})
        assert found[:, 0] == pytest.approx([1, 0.8, 0], abs=1e-6)

    def test_is_filled_up_to_the_most_that_has_run_so_that_nothing_is_planned_anew(
        self, machine: Machine, model: Path
    ) -> None:
        loaded = Model(model, "cuda")
        expected = Model(model, "cpu").predict(flat(1, 2, 3)).probabilities
        for pictures in (2, 30, 3, 1, 40):
            loaded.predict(flat(*range(pictures)))
        np.testing.assert_array_equal(loaded.predict(flat(1, 2, 3)).probabilities, expected)
        assert [count for _, count, _ in machine.ran] == [2, 32, 32, 32, 64, 64]

    def test_is_not_filled_up_to_what_has_failed_since(self, machine: Machine, model: Path) -> None:
        loaded = Model(model, "cuda")
        loaded.predict(flat(*range(33)))
        machine.before_run = run_out_of_memory_on("0")
        assert loaded.predict(flat(1, 2)).probabilities[:, 0] == pytest.approx([254 / 255, 253 / 255], abs=1e-6)
        assert [count for _, count, _ in machine.ran] == [64, 64, 1, 32, 1, 16, 1, 8, 1, 4]
        machine.ran.clear()
        machine.before_run = lambda gpu, pictures: None
        loaded.predict(flat(1, 2))
        assert [count for _, count, _ in machine.ran] == [4]

    def test_runs_in_few_threads_each_on_one_gpu_however_many_ask(self, machine: Machine, model: Path) -> None:
        loaded, threads = Model(model, "cuda:0,1"), set()
        machine.before_run = lambda gpu, pictures: threads.add((gpu, get_ident()))
        for _ in range(3):
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(loaded.predict, [flat(1)] * 16))
        assert len({ident for _, ident in threads}) == len(threads)
        assert {gpu for gpu, _ in threads} == {"0", "1"}
        assert all(sum(each == gpu for each, _ in threads) <= cuda.RUNS_PER_GPU for gpu in "01")

    def test_that_fails_does_not_keep_the_next_one_from_running(self, machine: Machine, model: Path) -> None:
        loaded = Model(model, "cuda")
        machine.before_run = fail
        for _ in range(5):
            with pytest.raises(RuntimeError, match="CUDA failure 719"):
                loaded.predict(flat(0, 1, 2))
        machine.before_run = lambda gpu, pictures: None
        assert len(loaded.predict(flat(0, 1, 2)).probabilities) == 3

    def test_is_run_with_another_and_both_on_each_gpu_at_the_same_time(self, machine: Machine, model: Path) -> None:
        loaded = Model(model, "cuda:0,1")
        together = Barrier(4)
        machine.before_run = lambda gpu, pictures: together.wait(timeout=60)  # breaks unless four runs are under way
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(lambda brightness: loaded.predict(flat(brightness)), [0, 51, 102, 255]))
        assert [1 - each.probabilities[0, 0] for each in found] == pytest.approx([0, 0.2, 0.4, 1], abs=1e-6)
        assert sorted(gpu for gpu, _, _ in machine.ran) == ["0", "0", "1", "1"]


def fail(gpu: str, pictures: int) -> None:
    raise RuntimeError(f"CUDA failure 719 on {gpu}: unspecified launch failure ; hostname=ward-7 ; file=a.cc")


def run_out_of_memory_on(short: str) -> Callable[[str, int], None]:
    """Fails on these GPUs with more than 4 pictures."""

    def run(gpu: str, pictures: int) -> None:
        if gpu in short and pictures > 4:
            raise RuntimeError("Failed to allocate memory")

    return run


class TestAScan:
    @pytest.fixture
    def pictures(self, flat: Callable[[str, int], Path]) -> list[Path]:
        return [flat(f"{number:03}.png", number) for number in range(40)]

    def test_uses_all_gpus_and_keeps_its_order(self, machine: Machine, model: Path, pictures: list[Path]) -> None:
        scanner = Scanner(model, device="cuda:all", batch_size=4, workers=4)
        assert scanner.model.in_flight == 4
        records = list(scanner.scan(pictures))
        assert [record.path for record in records] == [str(path) for path in pictures]
        assert [record.probability for record in records] == pytest.approx(np.arange(40) / 255, abs=1e-6)
        assert {record.device for record in records} == {"cuda"}
        assert {gpu for gpu, _, _ in machine.ran} == {"0", "1"}

    def test_whose_gpu_is_lost_ends_every_record_in_an_error_and_never_turns_to_the_cpu(
        self, machine: Machine, model: Path, pictures: list[Path]
    ) -> None:
        scanner = Scanner(model, batch_size=4)
        machine.before_run = fail
        records = list(scanner.scan(pictures))
        assert {record.error for record in records} == {ErrorCode.INFERENCE_FAILED}
        assert all("CUDA failure 719 on 0" in str(record.message) for record in records)
        assert {record.device for record in records} == {"cuda"}
        assert {gpu for gpu, _, _ in machine.ran} == {"0"}
        assert CPU not in machine.tried

    def test_goes_on_with_the_other_gpus_when_one_is_lost(
        self, machine: Machine, model: Path, pictures: list[Path], caplog: pytest.LogCaptureFixture
    ) -> None:
        machine.names = ["NVIDIA Z1", "NVIDIA Z2", "NVIDIA Z3"]
        scanner = Scanner(model, device="cuda:all", batch_size=4, workers=6)
        machine.before_run = lambda gpu, pictures: fail(gpu, pictures) if gpu == "1" else None
        records = list(scanner.scan(pictures))
        assert [record.probability for record in records] == pytest.approx(np.arange(40) / 255, abs=1e-6)
        assert {record.device for record in records} == {"cuda"}
        assert len(caplog.messages) == 1
        assert caplog.messages[0].startswith("GPU 1 failed and is used no more: CUDA failure 719 on 1")
        assert "ward-7" not in caplog.text
        assert sum(gpu == "1" for gpu, _, _ in machine.ran) <= 2 * 2, "two runs in flight, each tried again once"
        machine.ran.clear()
        list(scanner.scan(pictures))
        assert {gpu for gpu, _, _ in machine.ran} == {"0", "2"}

    @pytest.mark.parametrize("short", ["0", "01"])
    def test_keeps_gpus_that_have_too_little_memory_for_a_batch(
        self, machine: Machine, model: Path, pictures: list[Path], caplog: pytest.LogCaptureFixture, short: str
    ) -> None:
        scanner = Scanner(model, device="cuda:all", batch_size=16, workers=4)
        machine.before_run = run_out_of_memory_on(short)
        assert all(record.error is None for record in scanner.scan(pictures))
        assert not any("used no more" in message for message in caplog.messages)

    def test_keeps_one_of_two_gpus_that_are_lost_at_the_same_instant(
        self, machine: Machine, model: Path, pictures: list[Path]
    ) -> None:
        together = Barrier(4)

        def fail_together(gpu: str, pictures: int) -> None:
            if not together.broken:
                with suppress(BrokenBarrierError):
                    together.wait(timeout=5)
            fail(gpu, pictures)

        scanner = Scanner(model, device="cuda:all", batch_size=4, workers=4)
        machine.before_run = fail_together
        assert {record.error for record in scanner.scan(pictures)} == {ErrorCode.INFERENCE_FAILED}
        machine.before_run = lambda gpu, pictures: None
        machine.ran.clear()
        assert all(record.error is None for record in scanner.scan(pictures))
        assert len({gpu for gpu, _, _ in machine.ran}) == 1

    def test_ends_records_in_errors_when_the_last_gpu_is_lost_too(
        self, machine: Machine, model: Path, pictures: list[Path]
    ) -> None:
        scanner = Scanner(model, device="cuda:0,1", batch_size=4)
        machine.before_run = lambda gpu, pictures: fail(gpu, pictures) if gpu == "1" else None
        assert all(record.error is None for record in scanner.scan(pictures))
        machine.before_run = fail
        assert {record.error for record in scanner.scan(pictures)} == {ErrorCode.INFERENCE_FAILED}
        machine.before_run = lambda gpu, pictures: None
        assert all(record.error is None for record in scanner.scan(pictures)), "neither run waits for ever"
        assert CPU not in machine.tried

    def test_whose_gpu_has_too_little_memory_goes_on_with_smaller_batches(
        self, machine: Machine, model: Path, pictures: list[Path]
    ) -> None:
        scanner = Scanner(model, device="cuda", batch_size=16)
        machine.before_run = run_out_of_memory_on("0")
        assert all(record.error is None for record in scanner.scan(pictures))
        assert CPU not in machine.tried


def gpus_here() -> list[str]:
    try:
        return cuda.find_gpus() if cuda.obstacle() is None else []
    except OSError:
        return []


@pytest.mark.skipif(not gpus_here(), reason="needs an NVIDIA GPU that works")
@pytest.mark.parametrize("device", ["cuda", "cuda:all"])
def test_real_gpus_score_real_pictures_as_the_cpu_does(device: str) -> None:
    on_gpu, on_cpu = Model(device=device), Model(device="cpu")
    card = on_cpu.card
    golden = np.concatenate([picture for picture, _ in card.golden_pictures()])
    expected = on_cpu.predict(golden, heatmaps=True)
    batches = [np.resize(golden, (count, *golden.shape[1:])) for count in (1, 2, 3, 33, cuda.BATCH_SIZE)]
    with ThreadPoolExecutor(on_gpu.in_flight) as threads:
        found = list(threads.map(lambda batch: on_gpu.predict(batch, heatmaps=True), batches * 4))
    assert on_gpu.device == "cuda"
    for prediction in found:
        at = np.arange(len(prediction.probabilities)) % len(golden)
        assert np.abs(prediction.probabilities - expected.probabilities[at]).max() <= devices.TOLERANCE
        assert prediction.heatmaps is not None
        assert expected.heatmaps is not None
        assert np.abs(prediction.heatmaps - expected.heatmaps[at]).max() <= 0.05  # only shown, as colours
