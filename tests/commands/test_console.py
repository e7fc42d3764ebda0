"""Progress is drawn as bars where asked for, as plain lines where nobody looks."""

from __future__ import annotations

import pytest

from desc.commands.console import Console


@pytest.mark.parametrize(("bars", "drawn"), [(True, True), (None, False), (False, False)])
def test_bars(bars: bool | None, drawn: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with Console(bars=bars) as console:
        console.progress("train", 1, 2)
        console.progress("train", 2, 2)
    printed = capsys.readouterr().err
    assert ("100%" in printed) == drawn
    assert (printed == "training: 2 steps\n") != drawn
