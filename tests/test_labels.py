import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from pneumoscan import png
from pneumoscan.formats import COLUMNS
from pneumoscan.labels import LabelError, Labelled, OtherFiles, Pair, pair, read_labels
from pneumoscan.records import Label, Status, Subtype
from tests.records import ILL, failed


def folder(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def table(root: Path, text: str | bytes) -> Path:
    path = root / "labels.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


class TestFolders:
    def test_give_the_nearest_label_above_a_picture_whatever_the_case(self, tmp_path: Path) -> None:
        found, unlabelled = read_labels(
            folder(tmp_path, "x/normal/a.jpg", "Pneumonia/b.png", "PNEUMONIA/NORMAL/c.jpeg")
        )
        assert {os.path.basename(each.path): each.label for each in found} == {
            "a.jpg": Label.NORMAL,
            "b.png": Label.PNEUMONIA,
            "c.jpeg": Label.NORMAL,
        }
        assert unlabelled == []

    def test_may_be_links_which_are_followed_but_not_in_circles(self, tmp_path: Path) -> None:
        folder(tmp_path / "elsewhere", "b.jpg"), folder(tmp_path / "x", "NORMAL/a.jpg")
        (tmp_path / "x" / "PNEUMONIA").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "x" / "NORMAL" / "again").symlink_to("..")
        found, _ = read_labels(tmp_path / "x")
        assert [(os.path.relpath(each.path, tmp_path / "x"), each.label) for each in found] == [
            ("NORMAL/a.jpg", Label.NORMAL),
            ("PNEUMONIA/b.jpg", Label.PNEUMONIA),
        ]

    def test_count_a_picture_once_however_many_links_lead_to_it(self, tmp_path: Path) -> None:
        folder(tmp_path, "NORMAL/a.jpg", "PNEUMONIA/b.jpg")
        (tmp_path / "latest").symlink_to(tmp_path, target_is_directory=True)
        (tmp_path / "again").symlink_to("NORMAL", target_is_directory=True)
        (tmp_path / "fold").mkdir()
        (tmp_path / "fold" / "NORMAL").symlink_to("../NORMAL", target_is_directory=True)
        (tmp_path / "fold" / "PNEUMONIA").symlink_to("../NORMAL", target_is_directory=True)
        others = OtherFiles()
        found, unlabelled = read_labels(tmp_path, others)
        assert [(os.path.relpath(each.path, tmp_path), each.label) for each in found] == [
            ("NORMAL/a.jpg", Label.NORMAL),
            ("PNEUMONIA/b.jpg", Label.PNEUMONIA),
            ("fold/PNEUMONIA/a.jpg", Label.PNEUMONIA),  # a contradiction, which nobody may overlook
        ]
        assert unlabelled == [str(tmp_path / "again" / "a.jpg")]
        assert str(others) == "1 to which a link leads once more"

    def test_count_a_picture_by_its_own_path_whatever_comes_first(self, tmp_path: Path) -> None:
        folder(tmp_path, "train/NORMAL/b.jpg")
        (tmp_path / "all").symlink_to("train", target_is_directory=True)
        (tmp_path / "train" / "NORMAL" / "a.jpg").symlink_to("b.jpg")
        others = OtherFiles()
        ((each,), _) = read_labels(os.path.relpath(tmp_path), others)
        assert each.path == os.path.relpath(tmp_path / "train" / "NORMAL" / "b.jpg")
        assert str(others) == "3 to which a link leads once more"

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
    def test_may_hold_a_pipe_which_nobody_waits_for(self, tmp_path: Path) -> None:
        folder(tmp_path, "NORMAL/a.jpg")
        os.mkfifo(tmp_path / "NORMAL" / "b.png")
        found, _ = read_labels(tmp_path)
        assert [os.path.basename(each.path) for each in found] == ["a.jpg", "b.png"]

    def test_leave_out_what_this_program_has_drawn(self, tmp_path: Path) -> None:
        folder(tmp_path, "NORMAL/a.png", "heat/PNEUMONIA/b.png", "NORMAL/notes.txt")
        for name in ("heat/PNEUMONIA/b.png", "NORMAL/a.png.explain.png"):
            (tmp_path / name).write_bytes(png.own(Image.new("L", (9, 9))))
        others = OtherFiles()
        ((each,), unlabelled) = read_labels(tmp_path, others)
        assert (each.path, unlabelled) == (str(tmp_path / "NORMAL" / "a.png"), [])
        assert str(others) == "1 file not named as pictures (1 of .txt), 2 drawn by this program"

    def test_may_be_named_after_their_only_label(self, tmp_path: Path) -> None:
        ((each,), unlabelled) = read_labels(folder(tmp_path / "NORMAL", "a.jpg"))
        assert (each.label, unlabelled) == (Label.NORMAL, [])

    def test_count_no_label_further_up_than_themselves(self, tmp_path: Path) -> None:
        source = folder(tmp_path / "NORMAL" / "study", "a.jpg", "PNEUMONIA/b.jpg")
        found, unlabelled = read_labels(source)
        assert [each.path for each in found] == [str(source / "PNEUMONIA" / "b.jpg")]
        assert unlabelled == [str(source / "a.jpg")]

    @pytest.mark.parametrize(
        ("name", "subtype", "group"),
        [
            ("person12_bacteria_34.jpeg", Subtype.BACTERIAL, "person12"),
            ("person12_virus_56.jpeg", Subtype.VIRAL, "person12"),
            ("PERSON12-x.jpeg", None, "PERSON12"),
            ("VIRUS-77-1.jpeg", Subtype.VIRAL, "VIRUS-77"),
            ("virus-or-bacteria.jpeg", None, None),
            ("scan.jpeg", None, None),
        ],
    )
    def test_tell_subtype_and_patient_by_the_name(
        self, tmp_path: Path, name: str, subtype: Subtype | None, group: str | None
    ) -> None:
        ((each,), _) = read_labels(folder(tmp_path, f"PNEUMONIA/{name}"))
        assert (each.subtype, each.group) == (subtype, group or each.path)

    def test_give_the_normal_no_subtype_and_the_patient_of_the_published_names(self, tmp_path: Path) -> None:
        found, _ = read_labels(folder(tmp_path, "NORMAL/IM-0115-0001.jpeg", "NORMAL/NORMAL2-IM-1427-0001.jpeg"))
        assert [(each.subtype, each.group) for each in found] == [(None, "IM-0115"), (None, "NORMAL2-IM-1427")]

    def test_take_spellings_of_a_name_for_one_patient(self, tmp_path: Path) -> None:
        found, _ = read_labels(folder(tmp_path, "NORMAL/Person1-a.jpeg", "NORMAL/person1-b.jpeg"))
        assert [each.group for each in found] == ["Person1", "Person1"]

    def test_that_cannot_be_listed_are_inputs_of_their_class(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        closed = str(tmp_path / "NORMAL")  # a walk yields what it cannot list
        monkeypatch.setattr("pneumoscan.labels.find_files", lambda *_, **__: [closed])
        ((each,), _) = read_labels(tmp_path)
        assert (each.path, each.label) == (closed, Label.NORMAL)


class TestCsv:
    def test_has_labels_subtypes_groups_and_paths_from_its_own_folder(self, tmp_path: Path) -> None:
        source = table(
            tmp_path,
            "path,label,group,subtype\n"
            "a.jpg,NORMAL,p1,\nb.jpg,viral,p1,\nsub/c.jpg,Pneumonia,,\n/d.jpg,PNEUMONIA,p2,bacterial\n",
        )
        where = str(tmp_path)
        assert read_labels(source) == (
            [
                Labelled(f"{where}/a.jpg", Label.NORMAL, None, "p1"),
                Labelled(f"{where}/b.jpg", Label.PNEUMONIA, Subtype.VIRAL, "p1"),
                Labelled(f"{where}/sub/c.jpg", Label.PNEUMONIA, None, f"{where}/sub/c.jpg"),
                Labelled("/d.jpg", Label.PNEUMONIA, Subtype.BACTERIAL, "p2"),
            ],
            [],
        )

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
    def test_may_come_through_a_pipe(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "labels")
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit((tmp_path / "labels").write_text, "path,label\na.jpg,normal\n")
            ((each,), _) = read_labels(tmp_path / "labels")
            writing.result(timeout=60)
        assert each.path == f"{tmp_path}/a.jpg"

    def test_may_have_spaces_after_its_commas(self, tmp_path: Path) -> None:
        ((each,), _) = read_labels(table(tmp_path, 'label, path, group\nNORMAL, "a, b.jpg", p1\n'))
        assert (each.path, each.label, each.group) == (f"{tmp_path}/a, b.jpg", Label.NORMAL, "p1")

    def test_may_leave_a_label_empty(self, tmp_path: Path) -> None:
        found, unlabelled = read_labels(table(tmp_path, "path,label\na.jpg,\nb.jpg,normal\n"))
        assert (len(found), unlabelled) == (1, [f"{tmp_path}/a.jpg"])

    def test_may_hold_names_that_are_not_utf8_and_a_byte_order_mark(self, tmp_path: Path) -> None:
        ((each,), _) = read_labels(table(tmp_path, b"\xef\xbb\xbfpath,label\n\xff.jpg,normal\n"))
        assert os.fsencode(os.path.basename(each.path)) == b"\xff.jpg"

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("file,label\na.jpg,normal\n", "needs the columns path and label, .*; it has the columns 'file', 'label'"),
            ("", "needs the columns path and label, .*; it has no columns"),
            ("path,label\na.jpg,normal\n".encode("utf-16"), "is in UTF-16: save it as UTF-8"),
            ("path\tlabel\na.jpg\tnormal\n", r"it has the columns 'path\\tlabel'; separate them with commas"),
            ("path;label\na.jpg;normal\n", "it has the columns 'path;label'; separate them with commas"),
            (",".join(COLUMNS) + "\n", "holds results of a scan, not labels"),
            ("path,label,path\na.jpg,normal,b.jpg\n", "has several columns path"),
            ("path,label,group,group\na.jpg,normal,x,y\n", "has several columns group"),
            ("path,label\na,b.jpg,normal\n", "line 2: there are more fields than columns; a path with a comma needs"),
            ("path,label,subtype\na.jpg,viral,bacteria\n", "line 2: label 'viral' contradicts subtype 'bacteria'"),
            ("path,label,subtype\na.jpg,normal,viral\n", "line 2: label 'normal' contradicts subtype 'viral'"),
            ("path,label,subtype\na.jpg,viral,fungal\n", "line 2: subtype 'fungal' is none of bacterial, viral"),
            ("path,label\na.jpg,ill\n", "line 2: label 'ill' is none of normal, pneumonia"),
            ("path,label\na.jpg,normal\n./a.jpg,viral\n", "line 3: the path is there again; first in line 2"),
            ("path,label\n,normal\n", "line 2: the path is empty"),
            ("path,label,subtype\na.jpg,pneumonia,fungal\n", "line 2: subtype 'fungal' is none of bacterial, viral"),
            ('path,label\n"a.jpg,normal\n', "is no CSV"),
        ],
    )
    def test_with_a_mistake_is_refused_with_its_place(self, tmp_path: Path, text: str, problem: str) -> None:
        with pytest.raises(LabelError, match=problem):
            read_labels(table(tmp_path, text))

    def test_with_many_mistakes_tells_the_first_and_counts_the_others(self, tmp_path: Path) -> None:
        rows = "".join(f"{number}.jpg,{'normal' if number % 2 else 'healthy'}\n" for number in range(10))
        with pytest.raises(LabelError) as told:
            read_labels(table(tmp_path, "path,label\n" + rows))
        assert re.findall(r"line (\d+): label 'healthy'", str(told.value)) == ["2", "4", "6"]
        assert str(told.value).endswith("; 5 lines are wrong")

    def test_with_a_few_mistakes_tells_them_all(self, tmp_path: Path) -> None:
        with pytest.raises(LabelError) as told:
            read_labels(table(tmp_path, "path,label\na,x\nb,y\nc,z\n"))
        assert re.findall(r"line (\d+): label '.'", str(told.value)) == ["2", "3", "4"]
        assert "lines are wrong" not in str(told.value)

    def test_with_many_columns_that_are_others_names_some(self, tmp_path: Path) -> None:
        with pytest.raises(LabelError) as told:
            read_labels(table(tmp_path, ",".join(f"column {number}" for number in range(999)) + "\n"))
        assert "it has the columns 'column 0', 'column 1'" in str(told.value)
        assert len(str(told.value)) < 600

    @pytest.mark.parametrize("row", ["a.jpg,normal,normal", "a.jpg,normal,,", "a.jpg,normal,,,"])
    def test_may_say_the_label_twice_and_end_rows_with_empty_fields(self, tmp_path: Path, row: str) -> None:
        ((each,), _) = read_labels(table(tmp_path, f"path,label,subtype\n{row}\n"))
        assert (each.label, each.subtype) == (Label.NORMAL, None)

    def test_may_say_of_a_subtype_twice_what_it_is(self, tmp_path: Path) -> None:
        ((each,), _) = read_labels(table(tmp_path, "path,label,subtype\na.jpg,viral,Virus\n"))
        assert each.subtype is Subtype.VIRAL

    @pytest.mark.parametrize("columns", ["path,label,note,note", "path,label,,", " path , label,x,y"])
    def test_may_have_other_columns_of_any_name(self, tmp_path: Path, columns: str) -> None:
        ((each,), _) = read_labels(table(tmp_path, f"{columns}\na.jpg,viral,x,y\n"))
        assert each.subtype is Subtype.VIRAL

    def test_that_is_not_there_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(LabelError, match=r"cannot read .*No such file"):
            read_labels(tmp_path / "none.csv")


