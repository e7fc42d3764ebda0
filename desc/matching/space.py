"""`MatchSpace`, the weighted space in which descriptors are compared, and what settings need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from desc.configuration import QueryConfig, SelectionConfig, check
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.standardizer import Standardizer, to_unbounded
from desc.errors import ConfigurationError
from desc.matching.arrays import Float32, Float64, Positions, Values

DELTA_GROUPS = ("delta", "delta2")
BLOCK_ROWS = 1 << 16
"""Rows projected at once: 35 MB of float64 at 51 columns however long the database is."""
CHROMA_WEIGHT = 0.7
"""Of a chroma column beside MFCC: less is farther from the music, more loses its pulse."""


@dataclass(frozen=True, eq=False)
class MatchSpace:
    """Standardised columns, each times its weight.

    Coordinate c of a row is weight_c · (x_c − mean_c) / scale_c, x_c being the descriptor in its
    unbounded space. A weight therefore multiplies what the column adds to a distance; columns of
    weight 0 are left out.

    Attributes
    ----------
    columns : ndarray of int, (d,)
        The columns whose weight is above 0, ascending.
    weights : ndarray of float64, (d,)
        Their weights.
    standardizer : Standardizer
        Mean and scale of all D columns.
    """

    columns: Positions
    weights: Float64
    standardizer: Standardizer

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the d columns compared."""
        return tuple(self.standardizer.config.names[c] for c in self.columns)

    @property
    def key(self) -> str:
        """Text that differs between spaces."""
        used = (self.standardizer.mean, self.standardizer.scale)
        numbers = [self.weights, *(values[self.columns] for values in used)]
        lists = [array.tolist() for array in (self.columns, *numbers)]
        return f"{self.standardizer.config.fingerprint} {lists}"

    def project(self, values: Values) -> Float32:
        """Return descriptors (n, D) as coordinates (n, d) float32."""
        spaces = tuple(self.standardizer.config.spaces[c] for c in self.columns)
        mean = self.standardizer.mean[self.columns]
        factor = self.weights / self.standardizer.scale[self.columns]
        result = np.empty((len(values), len(self.columns)), np.float32)
        for start in range(0, len(values), BLOCK_ROWS):
            block = np.asarray(values[start : start + BLOCK_ROWS])[:, self.columns]
            result[start : start + len(block)] = (to_unbounded(block, spaces) - mean) * factor
        return result


def matching_space(
    config: DescriptorConfig, standardizer: Standardizer, query: QueryConfig
) -> MatchSpace:
    """Return the match space of the settings. `column_weights` describes the weights.

    Raises
    ------
    ConfigurationError
        If the standardizer belongs to other descriptors, or the weights are wrong or all 0.
    """
    if standardizer.config != config:
        raise ConfigurationError(
            "the run and the database have different descriptors: "
            f"{standardizer.config} and {config} must be equal"
        )
    weights = column_weights(standardizer, query.descriptor_weights)
    columns = np.flatnonzero(weights)
    rule = "leave at least one column a weight above 0"
    check(len(columns) > 0, "descriptor_weights", query.descriptor_weights, rule)
    return MatchSpace(columns, weights[columns], standardizer)


def column_weights(standardizer: Standardizer, text: str) -> Float64:
    """Return the weights of all D columns.

    By default an MFCC column has the square root of its standard deviation, scaled to a root mean
    square of 1 over the static MFCC columns. A chroma column beside MFCC has `CHROMA_WEIGHT`, any
    other static column 1, a delta column 0. A factor in the text multiplies that. For a delta
    column it multiplies the weight that the column would have as a static one, by the same rule
    and scaling.

    Parameters
    ----------
    standardizer : Standardizer
        Gives the standard deviations.
    text : str
        Factors as `mfcc0=2,delta=.5`: see `parse_factors`.
    """
    config = standardizer.config
    full = np.ones(config.n_columns)
    mfcc = list(config.groups.get("mfcc", ()))
    if mfcc:
        rms = np.sqrt(np.mean(standardizer.scale[mfcc]))
        for group in ("mfcc", *DELTA_GROUPS):
            columns = list(config.groups[group])
            full[columns] = np.sqrt(standardizer.scale[columns]) / rms
        full[list(config.groups.get("chroma", ()))] = CHROMA_WEIGHT
    factors = parse_factors(text, config)
    chosen = np.zeros(config.n_columns)
    chosen[config.static_columns] = 1
    for group, columns_of_group in config.groups.items():
        if group in factors:
            chosen[list(columns_of_group)] = factors[group]
    for column, name in enumerate(config.names):
        if name in factors:
            chosen[column] = factors[name]
    return full * chosen


def parse_factors(text: str, config: DescriptorConfig) -> dict[str, float]:
    """Read `NAME=w,NAME=w`; NAME is a column or a group (mfcc, delta, delta2, another family).

    Returns
    -------
    dict of str to float
        Factor of each given name, at least 0. A column's factor overrides its group's.

    Raises
    ------
    ConfigurationError
        If a part is not such a pair; the message lists the possible names.
    """
    names = list(dict.fromkeys([*config.groups, *config.names]))
    factors: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, number = (piece.strip() for piece in part.partition("="))
        known = "name a column or group: " + ", ".join(names)
        check(name in names, "descriptor_weights", part, known)
        check(name not in factors, "descriptor_weights", part, f"name {name} once")
        try:
            factor = float(number)
        except ValueError:
            factor = -1.0
        check(
            0 <= factor < np.inf,
            "descriptor_weights",
            part,
            f"be NAME=w with w a number of at least 0; {known}",
        )
        factors[name] = factor
    return factors


def check_selection(selection: SelectionConfig, config: DescriptorConfig) -> None:
    """Refuse selection settings that need missing descriptors.

    Raises
    ------
    ConfigurationError
        Naming the setting, the family it needs and the descriptors there are.
    """
    needed = {
        "units": ("mfcc", selection.units in ("onset", "beat")),
        "silence_gate_db": ("mfcc", selection.silence_gate_db is not None),
        "layers": ("mfcc", selection.layers > 1),
        "transpose_semitones": ("f0", selection.transpose_semitones > 0),
    }
    for name, (family, is_set) in needed.items():
        if is_set and family not in config.groups:
            value = getattr(selection, name)
            shown = f"{value:g}" if isinstance(value, float) else repr(value)
            raise ConfigurationError(
                f"{name}={shown} must have {family} among the descriptors, which are "
                f"{' '.join(config.descriptors)}"
            )
