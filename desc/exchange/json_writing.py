"""Writing descriptor JSON: a list per column, `_id` and `_sample` per frame."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from desc.configuration import check
from desc.errors import StorageError
from desc.files import replacing


def write_descriptor_json(  # noqa: PLR0917 - the order of the file
    path: str | Path,
    ids: Sequence[str],
    samples: Sequence[int],
    values: npt.ArrayLike,
    names: Sequence[str],
    meta: dict[str, Any] | None = None,
) -> None:
    """Write descriptors in the form `{"_id": […], "_sample": […], "mfcc0": […], …}`, at once.

    Numbers have the nine digits that give the same float32 when read.

    Parameters
    ----------
    path : path
        The file.
    ids : sequence of str, (T,)
        The recording of each frame.
    samples : sequence of int, (T,)
        The sample at the centre of each frame.
    values : array_like, (T, D)
        Finite numbers.
    names : sequence of str, (D,)
        The columns.
    meta : dict, optional
        JSON values kept under `_meta`.

    Raises
    ------
    ConfigurationError
        If the lengths differ.
    StorageError
        If a value is not finite, or the file cannot be written.
    """
    array = np.asarray(values, dtype=np.float32)
    check(
        array.shape == (len(ids), len(names)) and len(samples) == len(ids),
        "values.shape",
        array.shape,
        f"be (T, D) = ({len(ids)}, {len(names)}), with as many samples ({len(samples)})",
    )
    bad = np.flatnonzero(~np.isfinite(array).all(axis=0))
    if len(bad):
        raise StorageError(f"{path}: column {names[bad[0]]} holds a number that is not finite")
    quoted = {identity: json.dumps(identity) for identity in dict.fromkeys(ids)}
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write('{\n"_id": [' + ", ".join([quoted[identity] for identity in ids]) + "]")
        file.write(',\n"_sample": [' + ", ".join([str(int(sample)) for sample in samples]) + "]")
        numbers = ", ".join(["%.9g"] * len(array))
        for column, name in enumerate(names):  # one at a time, for memory's sake
            file.write(f",\n{json.dumps(name)}: [{numbers % tuple(array[:, column].tolist())}]")
        if meta is not None:
            file.write(',\n"_meta": ' + json.dumps(meta, allow_nan=False))
        file.write("\n}\n")