class TestPairing:
    def labelled(self, path: str) -> Labelled:
        return Labelled(path, Label.PNEUMONIA, None, path)

    def test_sorts_by_what_became_of_each(self) -> None:
        rejected = replace(ILL, path="no.jpg", status=Status.REJECTED, label=None)
        labels = [self.labelled(path) for path in ("a.jpg", "no.jpg", "bad.jpg", "gone.jpg")]
        pairing = pair(labels, [ILL, rejected, failed("bad.jpg"), replace(ILL, path="extra.jpg")], ["other.jpg"])
        assert [each.record for each in pairing.scored] == [ILL]
        assert [each.record for each in pairing.rejected] == [rejected]
        assert [each.record.path for each in pairing.failed] == ["bad.jpg"]
        assert pairing.without_record == [self.labelled("gone.jpg")]
        assert sorted(pairing.without_label) == ["extra.jpg", "other.jpg"]
        assert sorted(pairing.labelled, key=lambda each: each.path) == sorted(labels, key=lambda each: each.path)

    def test_takes_relative_and_absolute_paths_for_the_same(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        pairing = pair([self.labelled(str(tmp_path / "a.jpg"))], [replace(ILL, path="./x/../a.jpg")])
        assert (len(pairing.scored), pairing.without_label) == (1, [])

    def test_never_takes_the_same_name_elsewhere_for_the_same(self) -> None:
        pairing = pair([self.labelled("x/a.jpg")], [replace(ILL, path="y/a.jpg")])
        assert (pairing.scored, len(pairing.without_record), pairing.without_label) == ([], 1, ["y/a.jpg"])

    def test_takes_the_last_record_of_a_path_and_counts_the_others(self) -> None:
        last = replace(ILL, probability=0.9)
        pairing = pair([self.labelled("a.jpg")], [ILL, failed("a.jpg"), last])
        assert ([each.record for each in pairing.scored], pairing.repeated) == ([last], 2)


def test_a_normal_picture_has_no_subtype_whatever_its_name_says(tmp_path: Path) -> None:
    (found,), _ = read_labels(folder(tmp_path, "NORMAL/person1_virus_2.jpeg"))
    assert (found.label, found.subtype) == (Label.NORMAL, None)


def test_only_a_verdict_can_be_wrong(tmp_path: Path) -> None:
    labelled = Labelled("a.jpg", Label.NORMAL, None, "a.jpg")
    assert Pair(labelled, ILL).is_wrong
    assert not Pair(labelled, failed("a.jpg")).is_wrong
