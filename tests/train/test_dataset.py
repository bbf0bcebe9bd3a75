import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pneumoscan.labels import read_labels
from train import dataset
from train.cli import app
from train.cli.data import training_data
from train.dataset import SOME_PNEUMONIA, Sample
from train.errors import DatasetError


def place(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


class TestReadingAFolder:
    @pytest.mark.parametrize(
        ("name", "target", "group"),
        [
            ("NORMAL/IM-0115-0001.jpeg", 0, "IM-0115"),
            ("NORMAL/IM-0429-0001-0002.jpeg", 0, "IM-0429"),
            ("NORMAL/NORMAL2-IM-0383-0001.jpeg", 0, "NORMAL2-IM-0383"),
            ("PNEUMONIA/person1_bacteria_1.jpeg", 1, "person1"),
            ("PNEUMONIA/person1_virus_12.jpeg", 2, "person1"),
            ("PNEUMONIA/BACTERIA-1135262-0001.jpeg", 1, "BACTERIA-1135262"),
            ("PNEUMONIA/VIRUS-1980593-0007.jpeg", 2, "VIRUS-1980593"),
            ("NORMAL/NORMAL-1003233-0001.jpeg", 0, "NORMAL-1003233"),
            ("NORMAL/anything.png", 0, "train/NORMAL/anything.png"),
            ("PNEUMONIA/person7-with-virus.jpeg", 2, "person7"),
        ],
    )
    def test_takes_class_and_patient_from_the_name(self, tmp_path: Path, name: str, target: int, group: str) -> None:
        (sample,) = dataset.read_samples(place(tmp_path, f"train/{name}"))
        assert sample == Sample(tmp_path / "train" / name, target, group, "train")

    def test_passes_over_what_is_hidden_or_left_by_macos(self, tmp_path: Path) -> None:
        place(tmp_path, "__MACOSX/NORMAL/._IM-1-1.jpeg", "NORMAL/.IM-1-1.jpeg", "NORMAL/IM-2-1.jpeg")
        assert [sample.group for sample in dataset.read_samples(tmp_path)] == ["IM-2"]

    def test_takes_the_split_from_the_folder_or_leaves_it_open(self, tmp_path: Path) -> None:
        place(tmp_path, "a/test/NORMAL/IM-1-1.jpeg", "a/val/NORMAL/IM-2-1.jpeg", "b/NORMAL/IM-3-1.jpeg")
        assert sorted(sample.split for sample in dataset.read_samples(tmp_path / "a")) == ["test", "val"]
        assert [sample.split for sample in dataset.read_samples(tmp_path / "b")] == [""]

    def test_takes_a_pneumonia_whose_name_tells_no_kind_for_one_of_unknown_kind(self, tmp_path: Path) -> None:
        place(tmp_path, "NORMAL/virus.jpeg", "PNEUMONIA/virus.jpeg", "PNEUMONIA/x.jpeg")
        found = {str(each.path.relative_to(tmp_path)): each.target for each in dataset.read_samples(tmp_path)}
        assert found == {"NORMAL/virus.jpeg": 0, "PNEUMONIA/virus.jpeg": 2, "PNEUMONIA/x.jpeg": SOME_PNEUMONIA}

    def test_looks_for_the_split_no_further_up_than_the_folder_that_is_named(self, tmp_path: Path) -> None:
        place(tmp_path / "test" / "mine", "NORMAL/IM-1-1.jpeg")
        assert [sample.split for sample in dataset.read_samples(tmp_path / "test" / "mine")] == [""]

    def test_trains_on_nothing_whose_folder_may_be_a_split_of_another_name(self, tmp_path: Path) -> None:
        place(tmp_path, "train/NORMAL/IM-1-1.jpeg", "valid/NORMAL/IM-2-1.jpeg")
        with pytest.raises(
            DatasetError, match=r"valid/NORMAL/IM-2-1.jpeg lies in no folder train, val, test, as others"
        ):
            dataset.read_samples(tmp_path)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("train/x.jpeg", "has no label, neither by a folder NORMAL or PNEUMONIA"),
            ("train/NORMAL/x.txt", "no JPEG or PNG pictures found"),
        ],
    )
    def test_says_what_it_cannot_understand(self, tmp_path: Path, name: str, message: str) -> None:
        with pytest.raises(DatasetError, match=message):
            dataset.read_samples(place(tmp_path, name))

    def test_says_that_nothing_is_there(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match=r"cannot read .*No such file"):
            dataset.read_samples(tmp_path / "gone")


