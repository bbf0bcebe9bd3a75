import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import pneumoscan
from pneumoscan import Scanner, decode
from pneumoscan.model import Model, Prediction
from pneumoscan.pool import pool_of
from pneumoscan.records import ErrorCode, Label, Record, Status, Subtype, timestamp
from pneumoscan.sources import NOTHING_YET
from pneumoscan.verdict import Score, verdict
from tests.tiny_model import SIZE, write_model

Flat = Callable[[str, int], Path]


def scan(model: Path, *paths: Path, **options: object) -> list[Record]:
    return list(Scanner(model, device="cpu", **options).scan(paths))  # type: ignore[arg-type]


class TestARecord:
    def test_of_an_ill_picture(self, tiny_model: Path, flat: Flat) -> None:
        path = flat("a.png", 204)
        scanner = Scanner(tiny_model, device="cpu")
        assert list(scanner.scan([path])) == [
            Record(
                path=str(path),
                status=Status.OK,
                label=Label.PNEUMONIA,
                probability=0.8,
                p_normal=0.2,
                p_bacterial=0.6,
                p_viral=0.2,
                subtype=Subtype.BACTERIAL,
                review=False,
                outlier_score=0.8,
                width=40,
                height=30,
                bytes=path.stat().st_size,
                modified=timestamp(path.stat().st_mtime_ns),
                model="tiny-1.2.3",
                model_sha256=scanner.model.sha256,
                threshold=0.5,
                device="cpu",
            )
        ]

    def test_of_a_healthy_picture_claims_no_subtype(self, tiny_model: Path, flat: Flat) -> None:
        (record,) = scan(tiny_model, flat("a.png", 51))
        assert (record.label, record.subtype, record.probability) == (Label.NORMAL, None, 0.2)

    @pytest.mark.parametrize(("threshold", "subtype"), [(0.7, Subtype.BACTERIAL), (0.8, None)])
    def test_claims_a_subtype_that_has_its_share_of_the_probability(
        self, tmp_path: Path, flat: Flat, threshold: float, subtype: Subtype | None
    ) -> None:
        model = write_model(tmp_path / "m.onnx", subtype_threshold=threshold)
        (record,) = scan(model, flat("a.png", 204))  # three quarters of it are bacterial
        assert (record.label, record.subtype) == (Label.PNEUMONIA, subtype)

    def test_claims_no_subtype_however_sure_it_is_where_its_threshold_is_1(self, tiny_model: Path) -> None:
        sure = Score(np.array([0.0, 1.0, 0.0], np.float32), None, None)
        card = Model(tiny_model, "cpu").card
        made = {
            threshold: verdict(SimpleNamespace, sure, replace(card, subtype_threshold=threshold), 0.5)
            for threshold in (0.99, 1.0)
        }
        assert {threshold: record.subtype for threshold, record in made.items()} == {0.99: Subtype.BACTERIAL, 1.0: None}

    @pytest.mark.parametrize(("brightness", "review"), [(101, False), (102, True), (153, True), (154, False)])
    def test_asks_for_a_review_inside_the_band_ends_included(
        self, tiny_model: Path, flat: Flat, brightness: int, review: bool
    ) -> None:
        assert scan(tiny_model, flat("a.png", brightness))[0].review is review

    @pytest.mark.parametrize(("brightness", "review"), [(50, False), (51, True), (60, True), (153, True), (154, False)])
    def test_asks_for_a_review_from_the_band_to_a_threshold_below_it(
        self, tiny_model: Path, flat: Flat, brightness: int, review: bool
    ) -> None:
        assert scan(tiny_model, flat("a.png", brightness), threshold=0.2)[0].review is review

    @pytest.mark.parametrize(
        ("brightness", "review"), [(101, False), (102, True), (203, True), (204, True), (205, False)]
    )
    def test_asks_for_a_review_from_the_band_to_a_threshold_above_it(
        self, tiny_model: Path, flat: Flat, brightness: int, review: bool
    ) -> None:
        assert scan(tiny_model, flat("a.png", brightness), threshold=0.8)[0].review is review

    def test_is_ill_at_the_threshold_itself(self, tiny_model: Path, flat: Flat) -> None:
        path = flat("a.png", 51)
        assert scan(tiny_model, path, threshold=0.2)[0].label is Label.PNEUMONIA
        assert scan(tiny_model, path, threshold=0.2001)[0].label is Label.NORMAL

    def test_of_a_file_that_cannot_be_decoded_has_a_code_and_no_score(self, tiny_model: Path, tmp_path: Path) -> None:
        (tmp_path / "a.jpg").write_text("hello")
        (record,) = scan(tiny_model, tmp_path)
        assert (record.status, record.error) == (Status.ERROR, ErrorCode.NOT_AN_IMAGE)
        assert record.message == "the file is not a JPEG or PNG picture"
        assert (record.label, record.probability, record.device, record.review) == (None, None, None, False)

    def test_of_a_picture_that_is_too_large_has_its_size(self, tiny_model: Path, flat: Flat) -> None:
        (record,) = scan(tiny_model, flat("a.png", 1), max_pixels=100)
        assert (record.error, record.width, record.height) == (ErrorCode.TOO_LARGE, 40, 30)

    def test_of_an_outlier_is_rejected_without_a_label(self, tmp_path: Path, flat: Flat) -> None:
        model = write_model(tmp_path / "gate.onnx", outlier_threshold=0.5)
        inlier, outlier = scan(model, flat("a.png", 102), flat("b.png", 204))
        assert (inlier.status, inlier.outlier_score) == (Status.OK, 0.4)
        assert (outlier.status, outlier.error) == (Status.REJECTED, ErrorCode.NOT_A_CHEST_XRAY)
        assert (outlier.outlier_score, outlier.label, outlier.probability) == (0.8, None, None)

    def test_of_an_unfamiliar_picture_has_a_verdict_and_asks_for_a_review(self, tmp_path: Path, flat: Flat) -> None:
        model = write_model(tmp_path / "gate.onnx", outlier_threshold=0.8, unfamiliar_threshold=0.2)
        familiar, unfamiliar, doubtful, outlier = scan(
            model, flat("a.png", 51), flat("b.png", 204), flat("c.png", 128), flat("d.png", 205)
        )
        assert (familiar.status, familiar.review, familiar.message) == (Status.OK, False, None)
        assert (unfamiliar.status, unfamiliar.review, unfamiliar.message) == (Status.OK, True, "unfamiliar")
        assert (unfamiliar.label, unfamiliar.probability, unfamiliar.error) == (Label.PNEUMONIA, 0.8, None)
        assert (doubtful.review, doubtful.message) == (True, "unfamiliar")
        assert (outlier.status, outlier.review) == (Status.REJECTED, False)

    def test_in_the_review_band_alone_has_no_message(self, tmp_path: Path, flat: Flat) -> None:
        model = write_model(tmp_path / "gate.onnx", outlier_threshold=0.9, unfamiliar_threshold=0.9)
        (record,) = scan(model, flat("a.png", 128))
        assert (record.review, record.message) == (True, None)

    def test_by_a_model_without_an_unfamiliar_threshold_is_never_unfamiliar(self, tmp_path: Path, flat: Flat) -> None:
        (record,) = scan(write_model(tmp_path / "gate.onnx", outlier_threshold=0.9), flat("a.png", 204))
        assert (record.status, record.review, record.message) == (Status.OK, False, None)


