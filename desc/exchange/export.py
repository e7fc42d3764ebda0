"""Export of descriptors: a file per recording, as npz, JSON, CSV or Parquet."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np

from desc.configuration import check_choice, to_dict
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import ConfigurationError, DescError, OutputError
from desc.exchange.json_writing import write_descriptor_json
from desc.files import replacing
from desc.progress import report

logger = logging.getLogger(__name__)

NAMED = 30
"""Failures that are named in the log; more are counted."""


class Recordings(Protocol):
    """The recordings to export: a `Corpus`."""

    @property
    def sequences(self) -> tuple[DescriptorSequence, ...]:
        """The descriptors of each recording."""

    def path(self, source: str) -> Path:
        """Return the recording itself."""


def export_corpus(corpus: Recordings, format: str, output_dir: str | Path) -> list[Path]:
    """Write the descriptors of each recording to `output_dir/<relative path>.<format>`.

    Parameters
    ----------
    corpus : Corpus
        The recordings.
    format : str
        `npz`: `values` (T, D), `names`, `centre_samples`, `config` (JSON), and `source`,
        `digest`, `n_samples`. `json`: the earlier form, which `open_corpus` reads. `csv`:
        `_sample` and a column per descriptor. `parquet`: the same; needs pyarrow.
    output_dir : path
        Made where missing. Files of the same names are replaced, nothing is removed.

    Returns
    -------
    list of Path
        The files written, in the order of the recordings. Each recording whose file cannot be
        written is named in the log.

    Raises
    ------
    ConfigurationError
        If the format is unknown, or pyarrow is missing.
    DescError
        If no file can be written.
    """
    check_choice("format", format, FORMATS)
    if format == "parquet":
        _import_pyarrow()
    written, failed = [], 0
    for n_done, sequence in enumerate(corpus.sequences, 1):
        try:
            path = _target(Path(output_dir), sequence.source, format)
            _WRITERS[format](path, sequence, corpus.path(sequence.source))
            written.append(path)
        except DescError as error:
            failed += 1
            if not written and n_done == len(corpus.sequences):
                raise
            if failed <= NAMED:
                logger.warning("%s is not exported: %s", sequence.source, error)
        report("export", n_done, len(corpus.sequences))
    if failed > NAMED:
        logger.warning("… and %d more are not", failed - NAMED)
    return written


def _target(output_dir: Path, source: str, suffix: str) -> Path:
    """Return the output file of a source; refuse one outside the folder, links followed."""
    relative = PurePosixPath(source)
    path = output_dir / relative.parent / f"{relative.name}.{suffix}"
    inside = path.parent.resolve().is_relative_to(output_dir.resolve())
    if relative.is_absolute() or ".." in relative.parts or not inside:
        raise OutputError(f"{path}: must lie in {output_dir}; choose another output_dir")
    return path


def _about(sequence: DescriptorSequence) -> dict[str, Any]:
    return {
        "source": sequence.source,
        "digest": sequence.digest,
        "n_samples": sequence.n_samples,
        "config": to_dict(sequence.config),
    }


def _write_npz(path: Path, sequence: DescriptorSequence, _recording: Path) -> None:
    about = _about(sequence) | {"config": json.dumps(to_dict(sequence.config))}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            values=sequence.values,
            names=np.array(sequence.config.names),
            centre_samples=sequence.centre_samples,
            **about,
        )


def _write_json(path: Path, sequence: DescriptorSequence, recording: Path) -> None:
    ids = [recording.as_posix()] * len(sequence)
    samples = sequence.centre_samples.tolist()
    names = sequence.config.names
    write_descriptor_json(path, ids, samples, sequence.values, names, _about(sequence))


def _write_csv(path: Path, sequence: DescriptorSequence, _recording: Path) -> None:
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write(",".join(("_sample", *sequence.config.names)) + "\n")
        row_format = "%d" + ",%.9g" * sequence.config.n_columns + "\n"
        samples = sequence.centre_samples.tolist()
        for sample, row in zip(samples, sequence.values, strict=True):
            file.write(row_format % (sample, *row.tolist()))


def _write_parquet(path: Path, sequence: DescriptorSequence, _recording: Path) -> None:
    pyarrow, parquet = _import_pyarrow()
    columns = {"_sample": sequence.centre_samples}
    for column, name in enumerate(sequence.config.names):
        columns[name] = np.ascontiguousarray(sequence.values[:, column])
    table = pyarrow.table(columns).replace_schema_metadata({"desc": json.dumps(_about(sequence))})
    with replacing(path) as temporary:
        parquet.write_table(table, temporary)


def _import_pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigurationError(
            "format='parquet' needs pyarrow, this project's extra [parquet]: "
            "python -m pip install pyarrow"
        ) from error
    return pyarrow, pyarrow.parquet


_WRITERS: dict[str, Callable[[Path, DescriptorSequence, Path], None]] = {
    "npz": _write_npz,
    "json": _write_json,
    "csv": _write_csv,
    "parquet": _write_parquet,
}
FORMATS = tuple(_WRITERS)