class TestReadingACsv:
    def read(self, folder: Path, text: str) -> list[Sample]:
        (folder / "my.csv").write_text(text)
        return dataset.read_samples(folder / "my.csv")

    def test_takes_path_label_and_group_from_the_columns(self, tmp_path: Path) -> None:
        samples = self.read(
            tmp_path,
            "path,label,subtype,group,split\na.png,NORMAL,,p1,train\nb.png,PNEUMONIA,virus,p2,val\nc.png,bacterial,,,\n",
        )
        assert samples == [
            Sample(tmp_path / "a.png", 0, "p1", "train"),
            Sample(tmp_path / "b.png", 2, "p2", "val"),
            Sample(tmp_path / "c.png", 1, str(tmp_path / "c.png"), ""),
        ]

    def test_takes_a_pneumonia_whose_subtype_is_blank_for_one_of_unknown_kind(self, tmp_path: Path) -> None:
        text = "path,label,subtype\na.png,pneumonia,\nb.png,pneumonia,viral\nc.png,normal,\n"
        samples = self.read(tmp_path, text)
        assert [sample.target for sample in samples] == [SOME_PNEUMONIA, 2, 0]

    def test_takes_the_split_from_a_column_with_blanks_around_its_name(self, tmp_path: Path) -> None:
        samples = self.read(tmp_path, "path,label, split\na.png,normal,train\nb.png,normal,test\n")
        assert [sample.split for sample in samples] == ["train", "test"]
        samples = self.read(tmp_path, 'path, label, "split"\na.png, normal, "train"\nb.png, normal, "test"\n')
        assert [sample.split for sample in samples] == ["train", "test"]

    def test_takes_a_picture_whose_group_is_blank_for_a_patient_of_its_own(self, tmp_path: Path) -> None:
        samples = self.read(tmp_path, "path,label,group\na.png,normal,  \nb.png,normal,\nc.png,normal\n")
        assert [sample.group for sample in samples] == [str(sample.path) for sample in samples]

    def test_tells_patients_apart_as_evaluation_does(self, tmp_path: Path) -> None:
        samples = self.read(tmp_path, "path,label,group\na.png,normal,p1 \nb.png,viral,p1\nc.png,viral,\n")
        found, _ = read_labels(tmp_path / "my.csv")
        assert [sample.group for sample in samples] == [each.group for each in found]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("file,label\nx,NORMAL\n", "needs the columns path and label"),
            ("path,label\nx,NORMAL\ny,healthy\n", "line 3: label 'healthy' is none of"),
            ("path,group,label\nx,p1\n", "x: has no label"),
            ("path,label,split\nx,normal,train\ny,normal,dev\n", "line 3: split 'dev' is none of train, val, test"),
            ("path,label,split\nx,normal,Training\n", "line 2: split 'Training' is none of"),
            ("path,label,split, split\nx,normal,train,test\n", "has several columns split"),
            ("path,label\n", "my.csv: no rows"),
        ],
    )
    def test_says_what_it_cannot_understand(self, tmp_path: Path, text: str, message: str) -> None:
        with pytest.raises(DatasetError, match=message):
            self.read(tmp_path, text)


def test_pixels_are_those_that_scanning_sees(make_dataset: Callable[[int], Path]) -> None:
    from pneumoscan.decode import decode

    samples = dataset.read_samples(make_dataset(2))
    pixels = dataset.load_pixels(samples, 32)
    assert pixels.shape == (12, 32, 32)
    for sample, picture in zip(samples, pixels, strict=True):
        assert np.array_equal(picture, decode(sample.path.read_bytes(), 32).pixels)


