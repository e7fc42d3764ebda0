"""`desc plot`: valid and reproducible image files."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from desc.commands.main import main
from desc.report import drawing

Captured = pytest.CaptureFixture[str]
needs_matplotlib = pytest.mark.skipif(not drawing.can_draw(), reason="needs matplotlib")


@needs_matplotlib
def test_a_result_is_drawn(result: Path, tmp_path: Path, capsys: Captured) -> None:
    words = ["plot", str(result), "--format", "svg", "--output_dir"]
    assert main([*words, str(tmp_path / "a")]) == 0
    printed = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [path.name for path in printed] == ["sound.svg", "descriptors.svg", "map.svg"]
    for path in printed:
        assert ET.parse(path).getroot().tag.endswith("svg")
    assert main([*words, str(tmp_path / "b")]) == 0
    for path in printed:
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_without_matplotlib_it_says_what_to_install(
    result: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(drawing, "can_draw", lambda: False)
    assert main(["plot", str(result), "--output_dir", str(tmp_path / "plots")]) == 2
    assert "extra `report`" in capsys.readouterr().err
    assert not (tmp_path / "plots").exists()
