"""Which descriptors a setting of the selection needs."""

from __future__ import annotations

from desc.configuration import SelectionConfig
from desc.descriptors.config import DescriptorConfig
from desc.errors import ConfigurationError


def check_selection(selection: SelectionConfig, config: DescriptorConfig) -> None:
    """Refuse settings that need descriptors which are not there.

    Raises
    ------
    ConfigurationError
        Naming the setting, what it needs and what there is.
    """
    if selection.units == "onset":
        require("mfcc", f"units={selection.units!r}", config)
    if selection.silence_gate_db is not None:
        require("mfcc", f"silence_gate_db={selection.silence_gate_db:g}", config)
    if selection.layers > 1:
        require("mfcc", f"layers={selection.layers}", config)
    if selection.transpose_semitones:
        require("f0", f"transpose_semitones={selection.transpose_semitones:g}", config)


def require(family: str, setting: str, config: DescriptorConfig) -> None:
    """Refuse a setting, given as text, where a family of descriptors is missing.

    Raises
    ------
    ConfigurationError
        Naming all three.
    """
    if family not in config.groups:
        raise ConfigurationError(
            f"{setting} must have {family} among the descriptors, which are "
            f"{' '.join(config.descriptors)}"
        )
