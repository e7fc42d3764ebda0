"""Templates and packed numbers."""

from __future__ import annotations

import base64
import json

import numpy as np

from desc.report.page import fill, quantised


def test_data_cannot_end_their_script() -> None:
    page = fill(
        "{{policy}}|{{title}}|{{data}}|{{script}}",
        title="<b>&",
        scripts=["1;"],
        data={"name": "</script>\u2028&"},
    )
    _, title, data, _ = page.split("|")
    assert title == "&lt;b&gt;&amp;"
    assert not set("<>&\u2028") & set(data)
    assert json.loads(data) == {"name": "</script>\u2028&"}


def test_numbers_are_steps_between_their_bounds() -> None:
    steps = np.frombuffer(base64.b64decode(quantised([-1.0, 0.0, 1.0, 5.0], -1, 1)), "<u2")
    assert steps.tolist() == [0, 32768, 65535, 65535]
