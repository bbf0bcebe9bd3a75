"""Records as Parquet, written and read; needs pyarrow. Knows nothing of scanning.

The columns are the fields of `Record` with its types, enumerations as strings, and last `path_bytes`. Parquet's strings
are UTF-8: where a path is not, `path` is what `printable` makes of it, and `path_bytes` (else null) holds its bytes.
Other text that is not UTF-8 is kept as `printable` shows it only.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from pneumoscan.atomic import check_replaceable, copy_mode, mode_like, partial_file, sync
from pneumoscan.formats import COLUMNS, FormatError, is_utf8, printable
from pneumoscan.records import FIELD_TYPES, SCHEMA_VERSION, Record

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("Parquet needs pyarrow: pip install 'pneumoscan[parquet]'", name=error.name) from error

GROUP_ROWS = 10_000
"""Records in a row group, which are held in memory until it is written."""
RAW_PATH = "path_bytes"
INDEX = re.compile(r"__index_level_\d+__")
"""Name of a column that pandas adds."""


def arrow_schema() -> pa.Schema:
    """The columns, with each field's meaning, and what the file says of itself."""
    columns = [_column(field.name, field.metadata["meaning"]) for field in fields(Record)]
    raw_path = pa.field(RAW_PATH, pa.binary(), metadata={"description": "the path if it is not UTF-8, else null"})
    return pa.schema([*columns, raw_path]).with_metadata(
        {
            "description": "pneumoscan records. Research use only; not a medical device.",
            "schema_version": str(SCHEMA_VERSION),
        }
    )


def _column(name: str, meaning: str) -> pa.Field:
    kind, nullable = FIELD_TYPES[name]
    arrow = {float: pa.float64(), int: pa.int64(), bool: pa.bool_()}.get(kind, pa.string())
    return pa.field(name, arrow, nullable=nullable, metadata={"description": meaning})


SCHEMA = arrow_schema()


class ParquetSink:
    """A Parquet file, which grows beside its place and is moved there when it is complete.

    Parquet is readable only with its end, which says where everything lies: nothing can go on with what a kill leaves,
    and after a write that failed the file cannot be completed.
    """

    def __init__(self, target: Path) -> None:
        """Opens the file; an older one at its place stays until `commit`.

        Args:
            target: the file; no link.

        Raises:
            OSError: it cannot be written.
        """
        self._target = target
        self._place = partial_file(target)
        check_replaceable(target)
        self._place.unlink(missing_ok=True)  # left by a kill, or a link to who knows what
        self._file = open(self._place, "xb", opener=partial(os.open, mode=mode_like(target)))  # noqa: SIM115
        copy_mode(target, self._file)
        self._writer = pq.ParquetWriter(self._file, SCHEMA, write_page_checksum=True)
        self._records: list[Record] = []
        self._failure: OSError | None = None

    def write(self, record: Record) -> None:
        """Takes one record; they go to the disk in groups, so that a failure may show itself later."""
        self._records.append(record)
        if len(self._records) == GROUP_ROWS:
            self._write_group()

    def commit(self) -> None:
        """Ends the file and puts it in its place; after a write that failed, fails again and leaves the older file."""
        if self._failure is not None:
            raise self._failure
        if self._records:
            self._write_group()
        with self._noting_failure():
            self._writer.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._place.replace(self._target)
        sync(self._target.parent)

    def discard(self) -> None:
        """Removes what was written; an older file stays."""
        self._writer.is_open = False  # else it would end the file when it is collected
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):  # on a disk that can only be read by now
            self._place.unlink(missing_ok=True)

    def _write_group(self) -> None:
        records, self._records = self._records, []
        with self._noting_failure():
            self._writer.write_table(_table(records))

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        """Makes an OSError of pyarrow's own errors, and keeps it."""
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            self._failure = error if isinstance(error, OSError) else OSError(errno.EIO, str(error))
            raise self._failure from error


def _table(records: list[Record]) -> pa.Table:
    columns = [_array([getattr(record, name) for record in records], SCHEMA.field(name).type) for name in COLUMNS]
    raw_paths = [None if is_utf8(record.path) else os.fsencode(record.path) for record in records]
    return pa.Table.from_arrays([*columns, pa.array(raw_paths, pa.binary())], schema=SCHEMA)


def _array(values: list[Any], type: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, type)
    except UnicodeEncodeError:
        return pa.array([value if value is None or is_utf8(value) else printable(value) for value in values], type)


def read_rows(file: BinaryIO) -> Iterator[dict[str, Any]]:
    """Streams the records of a Parquet file, which must be seekable; paths are as they were found.

    Whether they are valid is not checked, nor which types the columns have: other programs save the same in others,
    lose `path_bytes` on the way through CSV, and add an index, as pandas does.

    Raises:
        FormatError: it is no Parquet, is damaged, or has other columns. Records before the damage have been yielded.
    """
    try:
        parquet = pq.ParquetFile(file, page_checksum_verification=True)
        names = [name for name in parquet.schema_arrow.names if not INDEX.fullmatch(name)]
        if [name for name in names if name != RAW_PATH] != [*COLUMNS]:
            raise FormatError("the columns are not those of this program")
        for batch in parquet.iter_batches(GROUP_ROWS, columns=names):
            for values in batch.to_pylist():
                raw_path = values.pop(RAW_PATH, None)
                if isinstance(raw_path, bytes):
                    values["path"] = os.fsdecode(raw_path)
                yield values
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise FormatError(f"not readable as Parquet: {error}") from error
