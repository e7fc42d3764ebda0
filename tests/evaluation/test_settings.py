"""Settings of an evaluation."""

from __future__ import annotations

import pytest

from desc.errors import ConfigurationError
from desc.evaluation.settings import EvaluateConfig


@pytest.mark.parametrize(
    "setting",
    [{"n_draws": 0}, {"seeds": 0}, {"sampling": "best"}, {"excerpt_frames": 63}, {"excerpts": 0}],
)
def test_settings_are_checked(setting: dict) -> None:
    with pytest.raises(ConfigurationError, match=f"{next(iter(setting))}="):
        EvaluateConfig(**setting)
