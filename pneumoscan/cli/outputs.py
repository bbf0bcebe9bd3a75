"""Several outputs of one scan: their formats, their locks, what earlier runs wrote, and what to do when one fails."""

import os
import shutil
import sqlite3
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Self

import typer

from pneumoscan.atomic import NO_ROOM, is_file
from pneumoscan.cli.exits import Exit, complain, fail, lead_nowhere, misuse, need_folder, need_no_picture
from pneumoscan.formats import SUFFIXES, Format, FormatError
from pneumoscan.ledger import Known, Ledger, Settings
from pneumoscan.lock import InUseError, Lock
from pneumoscan.records import Record
from pneumoscan.sinks import Patience, Sink, growing_place, open_sink

STDOUT = Path("-")
RESUMABLE = (Format.CSV, Format.JSONL)


def chosen_formats(outputs: list[Path], format: Format | None) -> dict[Path, Format]:
    """The format of each output, after its suffix where that tells.

    Raises:
        typer.BadParameter: an output cannot be written like this.
    """
    formats: dict[Path, Format] = {}
    for path in outputs:
        if path == STDOUT and sys.stdout.name == os.devnull:  # a stand-in
            misuse("standard output is closed", "-o")
        if path != STDOUT and os.path.isdir(path):
            misuse(f"{path} is a directory: name a file in it, such as {path / 'scores.csv'}", "-o")
        default = Format.TABLE if sys.stdout.isatty() else Format.JSONL
        chosen = (format or default) if path == STDOUT else SUFFIXES.get(path.suffix.lower(), format)
        if chosen is None:
            misuse(f"{path}: name the file .csv, .json, .jsonl or .parquet, or add --format", "-o")
        if path != STDOUT:
            need_folder(path.parent, "-o", path)
            need_no_picture(path, "-o")
        if chosen is Format.TABLE and path != STDOUT:
            misuse(f"{path}: a table is for standard output only", "-o")
        if chosen is Format.PARQUET and (path == STDOUT or not is_file(path)):
            misuse("Parquet can be written to a file only", "-o")
        if any(same_file(path, other) for other in formats):
            misuse(f"{path} is named twice", "-o")
        formats[path] = chosen
    if format is not None and format not in formats.values():
        misuse(f"{format} fits no output: their suffixes say otherwise", "--format")
    return formats