def test_resizing_is_that_of_scanning(make_dataset: Callable[[int], Path]) -> None:
    samples = dataset.read_samples(make_dataset(1))
    kept = dataset.load_pixels(samples, 48)
    assert np.array_equal(dataset.resize(kept, 48), kept)
    assert dataset.resize(kept, 32).shape == (6, 32, 32)


def test_a_picture_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    place(tmp_path, "NORMAL/IM-1-1.jpeg")
    with pytest.raises(DatasetError, match=r"IM-1-1\.jpeg: the file is empty"):
        dataset.load_pixels(dataset.read_samples(tmp_path), 32)


def test_of_many_pictures_that_cannot_be_decoded_the_first_are_named_and_all_counted(tmp_path: Path) -> None:
    place(tmp_path, *(f"NORMAL/IM-{number}-1.jpeg" for number in range(5)))
    with pytest.raises(DatasetError) as told:
        dataset.load_pixels(dataset.read_samples(tmp_path), 32)
    message = str(told.value)
    assert [f"IM-{number}-1.jpeg: the file is empty" in message for number in range(5)] == [True] * 3 + [False] * 2
    assert message.endswith("; 5 pictures cannot be read")


class TestDoubtsAboutData:
    """Told on standard error."""

    def told(self, folder: Path, text: str, *pictures: int, command: tuple[str, ...] = ("index",)) -> str:
        for number, grey in enumerate(pictures):
            Image.fromarray(np.full((16, 16), grey, np.uint8)).save(folder / f"{number}.png")
        (folder / "my.csv").write_text(text)
        return CliRunner().invoke(app, [*command, str(folder / "my.csv")]).stderr

    @pytest.mark.parametrize("command", ["index", "fit"])
    def test_tell_files_that_are_no_pictures(self, tmp_path: Path, command: str) -> None:
        (tmp_path / "NORMAL").mkdir()
        Image.new("L", (16, 16)).save(tmp_path / "NORMAL" / "a.png")
        (tmp_path / "NORMAL" / "b.dcm").touch()
        told = CliRunner().invoke(app, [command, str(tmp_path)]).stderr
        assert f"{tmp_path}: left out: 1 file not named as pictures (1 of .dcm)\n" in told

    def test_tell_columns_that_are_not_used(self, tmp_path: Path) -> None:
        told = self.told(tmp_path, "path,label,patient,Split, group\n0.png,normal,a,test,p1\n", 10)
        assert "columns that are not used: 'patient', 'Split'; used are path, label, subtype, group, split" in told

    def test_tell_how_many_pictures_have_no_known_patient(self, tmp_path: Path) -> None:
        told = self.told(tmp_path, "path,label,group\n0.png,normal,\n1.png,normal,p1\n2.png,viral,\n", 10, 20, 30)
        assert "2 of 3 pictures have no known patient" in told
        assert "which flatters figures" in told

    def test_tell_how_many_pictures_of_a_folder_have_no_known_patient(self, tmp_path: Path) -> None:
        samples = dataset.read_samples(place(tmp_path, "NORMAL/IM-1-1.png", "NORMAL/x.png", "PNEUMONIA/virus.png"))
        unknown = dataset.without_patient(samples, tmp_path)
        assert [each.path.name for each in unknown] == ["x.png", "virus.png"]

    def test_tell_identical_pictures_that_are_labelled_differently_before_a_fit(self, tmp_path: Path) -> None:
        rows = "path,label,group\n0.png,normal,p0\n1.png,viral,p1\n2.png,viral,p2\n3.png,bacterial,p3\n4.png,viral,p4\n"
        told = self.told(tmp_path, rows, 10, 10, 20, 20, 30, command=("export", "--run", str(tmp_path / "none")))
        first = f"{tmp_path / '0.png'}, {tmp_path / '1.png'}"
        assert f"2 sets of identical pictures are labelled differently, the first: {first}; python -m train" in told

    def test_tell_how_many_pneumonias_are_of_unknown_kind(self, tmp_path: Path) -> None:
        rows = "path,label,group\n0.png,normal,p0\n1.png,pneumonia,p1\n2.png,viral,p2\n"
        told = self.told(tmp_path, rows, 10, 20, 30)
        assert "1 of 2 pneumonias are neither bacterial nor viral by name or subtype: their labels teach only" in told
        assert "will name no subtype" not in told
        told = self.told(tmp_path, rows.replace("viral", "pneumonia"), 10, 20, 30)
        assert "2 of 2 pneumonias" in told
        assert "and the model will name no subtype" in told

    def test_are_none_about_data_that_is_in_order(self, tmp_path: Path) -> None:
        assert self.told(tmp_path, "path,label,group,split\n0.png,normal,p0,train\n", 10) == ""


