"""Commands and code of the documents run as printed; the site builds without warnings."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

import desc
from desc.commands.main import build_parser
from desc.descriptors import features
from desc.descriptors.families import FAMILIES
from desc.models import MODELS
from tests.documents import DOCUMENTS, ROOT, blocks, commands

PICTURES = ROOT / "_static" / "img"
CALLS = [(name, words) for name in DOCUMENTS for words in commands(name)]
REACH = "tests/models/test_contract.py::test_reading_less_of_a_context_changes_no_position"
MODEL_PAGE = "docs/adding_a_model.md"


@pytest.fixture
def place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_signal: Callable[..., np.ndarray]
) -> Path:
    """A folder with `recordings/` and `large_folder/`, in which the documents' code runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DESC_CACHE", str(tmp_path / "cache"))
    for folder, names in {"recordings": ("song", "b"), "large_folder": ("x", "y")}.items():
        (tmp_path / folder).mkdir()
        for seed, name in enumerate(names):
            path = tmp_path / folder / f"{name}.wav"
            soundfile.write(path, make_signal("notes", 5.0, seed=seed), 44100)
    return tmp_path


def run_code(page: str, name: str) -> dict[str, object]:
    """Run the Python blocks of a page one after the other; return what they define."""
    defined: dict[str, object] = {"__name__": name}
    for code in blocks(page, "python"):
        exec(compile(code, page, "exec"), defined)
    return defined


def test_the_tests_of_reliability_exist() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:tests|benchmarks)/[^`]*)`", text)
    assert len(named) > 30
    for place in named:
        file, *names = place.split("::")
        content = (ROOT / file).read_text(encoding="utf-8")
        for name in names:
            assert re.search(rf"^\s*(class|def) {name}\b", content, flags=re.M), place


@pytest.mark.parametrize(("page", "words"), CALLS, ids=[f"{p}-{w[0]}" for p, w in CALLS])
def test_every_command_of_the_documents_parses(page: str, words: list[str]) -> None:
    parser = build_parser(words[0])
    for action in parser.of(words).options.values():
        action.required = action.required and "--config" not in words  # the file may hold it
    assert parser.parse_args(words).command == words[0]


def test_the_tutorial_trains_and_predicts() -> None:
    assert {"train", "predict", "render", "evaluate"} <= {
        w[0] for w in commands("docs/tutorial.md")
    }


@pytest.mark.slow
def test_the_code_of_how_to_runs(place: Path) -> None:
    run_code("docs/how_to.md", "how_to")
    first = soundfile.info(place / "out" / "song.wav" / "prediction.wav").frames
    assert first == 130 * 1024  # 3 s are 129.2 frames
    assert soundfile.info(place / "louder.wav").frames == first
    assert (place / "louder.rpp").exists()
    n_frames = 1 + 5 * 44100 // 1024
    assert soundfile.info(place / "mosaic.wav").frames == n_frames * 1024


@pytest.mark.slow
def test_the_code_of_live_runs(place: Path) -> None:
    run_code("docs/live.md", "live")
    sound, _ = soundfile.read(place / "live.wav")
    assert len(sound) == 200 * 1024
    assert not sound[: 100 * 1024].any()
    assert sound[110 * 1024 :].any()


def test_a_descriptor_can_be_added_as_written(monkeypatch: pytest.MonkeyPatch) -> None:
    for table in (FAMILIES, features.FEATURES):
        monkeypatch.delitem(table, "low_share", raising=False)
        monkeypatch.setitem(table, "low_share", None)  # taken out again at the end
    defined = run_code("docs/adding_a_descriptor.md", "low_share")
    defined["test_half_of_two_tones_is_low"]()  # type: ignore[operator]


def test_a_model_can_be_added_as_written(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "fading.py").write_text(blocks(MODEL_PAGE, "python")[0], encoding="utf-8")
    monkeypatch.syspath_prepend(place)
    monkeypatch.setitem(MODELS, "FadingModel", "fading:FadingModel")
    run_code(MODEL_PAGE, "fading_test")["test_it_learns_and_continues"]()  # type: ignore[operator]


@pytest.mark.slow
def test_the_model_of_the_documents_keeps_the_contract(tmp_path: Path) -> None:
    (tmp_path / "fading.py").write_text(blocks(MODEL_PAGE, "python")[0], encoding="utf-8")
    register = "from desc.models import MODELS\nMODELS['FadingModel'] = 'fading:FadingModel'\n"
    (tmp_path / "register.py").write_text(register, encoding="utf-8")
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "register", "-k", "FadingModel",
         "-p", "no:cacheprovider", "tests/models/test_contract.py",
         # Its reach is not bounded, like the LSTM's, which that test skips.
         "--deselect", f"{REACH}[FadingModel]"],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-3000:]
    assert int(found.stdout.split(" passed")[0].split()[-1]) > 20