class TestAScan:
    def test_gives_every_input_its_own_score_in_order_whatever_fails_between(
        self, tiny_model: Path, flat: Flat, tmp_path: Path
    ) -> None:
        for number in range(200):
            if number % 7 == 3:
                (tmp_path / f"{number:03}.png").write_bytes(b"broken"[: number % 5])
            else:
                flat(f"{number:03}.png", number)
        records = scan(tiny_model, tmp_path, batch_size=8, workers=8)
        assert [Path(record.path).name for record in records] == [f"{number:03}.png" for number in range(200)]
        for number, record in enumerate(records):
            if number % 7 == 3:
                assert (record.status, record.probability) == (Status.ERROR, None)
            else:
                assert record.probability == pytest.approx(number / 255, abs=1e-6)

    @pytest.mark.parametrize("batch_size", [1, 7, 64])
    @pytest.mark.parametrize("workers", [1, 8])
    def test_scores_the_same_in_any_batch_with_any_workers(
        self, tiny_model: Path, flat: Flat, batch_size: int, workers: int
    ) -> None:
        paths = [flat(f"{number}.png", number) for number in range(0, 250, 10)]
        one_by_one = [scan(tiny_model, path)[0] for path in paths]
        assert scan(tiny_model, *paths, batch_size=batch_size, workers=workers) == one_by_one

    def test_makes_do_with_one_thread_where_no_more_may_be_started(
        self, tiny_model: Path, many: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        started, start = [], threading.Thread.start

        def only_one(thread: threading.Thread) -> None:
            if started:
                raise RuntimeError("can't start new thread")
            started.append(thread)
            start(thread)

        scanner, folder = Scanner(tiny_model, device="cpu", workers=4), many(40)
        expected = list(scanner.scan(folder))
        monkeypatch.setattr(threading.Thread, "start", only_one)
        assert list(scanner.scan(folder)) == expected
        assert len(expected) == 40

    def test_takes_a_single_path_too(self, tiny_model: Path, flat: Flat) -> None:
        path = flat("a.png", 51)
        scanner = Scanner(tiny_model, device="cpu")
        assert list(scanner.scan(str(path))) == list(scanner.scan(path)) == list(scanner.scan([path]))

    def test_of_nothing_yields_nothing(self, tiny_model: Path, tmp_path: Path) -> None:
        assert scan(tiny_model, tmp_path) == []

    def test_of_failures_alone_runs_no_network(self, tiny_model: Path, tmp_path: Path) -> None:
        records = scan(tiny_model, tmp_path / "a.jpg", tmp_path / "b.jpg")
        assert [record.error for record in records] == [ErrorCode.NOT_FOUND] * 2

    def test_can_be_repeated_with_the_same_scanner(self, tiny_model: Path, flat: Flat) -> None:
        scanner = Scanner(tiny_model, device="cpu")
        path = flat("a.png", 9)
        assert list(scanner.scan([path])) == list(scanner.scan([path]))

    def test_reads_only_a_bounded_number_ahead_of_the_records_taken(self, tiny_model: Path, flat: Flat) -> None:
        path = flat("a.png", 9)
        taken = 0

        def endless() -> object:
            nonlocal taken
            while True:
                taken += 1
                yield path

        records = Scanner(tiny_model, device="cpu", batch_size=4, workers=2).scan(endless())
        for _ in range(10):
            next(records)
        assert taken < 60
        records.close()

    def test_runs_the_network_on_as_many_pictures_at_a_time_as_it_is_told(
        self, tiny_model: Path, flat: Flat, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scanner = Scanner(tiny_model, device="cpu", batch_size=4)
        predict, sizes = scanner.model.predict, []

        def watched(images: np.ndarray, **options: bool) -> Prediction:
            sizes.append(len(images))
            return predict(images, **options)

        monkeypatch.setattr(scanner.model, "predict", watched)
        list(scanner.scan([flat("a.png", 1)] * 10))
        assert sorted(sizes) == [2, 4, 4]

    def test_does_not_wait_for_paths_that_are_still_to_come_unless_told_how_many_to_take(
        self, tiny_model: Path, flat: Flat, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scanner = Scanner(tiny_model, device="cpu")
        predict, scored = scanner.model.predict, threading.Semaphore(0)

        def watched(images: np.ndarray, **options: bool) -> Prediction:
            for _ in images:
                scored.release()
            return predict(images, **options)

        def slow() -> Iterator[Path]:
            for number in range(9):
                yield flat(f"{number}.png", number)
                assert scored.acquire(timeout=60)  # the next path comes when this one's picture is being scored

        monkeypatch.setattr(scanner.model, "predict", watched)
        assert [record.width for record in scanner.scan(slow())] == [40] * 9

    @pytest.mark.parametrize("batch_size", [None, 4])
    def test_yields_all_that_it_was_given_while_nothing_more_comes(
        self, tiny_model: Path, flat: Flat, batch_size: int | None
    ) -> None:
        paths = [str(flat(f"{number}.png", number)) for number in range(9)]
        found: list[str] = []
        end = time.monotonic() + 60

        def slow() -> Iterator[str]:
            for number, path in enumerate(paths):
                while number % 3 == 0 and len(found) < number:
                    assert time.monotonic() < end, f"of {number} there are {len(found)}"
                    time.sleep(0.001)
                    yield NOTHING_YET
                yield path

        scanner = Scanner(tiny_model, device="cpu", batch_size=batch_size)
        for record in scanner.scan(slow()):
            found.append(record.path)  # noqa: PERF401, since the paths look at it
        assert found == paths

    def test_takes_paths_that_come_while_it_is_at_work(
        self, tiny_model: Path, flat: Flat, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first picture hangs until the second, which comes later, is read."""
        slow, quick = flat("slow.png", 1), flat("quick.png", 2)
        read, arrived = decode.read, threading.Event()

        def hanging(path: str) -> decode.File:
            if path == str(slow):
                assert arrived.wait(timeout=60)
            else:
                arrived.set()
            return read(path)

        monkeypatch.setattr(decode, "read", hanging)
        paths = [str(slow), NOTHING_YET, NOTHING_YET, str(quick), NOTHING_YET]
        found = Scanner(tiny_model, device="cpu", workers=2).scan(paths)
        assert [record.path for record in found] == [str(slow), str(quick)]

    def test_runs_no_more_networks_at_a_time_than_the_device_can(
        self, tiny_model: Path, flat: Flat, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        running, most = [0], [0]

        class OneAtATime(Model):
            def __init__(self, *arguments: object, **options: object) -> None:
                super().__init__(*arguments, **options)  # type: ignore[arg-type]
                self.in_flight = 1

            def predict(self, images: np.ndarray, **options: bool) -> Prediction:
                running[0] += 1
                most[0] = max(most[0], running[0])
                time.sleep(0.001)  # long enough for others to come, were they let in
                running[0] -= 1
                return super().predict(images, **options)

        monkeypatch.setattr("pneumoscan.scan.Model", OneAtATime)
        assert len(scan(tiny_model, *[flat("a.png", 1)] * 50, batch_size=1, workers=8)) == 50
        assert most == [1]

    def test_that_breaks_off_decodes_no_more_of_the_batches_that_it_has_begun(
        self, tiny_model: Path, flat: Flat, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path, read = flat("a.png", 1), decode.read
        begun, broken, count = threading.Event(), threading.Event(), [0]

        def watched(path: str) -> decode.File:
            begun.set()
            assert broken.wait(60)
            count[0] += 1
            return read(path)

        def breaking() -> Iterator[Path]:
            yield from [path] * 5000
            assert begun.wait(60)
            broken.set()
            raise OSError("the list cannot be read on")

        monkeypatch.setattr(decode, "read", watched)
        with pytest.raises(OSError, match="read on"):
            list(Scanner(tiny_model, device="cpu", batch_size=5000, workers=1).scan(breaking()))
        assert count[0] < 5000

    def test_that_is_abandoned_leaves_no_threads(self, tiny_model: Path, flat: Flat) -> None:
        before = threading.active_count()
        records = Scanner(tiny_model, device="cpu", batch_size=1).scan([flat(f"{i}.png", i) for i in range(50)])
        next(records)
        records.close()
        assert threading.active_count() == before

    def test_reads_large_files_one_at_a_time(
        self, tiny_model: Path, flat: Flat, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reading: list[str] = []
        most = [0, 0]
        read = decode.read

        def watched(path: str) -> decode.File:
            reading.append(path)
            most[0] = max(most[0], sum(Path(each).name.startswith("large") for each in reading))
            most[1] = max(most[1], len(reading))
            time.sleep(0.01)
            reading.remove(path)
            return read(path)

        small = flat("small.png", 1).stat().st_size
        paths = []
        for number in range(8):
            paths += [flat(f"large{number}.png", 1), flat(f"small{number}.png", 1)]
            paths[-2].write_bytes(paths[-2].read_bytes() + b" ")
        monkeypatch.setattr(decode, "read", watched)
        monkeypatch.setattr("pneumoscan.scan.LARGE_FILE", small)
        assert {record.status for record in scan(tiny_model, *paths, workers=4)} == {Status.OK}
        assert (most[0], most[1] > 1) == (1, True)

    @pytest.mark.skipif(os.name == "nt", reason="names are text there")
    def test_keeps_names_that_are_not_utf8(self, tiny_model: Path, flat: Flat) -> None:
        path = flat("a.png", 51)
        odd = path.rename(os.fsdecode(os.fsencode(path.parent) + b"/\xff.png"))
        (record,) = scan(tiny_model, odd)
        assert (os.fsencode(record.path), record.status) == (os.fsencode(odd), Status.OK)


class TestASeenPicture:
    def test_comes_with_its_record_with_what_the_model_saw_and_with_its_heatmap(
        self, tiny_model: Path, flat: Flat, tmp_path: Path
    ) -> None:
        for number in range(40):
            flat(f"{number:02}.png", number) if number % 7 != 3 else (tmp_path / f"{number:02}.png").touch()
        scanner = Scanner(tiny_model, device="cpu", batch_size=8)
        seen = list(scanner.scan_pictures(tmp_path))
        assert [each.record for each in seen] == list(scanner.scan(tmp_path))
        for number, (_, pixels, heatmap) in enumerate(seen):
            if number % 7 == 3:
                assert (pixels, heatmap) == (None, None)
            else:
                assert pixels is not None and (pixels == number).all() and pixels.shape == (SIZE, SIZE)
                assert heatmap == pytest.approx(np.full((SIZE, SIZE), number / 255), abs=1e-6)

    def test_that_is_rejected_has_a_heatmap_too(self, tmp_path: Path, flat: Flat) -> None:
        scanner = Scanner(write_model(tmp_path / "gate.onnx", outlier_threshold=0.5), device="cpu")
        (seen,) = scanner.scan_pictures(flat("a.png", 204))
        assert seen.record.status is Status.REJECTED
        assert seen.heatmap == pytest.approx(np.full((SIZE, SIZE), 0.8), abs=1e-6)

    def test_keeps_its_own_heatmap_when_batches_are_halved(self, tmp_path: Path, flat: Flat) -> None:
        scanner = Scanner(write_model(tmp_path / "small.onnx", fails_above=4), device="cpu", batch_size=7)
        seen = scanner.scan_pictures([flat(f"{number}.png", number) for number in range(7)])
        heats = [each.heatmap[0, 0] for each in seen if each.heatmap is not None]
        assert heats == [pytest.approx(number / 255, abs=1e-6) for number in range(7)]

    def test_without_a_score_has_pixels_but_no_heatmap(
        self, tiny_model: Path, flat: Flat, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scanner = Scanner(tiny_model, device="cpu")
        nothing = Prediction(np.full((1, 3), np.nan, np.float32), None, np.ones((1, 2, 2), np.float32))
        monkeypatch.setattr(scanner.model, "predict", lambda images, **options: nothing)
        (seen,) = scanner.scan_pictures([flat("a.png", 1)])
        assert (seen.record.error, seen.heatmap) == (ErrorCode.INFERENCE_FAILED, None)
        assert seen.pixels is not None

    def test_costs_one_pass_of_the_network_and_a_mere_scan_asks_for_no_heatmap(
        self, tiny_model: Path, flat: Flat, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scanner = Scanner(tiny_model, device="cpu")
        asked: list[list[str]] = []
        session = scanner.model._session

        class Watched:
            def run(self, names: list[str], images: object) -> object:
                asked.append(names)
                return session.run(names, images)

        monkeypatch.setattr(scanner.model, "_session", Watched())
        list(scanner.scan([flat("a.png", 1)]))
        list(scanner.scan_pictures([flat("a.png", 1)]))
        assert asked == [["probabilities", "outlier_score"], ["probabilities", "outlier_score", "heatmap"]]

    def test_by_a_model_without_heatmaps_has_none(self, tmp_path: Path, flat: Flat) -> None:
        scanner = Scanner(write_model(tmp_path / "blind.onnx", has_heatmap=False), device="cpu")
        (seen,) = scanner.scan_pictures([flat("a.png", 204)])
        assert (scanner.model.has_heatmap, seen.heatmap, seen.record.label) == (False, None, Label.PNEUMONIA)


class TestAFailingNetwork:
    def test_is_tried_with_smaller_batches(self, tmp_path: Path, flat: Flat) -> None:
        model = write_model(tmp_path / "small.onnx", fails_above=4)
        records = scan(model, *[flat(f"{number}.png", number) for number in range(7)], batch_size=7)
        assert [record.probability for record in records] == [pytest.approx(n / 255, abs=1e-6) for n in range(7)]

    def test_for_want_of_memory_is_not_tried_again_with_batches_as_large(
        self, tmp_path: Path, flat: Flat, caplog: pytest.LogCaptureFixture
    ) -> None:
        model = write_model(tmp_path / "small.onnx", fails_above=4)
        records = scan(model, *[flat(f"{number}.png", number) for number in range(64)], batch_size=16, workers=1)
        assert [record.status for record in records] == [Status.OK] * 64
        assert [message.split(" failed")[0] for message in caplog.messages] == ["a batch of 16", "a batch of 8"]

    def test_spoils_only_the_picture_at_fault(
        self, tiny_model: Path, flat: Flat, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scanner = Scanner(tiny_model, device="cpu")
        predict = scanner.model.predict

        def fail_on_three(images: np.ndarray, **options: bool) -> Prediction:
            if (images == 3).any():
                raise RuntimeError("CUDA failure 2: no memory ; GPU=0 ; hostname=ward-7 ; file=a.cc")
            return predict(images, **options)

        monkeypatch.setattr(scanner.model, "predict", fail_on_three)
        records = list(scanner.scan([flat(f"{number}.png", number) for number in range(6)]))
        assert [record.error for record in records] == [None, None, None, ErrorCode.INFERENCE_FAILED, None, None]
        assert records[3].message == "the network failed: CUDA failure 2: no memory ; GPU=0 ; file=a.cc"
        assert records[3].probability is None

    @pytest.mark.parametrize(
        ("probability", "outlier"), [(np.nan, None), (np.nan, 0.1), (0.3, np.nan), (0.3, np.inf), (0.3, -np.inf)]
    )
    def test_that_answers_with_no_number_gives_no_score(
        self,
        tiny_model: Path,
        flat: Flat,
        monkeypatch: pytest.MonkeyPatch,
        probability: float,
        outlier: float | None,
    ) -> None:
        scanner = Scanner(tiny_model, device="cpu")
        scores = None if outlier is None else np.array([outlier], np.float32)
        nothing = Prediction(np.full((1, 3), probability, np.float32), scores)
        monkeypatch.setattr(scanner.model, "predict", lambda images, **options: nothing)
        (record,) = scanner.scan([flat("a.png", 1)])
        assert (record.error, record.label) == (ErrorCode.INFERENCE_FAILED, None)
        assert (record.message, record.outlier_score) == ("the network's answer is not a number", None)


@pytest.mark.parametrize(
    "options", [{"batch_size": 0}, {"workers": 0}, {"max_pixels": 0}, {"threshold": -0.1}, {"threshold": 1.1}]
)
def test_numbers_out_of_range_are_refused(tiny_model: Path, options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        Scanner(tiny_model, device="cpu", **options)  # type: ignore[arg-type]


def test_a_threshold_is_for_good_since_records_tell_it(tiny_model: Path) -> None:
    with pytest.raises(AttributeError):
        Scanner(tiny_model, device="cpu").threshold = 0.9  # type: ignore[misc]


@pytest.mark.parametrize("paths", [b"a.png", [b"a.png"], ["a.png", b"a.png"]])
@pytest.mark.parametrize("walk", [True, False])
def test_paths_are_no_bytes(tiny_model: Path, paths: Any, walk: bool) -> None:
    with pytest.raises(TypeError, match=r"must be text or os\.PathLike, not bytes"):
        list(Scanner(tiny_model, device="cpu").scan(paths, walk=walk))


def test_what_a_scanner_raises_is_named_beside_it(tmp_path: Path) -> None:
    with pytest.raises(pneumoscan.ModelError):
        pneumoscan.Scanner(tmp_path / "gone.onnx")
    assert issubclass(pneumoscan.DeviceError, Exception)
    assert {name for name in pneumoscan.__all__ if not hasattr(pneumoscan, name)} == set()


@pytest.mark.parametrize(("threshold", "label"), [(0, Label.PNEUMONIA), (1, Label.NORMAL)])
def test_a_threshold_may_be_0_or_1(tiny_model: Path, flat: Flat, threshold: float, label: Label) -> None:
    assert [record.label for record in scan(tiny_model, flat("a.png", 0), threshold=threshold)] == [label]


def test_of_a_file_that_was_read_but_not_decoded_has_its_bytes_and_time(tiny_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_text("hello")
    (record,) = scan(tiny_model, path)
    assert (record.bytes, record.modified) == (5, timestamp(path.stat().st_mtime_ns))


def test_runs_as_many_networks_at_a_time_as_the_device_can(
    tiny_model: Path, flat: Flat, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2)

    class TwoAtATime(Model):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)  # type: ignore[arg-type]
            self.in_flight = 2

        def predict(self, images: np.ndarray, **options: bool) -> Prediction:
            both.wait(10)  # were one alone let in, it would wait in vain
            return super().predict(images, **options)

    monkeypatch.setattr("pneumoscan.scan.Model", TwoAtATime)
    records = scan(tiny_model, *[flat("a.png", 1)] * 10, batch_size=1, workers=2)
    assert [record.status for record in records] == [Status.OK] * 10


def test_a_picture_at_fault_makes_no_later_batch_smaller(
    tiny_model: Path, flat: Flat, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanner = Scanner(tiny_model, device="cpu", batch_size=4, workers=1)
    predict, sizes = scanner.model.predict, []

    def fail_on_three(images: np.ndarray, **options: bool) -> Prediction:
        sizes.append(len(images))
        if (images == 3).any():
            raise RuntimeError("no such picture")
        return predict(images, **options)

    monkeypatch.setattr(scanner.model, "predict", fail_on_three)
    list(scanner.scan([flat(f"{number}.png", number) for number in range(8)]))
    assert sizes == [4, 2, 2, 1, 1, 4]


def test_of_two_kinds_that_are_as_likely_bacterial_is_claimed_where_half_will_do(tiny_model: Path) -> None:
    even = Score(np.array([0.2, 0.4, 0.4], np.float32), None, None)
    record = verdict(SimpleNamespace, even, replace(Model(tiny_model, "cpu").card, subtype_threshold=0.5), 0.5)
    assert record.subtype is Subtype.BACTERIAL


def test_an_interruption_waits_for_no_thread_that_hangs() -> None:
    goes_on = threading.Event()
    try:
        with pytest.raises(KeyboardInterrupt), pool_of(1, "hang") as pool:
            hanging = pool.submit(goes_on.wait, 10)
            raise KeyboardInterrupt
        assert not hanging.done()
    finally:
        goes_on.set()