def sample(group: str, target: int = 0, split: str = "") -> Sample:
    return Sample(Path(group), target, group, split)


def test_what_is_trained_on_is_the_split_train_with_identical_pictures_in_one_group(
    make_dataset: Callable[[int], Path],
) -> None:
    data = make_dataset(3)
    pictures = sorted((data / "train" / "NORMAL").glob("*.jpeg"))
    (data / "test" / "NORMAL").mkdir(parents=True)
    pictures[0].rename(data / "test" / "NORMAL" / pictures[0].name)
    pictures[2].write_bytes(pictures[4].read_bytes())
    samples, pixels = training_data(data)
    assert {sample.split for sample in samples} == {"train"}
    assert len(samples) == len(pixels) == 17
    groups = {sample.path: sample.group for sample in samples}
    assert groups[pictures[2]] == groups[pictures[4]] != groups[pictures[1]]


def test_identical_pictures_are_found() -> None:
    a, b = np.zeros((2, 2), np.uint8), np.ones((2, 2), np.uint8)
    assert dataset.find_duplicates([a, b, a, b, a, b + 1]) == [[0, 2, 4], [1, 3]]


def test_groups_that_share_a_picture_become_one() -> None:
    samples = [sample("a"), sample("b"), sample("c"), sample("d"), sample("b")]
    merged = [each.group for each in dataset.merge_groups(samples, [[0, 1], [4, 2]])]
    assert merged[0] == merged[1] == merged[2] == merged[4]
    assert merged[3] == "d"


def test_a_group_in_two_splits_is_a_leak() -> None:
    samples = [sample("a", split="train"), sample("a", split="val"), sample("b", split="val")]
    assert dataset.find_leaks(samples) == {"a": {"train", "val"}}


def test_folds_never_part_a_group_and_share_the_classes_out() -> None:
    samples = [sample(f"{target}-{number // 3}", target) for target in range(3) for number in range(90)]
    folds = dataset.assign_folds(samples, 3, seed=1)
    where: dict[str, set[int]] = {}
    for each, fold in zip(samples, folds, strict=True):
        where.setdefault(each.group, set()).add(int(fold))
    assert all(len(each) == 1 for each in where.values())
    for fold in range(3):
        assert Counter(s.target for s, f in zip(samples, folds, strict=True) if f == fold) == {0: 30, 1: 30, 2: 30}


@pytest.mark.parametrize(("patients", "name"), [((0, 4, 4), "normal"), ((4, 1, 4), "bacterial"), ((4, 4, 3), "viral")])
def test_a_class_of_fewer_patients_than_folds_is_told(patients: tuple[int, ...], name: str) -> None:
    samples = [
        sample(f"{target}-{number % count}", target)
        for target, count in enumerate(patients)
        if count
        for number in range(9)
    ]
    with pytest.raises(
        DatasetError,
        match=f"too few patients have {name} pictures: {min(patients)}; 4 folds need 4 of them or more",
    ):
        dataset.assign_folds(samples, 4, seed=0)


def test_kinds_are_in_every_fold_where_some_labels_tell_them() -> None:
    kinds = ((0, 8), (1, 4), (2, 3), (SOME_PNEUMONIA, 8))
    samples = [sample(f"{target}-{number}", target) for target, count in kinds for number in range(count)]
    with pytest.raises(DatasetError, match=r"have viral pictures: 3; 4 folds .*; or name the kind of no pneumonia"):
        dataset.assign_folds(samples, 4, seed=0)