def test_every_public_name_is_in_the_reference() -> None:
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    documented = re.findall(r"^::: (desc\.[\w.]+)\.(\w+)$", text, re.M)
    assert set(desc.__all__) <= {name for _, name in documented}
    for module, name in documented:
        assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr[-3000:]
    assert "WARNING" not in built.stderr
    commands_page = (tmp_path / "commands" / "index.html").read_text(encoding="utf-8")
    for part in ("--prediction_db_dir", "--crossfade_ms", "desc generate train-unagan"):
        assert part in commands_page
    reference = (tmp_path / "reference" / "index.html").read_text(encoding="utf-8")
    assert reference.count('class="doc doc-object') > len(desc.__all__)
    assert "distance between frames [samples, default 1024]" in reference
    assert 'href="../adding_a_model/"' in (tmp_path / "CONTRIBUTING" / "index.html").read_text(
        encoding="utf-8"
    )
    for page in tmp_path.rglob("*.html"):
        assert "fonts.g" not in page.read_text(encoding="utf-8"), page
    assert (tmp_path / "_static" / "img" / "demo_example.png").exists()


WORDS = {
    "project_script_dataflow": ("RECORDED", "RAW GENERATED", "SEQUENCER GAN", "query function"),
    "descriptor_model_predict_workflow": (
        "Prediction DB", "descriptor database I", "descriptor database II", "query function",
        "ID reference",
    ),
    "sound_generation_process": ("RECORDED", "RAW GENERATED", "UnaGAN", "MelGAN"),
}  # fmt: skip


def test_the_diagrams_are_those_of_the_script(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    script = ROOT / "docs" / "draw_diagrams.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, timeout=120)

    def texts(folder: Path, name: str) -> list[str]:
        # matplotlib keeps each text in a comment beside its outlines.
        lines = (folder / f"{name}.svg").read_text(encoding="utf-8").splitlines()
        return [line.strip()[5:-4] for line in lines if line.strip().startswith("<!-- ")]

    for name, words in WORDS.items():
        assert texts(tmp_path, name) == texts(PICTURES, name)
        assert set(words) <= set(texts(PICTURES, name))
        assert (PICTURES / f"{name}.png").read_bytes()[:4] == b"\x89PNG"


def test_the_examples_of_docstrings_are_true() -> None:
    n_examples = 0
    for path in sorted((ROOT / "desc").rglob("*.py")):
        if ">>> " not in path.read_text(encoding="utf-8"):
            continue
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found = doctest.testmod(importlib.import_module(name.removesuffix(".__init__")))
        assert not found.failed, name
        n_examples += found.attempted
    assert n_examples > 0


def test_the_citation_file() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "license", "references"} <= set(cited)
    for work in cited["references"]:
        assert {"type", "title", "authors", "year"} <= set(work), work
        assert all("family-names" in a or "name" in a for a in work["authors"]), work
        assert isinstance(work["year"], int)