class Outputs:
    """Outputs that get the same records. One that fails is completed with what it has, and the others go on.

    Attributes:
        failed: whether an output failed, other than by a reader who had seen enough.
    """

    def __init__(self, formats: dict[Path, Format], *, resume: bool = False, patience: Patience = lambda: None) -> None:
        """Locks the files, and reads what earlier runs wrote if the scan is to be resumed. Changes nothing yet.

        Args:
            formats: of each output.
            resume: whether to go on where an earlier run ended.
            patience: with readers of pipes (see `pneumoscan.sinks`).

        Raises:
            typer.BadParameter: an output cannot be resumed.
            typer.Exit: an output is in use, or cannot be written.
        """
        self.failed = False
        self._formats = formats
        self._patience = patience
        self._held = ExitStack()  # locks, then ledgers
        self._ledgers: dict[Path, Ledger] = {}
        self._sinks: dict[Path, Sink] = {}
        self._files_are_open = False
        try:
            self._prepare(resume)
        except BaseException:
            self._held.close()
            raise

    def _prepare(self, resume: bool) -> None:
        formats = self._formats
        files = {path: Path(os.path.realpath(path)) for path in formats if path != STDOUT and is_file(path)}
        self._files = files
        self._names = {path.name for path in (*files, *files.values())}
        for path, file in files.items():
            try:
                self._held.enter_context(Lock(file))
            except InUseError as error:
                fail(f"{path} is {error}", Exit.OUTPUT_IN_USE)
            except OSError as error:
                fail(f"cannot write {path}: {error.filename or path}: {error.strerror}", Exit.USAGE)
        if resume:
            for path, file in files.items():
                self._ledgers[path] = self._held.enter_context(closing(self._read_ledger(path, file)))
            if not self._ledgers:
                misuse("needs an output file, .jsonl or .csv: -o FILE", "--resume")

    def _read_ledger(self, path: Path, file: Path) -> Ledger:
        format = self._formats[path]
        if format not in RESUMABLE:
            misuse(f"{path}: only .jsonl and .csv can be resumed", "--resume")
        place = file
        try:
            place = _latest(growing_place(file, format), file)
            return Ledger(place, format)
        except FormatError as error:
            misuse(f"{path if place == file else place} cannot be resumed: {error}", "-o")
        except OSError as error:
            fail(f"cannot read {path}: {error.strerror}", Exit.USAGE)

    def __bool__(self) -> bool:
        return bool(self._sinks)

    @property
    def can_be_resumed(self) -> bool:
        """Whether a later run can go on with this one: there are files, of formats that can be, with its records."""
        has_written = bool(self._ledgers) or self._files_are_open
        return bool(self._files) and has_written and all(self._formats[path] in RESUMABLE for path in self._files)

    def done(self, path: str, settings: Settings) -> Known | None:
        """What earlier runs said of an input that needs no scan, since every output that is resumed has it."""
        found = [ledger.done(path, settings) for ledger in self._ledgers.values()]
        return found[0] if found and None not in found else None

    def forget_failure(self, folder: str) -> None:
        """Drops the record of earlier runs that this folder could not be read, since now it could."""
        for ledger in self._ledgers.values():
            ledger.forget_failure(folder)

    def owns(self, path: str) -> bool:
        """Whether an input is one of the outputs."""
        return os.path.basename(path) in self._names and Path(os.path.realpath(path)) in self._files.values()

    def open(self, *, only_stdout: bool = False) -> None:
        """Opens every output, or standard output alone, where nothing can be lost or waited for.

        Raises:
            typer.Exit: one cannot be written.
        """
        self._files_are_open = not only_stdout
        for path, format in self._formats.items():
            if path == STDOUT or not only_stdout:
                self._open(path, format)

    def repair(self) -> None:
        """Opens what earlier runs have left torn, beside its place, or with what counts no more, to end it well.

        Raises:
            typer.Exit: one cannot be written.
        """
        for path, ledger in self._ledgers.items():
            if ledger.torn or ledger.superseded or ledger.path != self._files[path]:
                self._open(path, self._formats[path])

    def _open(self, path: Path, format: Format) -> None:
        try:
            self._sinks[path] = open_sink(
                None if path == STDOUT else path, format, self._ledgers.get(path), self._patience
            )
        except (OSError, ModuleNotFoundError) as error:
            for sink in self._sinks.values():
                sink.discard()
            self._sinks.clear()
            fail(f"cannot write {path}: {getattr(error, 'strerror', None) or error}", Exit.USAGE)

    def write(self, record: Record) -> None:
        """Writes a record to every output that is left."""
        for path, sink in list(self._sinks.items()):
            try:
                sink.write(record)
            except OSError as error:
                self._give_up(path, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Completes every output that is left, or after something unforeseen lets go of them, and frees them all."""
        try:
            # Files first: whoever reads standard output may take no more.
            for path, sink in sorted(self._sinks.items(), key=lambda each: each[0] == STDOUT):
                try:
                    if kind is None or issubclass(kind, typer.Exit):
                        sink.commit()
                    else:
                        sink.discard()
                except (OSError, sqlite3.Error) as error:
                    sink.discard()
                    self._report(path, error)
        finally:
            self._held.close()

    def _give_up(self, path: Path, error: OSError) -> None:
        """Completes an output that fails, as far as can be."""
        sink = self._sinks.pop(path)
        self._report(path, error)
        if path == STDOUT:
            return
        try:
            sink.commit()
        except (OSError, sqlite3.Error):
            sink.discard()

    def _report(self, path: Path, error: OSError | sqlite3.Error) -> None:
        if path == STDOUT:
            lead_nowhere(sys.stdout)
        if isinstance(error, BrokenPipeError):
            return
        self.failed = True
        room = _room(path) if path != STDOUT and getattr(error, "errno", None) in NO_ROOM else ""
        complain(f"cannot write {path}: {getattr(error, 'strerror', None) or error}{room}")


def _latest(growing: Path, file: Path) -> Path:
    """Where the records of the last run are: beside the file after a kill, unless the file was put there later."""
    try:
        return growing if growing.stat().st_mtime_ns >= file.stat().st_mtime_ns else file
    except FileNotFoundError:
        return growing if growing.exists() else file


def same_file(one: Path, other: Path) -> bool:
    """Whether two names are of one file; standard output is none."""
    return one == other or (STDOUT not in (one, other) and os.path.realpath(one) == os.path.realpath(other))


def _room(path: Path) -> str:
    """Where the disk of a file is mounted, and what room there is on it; nothing where it is out of reach."""
    place = Path(os.path.realpath(path)).parent
    try:
        while not place.is_mount():
            place = place.parent
        usage = shutil.disk_usage(place)
    except OSError:
        return ""
    return f" (disk {place}: {usage.free / 1024**2:,.1f} of {usage.total / 1024**2:,.1f} MiB free)"