def test_pneumonias_are_in_every_fold_where_no_label_tells_a_kind() -> None:
    kinds = ((0, 8), (SOME_PNEUMONIA, 4))
    samples = [sample(f"{target}-{number}", target) for target, count in kinds for number in range(count)]
    folds = dataset.assign_folds(samples, 4, seed=0)
    assert sorted(folds[8:]) == [0, 1, 2, 3]
    with pytest.raises(DatasetError, match=r"have pneumonia pictures: 3; 4 folds need 4 .* \(--folds of fit\)$"):
        dataset.assign_folds(samples[:-1], 4, seed=0)


@pytest.mark.filterwarnings("error")
def test_few_pneumonias_of_unknown_kind_are_dealt_out_without_a_word() -> None:
    kinds = ((0, 8), (1, 8), (2, 8), (SOME_PNEUMONIA, 1))
    samples = [sample(f"{target}-{number}", target) for target, count in kinds for number in range(count)]
    assert set(dataset.assign_folds(samples, 4, seed=0)) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("targets", "contradict"),
    [((0, SOME_PNEUMONIA), True), ((1, 2), True), ((1, 2, SOME_PNEUMONIA), True), ((1, SOME_PNEUMONIA), False)],
)
def test_labels_of_a_picture_contradict_each_other_unless_one_only_tells_more(
    targets: tuple[int, ...], contradict: bool
) -> None:
    samples = [sample("a", target) for target in targets]
    assert dataset.find_conflicts(samples, [list(range(len(samples)))]) == ([samples] if contradict else [])


def test_a_class_that_cannot_be_dealt_to_every_fold_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [sample(f"{target}-{number}", target) for target in range(3) for number in range(4)]
    monkeypatch.setattr(dataset, "deal_groups", lambda *_: np.array([0, 1, 0, 1, 0, 1, 0, 1, 1, 1, 1, 1]))
    with pytest.raises(DatasetError, match=r"viral pictures: not each of 2 folds could get one; .*--folds"):
        dataset.assign_folds(samples, 2, seed=0)


def test_as_many_patients_of_a_class_as_folds_will_do() -> None:
    samples = [sample(f"{target}-{number % 4}", target) for target in range(3) for number in range((40, 9, 4)[target])]
    assert {tuple(np.unique(dataset.assign_folds(samples, 4, seed))) for seed in range(20)} == {(0, 1, 2, 3)}


def test_the_digest_depends_on_pixels_and_labels_but_not_on_order() -> None:
    pixels = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    samples = [sample("a", 0), sample("b", 1)]
    digest = dataset.digest(samples, pixels)
    assert dataset.digest(samples[::-1], pixels[::-1]) == digest
    assert dataset.digest([sample("a", 1), sample("b", 0)], pixels) != digest
    assert dataset.digest(samples, pixels + 1) != digest


def test_the_real_data_set_is_read_as_its_index_says(dataset: Path) -> None:
    from train.dataset import read_samples

    with (dataset / "index.csv").open() as file:
        rows = {(row["split"], row["label"], row["name"]): row for row in csv.DictReader(file)}
    samples = read_samples(dataset / "chest_xray_224")
    assert len(samples) == len(rows) == 5232
    for each in samples:
        row = rows[each.split, each.path.parent.name, each.path.name]
        assert each.group == row["group"]
        assert each.target == {"": 0, "bacteria": 1, "virus": 2}[row["subtype"]]


def test_another_seed_deals_patients_to_other_folds() -> None:
    samples = [Sample(Path(str(number)), number % 3, str(number)) for number in range(90)]
    first, again, other = (dataset.assign_folds(samples, 3, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("patients", "advice"), [(1, False), (2, True)])
def test_fewer_folds_are_advised_only_where_they_would_do(patients: int, advice: bool) -> None:
    samples = [Sample(Path(f"{k}"), k % 3, f"{k if k % 3 else k // 3 % patients}") for k in range(90)]
    with pytest.raises(DatasetError, match=f"too few patients have normal pictures: {patients}; 3 folds") as told:
        dataset.assign_folds(samples, 3, 0)
    assert ("fewer folds" in str(told.value)) is advice
