"""The notebooks: their forms match the library, and they run from top to bottom."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import soundfile
from nbclient import NotebookClient

import desc
import desc.notebook

ROOT = Path(__file__).parents[2]
NAMES = (
    "train_notebook/descriptor_model_train.ipynb",
    "train_notebook/melgan.ipynb",
    "train_notebook/unagan.ipynb",
    "predict_notebook/descriptor_model_predict.ipynb",
    "predict_notebook/Unagan_generate.ipynb",
)
FIELD = re.compile(r"^(\w+) = (.*?)  #@param (.+)$", re.M)
EXPLANATION = re.compile(r"^#@markdown `(\w+)`: (.+\.)$")
RATE = 8000
TINY_MEL = {"sample_rate": RATE, "n_fft": 256, "hop_length": 64, "n_mels": 20}
every_notebook = pytest.mark.parametrize("name", NAMES)


def load(name: str) -> Any:
    """Return a notebook, as it is stored."""
    return nbformat.read(ROOT / name, as_version=4)


def sources(notebook: Any) -> list[str]:
    """Return the code cells."""
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def parsed(notebook: Any) -> ast.Module:
    """Return all code as one module, with a `pass` for each line of IPython's own."""
    code = "\n".join(sources(notebook))
    return ast.parse(re.sub(r"^(\s*)%.*$", r"\1pass", code, flags=re.M))


def fields(notebook: Any) -> dict[str, Any]:
    """Return name → default of all form fields."""
    found = FIELD.findall("\n".join(sources(notebook)))
    values = {name: ast.literal_eval(value) for name, value, _ in found}
    assert len(values) == len(found), "a name has two fields"
    return values


def filled(notebook: Any, **values: object) -> Any:
    """Return the notebook with other values in its form, as a user types them."""
    assert values.keys() <= fields(notebook).keys()

    def typed(match: re.Match[str]) -> str:
        name, _, kind = match.groups()
        return f"{name} = {values[name]!r}  #@param {kind}" if name in values else match.group()

    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = FIELD.sub(typed, cell.source)
    return notebook


def library_calls(notebook: Any) -> Iterator[tuple[str, Callable[..., Any], ast.Call]]:
    """Yield the calls of names of `desc`: dotted name, what it is, the call.

    A method is found where its object was made by a class of `desc` or one of its class methods.
    """
    made: dict[str, type] = {}
    tree = parsed(notebook)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            kind = resolved(node.value.func, {})
            owner = getattr(kind, "__self__", kind)
            if inspect.isfunction(kind):
                owner = returned(kind)
            if inspect.isclass(owner) and owner.__module__.startswith("desc."):
                made |= {t.id: owner for t in node.targets if isinstance(t, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = resolved(node.func, made)
            if called is not None:
                yield ast.unparse(node.func), called, node


def returned(function: Callable[..., Any]) -> Any:
    """Return the class that a function's annotation names, else None."""
    name = function.__annotations__.get("return")
    return getattr(sys.modules[function.__module__], str(name), None)


def resolved(node: ast.expr, made: dict[str, type]) -> Any:
    """Return what an expression such as `desc.Predictor.from_run` names, else None."""
    if isinstance(node, ast.Name):
        modules = {"desc": desc, "notebook": desc.notebook}
        return modules.get(node.id) or made.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = resolved(node.value, made)
        if owner is None or node.attr in getattr(owner, "__dataclass_fields__", {}):
            return None
        return getattr(owner, node.attr)  # a misspelt name fails here
    return None


def settings_of(notebook: Any) -> list[type]:
    """Return the classes of settings that the form is for."""
    found = [called for _, called, _ in library_calls(notebook) if inspect.isclass(called)]
    for name, _, call in library_calls(notebook):
        if name == "desc.preset":
            found.append(resolved(call.args[0], {}))
        if name == "desc.SelectionConfig.styled":
            found.append(desc.SelectionConfig)
    return [cls for cls in found if dataclasses.is_dataclass(cls)]


@every_notebook
def test_it_is_stored_without_outputs(name: str) -> None:
    notebook = load(name)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None


@every_notebook
def test_the_badge_opens_the_repository_that_the_form_installs(name: str) -> None:
    notebook = load(name)
    (address,) = re.findall(r'"git\+https://(github\.com/[^"]+)"', sources(notebook)[0])
    path = address.replace("github.com", "github")
    badge = f"](https://colab.research.google.com/{path}/blob/main/{name})"
    assert badge in notebook.cells[0].source.splitlines()[0]


@every_notebook
def test_every_field_is_explained_in_the_line_above(name: str) -> None:
    for source in sources(load(name)):
        lines = source.splitlines()
        for above, line in itertools.pairwise(lines):
            field = FIELD.match(line)
            assert ("#@param" in line) == bool(field), line
            if field:
                explained = EXPLANATION.match(above)
                assert explained, line
                assert explained[1] == field[1]


@every_notebook
def test_fields_have_the_defaults_units_and_former_names_of_the_library(name: str) -> None:
    notebook = load(name)
    values, code = fields(notebook), "\n".join(sources(notebook))
    explanations = dict(re.findall(r"^#@markdown `(\w+)`: (.+)$", code, re.M))
    of_presets = {
        argument.arg
        for called, _, call in library_calls(notebook)
        for argument in call.keywords
        if called == "desc.preset"
    }
    n_checked = 0
    for cls in settings_of(notebook):
        for field in dataclasses.fields(cls):
            if not field.metadata or field.name not in values or field.name == "project":
                continue
            n_checked += 1
            own, text = values[field.name], explanations[field.name]
            assert own == field.default or (own is None and field.name in of_presets), field.name
            assert field.metadata["unit"] in text
            former = field.metadata["aliases"]
            assert not former or any(f"formerly `{alias}`" in text for alias in former)
    assert n_checked >= 8


@every_notebook
def test_every_argument_exists_in_the_library(name: str) -> None:
    names = set()
    for dotted, called, call in library_calls(load(name)):
        names.add(dotted)
        accepted = set(inspect.signature(called).parameters)
        keywords = [k.arg for k in call.keywords if k.arg]
        if dotted == "desc.preset":
            cls: Any = resolved(call.args[0], {})
            assert set(keywords) <= {f.name for f in dataclasses.fields(cls)} | accepted
            continue
        if dotted in ("desc.train_vocoder", "desc.train_unagan"):
            accepted |= set(inspect.signature(desc.soundgen.jobs.train_sound).parameters)
        elif dotted == "desc.SelectionConfig.styled":
            accepted |= set(inspect.signature(desc.SelectionConfig).parameters)
        else:
            inspect.signature(called).bind_partial(
                *([None] * len(call.args)), **dict.fromkeys(keywords)
            )
        assert set(keywords) <= accepted, dotted
    assert len(names) >= 6


@every_notebook
def test_every_field_is_used(name: str) -> None:
    notebook = load(name)
    used = {n.id for n in ast.walk(parsed(notebook)) if isinstance(n, ast.Name)
            and isinstance(n.ctx, ast.Load)}  # fmt: skip
    unused = fields(notebook).keys() - used - {"repository"}
    assert not unused


@every_notebook
def test_nothing_is_deleted_and_no_account_is_named(name: str) -> None:
    notebook = load(name)
    deleting = {"rmtree", "remove", "unlink", "rmdir", "removedirs", "system", "run", "Popen"}
    for node in ast.walk(parsed(notebook)):
        assert not isinstance(node, ast.Delete)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            called = ast.unparse(node.func)
            assert called.split(".")[-1] not in deleting or called == "continuer.run", called
    magics = re.findall(r"^\s*[%!].*$", "\n".join(sources(notebook)), re.M)
    assert [m.split()[:2] for m in magics] == [["%pip", "install"]]
    assert fields(notebook).get("entity") is None


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout as a wheel, built from a copy: building leaves files where it builds."""
    import shutil

    copy = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "desc", copy / "desc", ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"]
    pip += ["--no-build-isolation", "--wheel-dir", str(copy), str(copy)]
    subprocess.run(pip, check=True, timeout=120)
    (built,) = copy.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def workplace(
    tmp_path_factory: pytest.TempPathFactory, make_signal: Callable[..., np.ndarray]
) -> Path:
    """A folder with recordings and sounds of some seconds, where all notebooks run."""
    root = tmp_path_factory.mktemp("notebooks")
    for folder, duration_s in (("recordings", 5.0), ("sounds", 6.0)):
        (root / folder).mkdir()
        for seed in range(2):
            audio = make_signal("notes", duration_s, seed=seed + int(duration_s))
            soundfile.write(root / folder / f"{seed}.wav", audio, 44100)
    return root


@pytest.fixture(scope="module")
def execute(
    workplace: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., str]]:
    """execute(name, **values) runs a notebook and returns its output.

    pip installs into a folder of its own that comes first on the kernel's path, without looking
    for other packages: what the tests run with is not changed.
    """
    installed = tmp_path_factory.mktemp("installed")
    with pytest.MonkeyPatch.context() as patch:
        for key, value in {
            "PIP_TARGET": str(installed), "PIP_UPGRADE": "1", "PIP_NO_DEPS": "1",
            "PIP_NO_INDEX": "1", "PYTHONPATH": str(installed),
            "DESC_CACHE": str(workplace / "cache"), "WANDB_MODE": "disabled",
            "IPYTHONDIR": str(workplace / "ipython"), "OMP_NUM_THREADS": "1",
        }.items():  # fmt: skip
            patch.setenv(key, value)

        def run(name: str, **values: object) -> str:
            common = {"repository": wheel.as_uri(), "make_demo_corpus": False}
            notebook = filled(load(name), **common | values)
            resources = {"metadata": {"path": str(workplace)}}
            NotebookClient(
                notebook, timeout=300, kernel_name="python3", resources=resources
            ).execute()
            assert (installed / "desc" / "__init__.py").is_file()
            outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
            shown = [o.data for o in outputs if o.output_type == "display_data"]
            kinds = ["audio" for d in shown if "<audio" in d.get("text/html", "")]
            kinds += ["image" for d in shown if "image/png" in d]
            kinds += ["page" for d in shown if "<iframe srcdoc=" in d.get("text/html", "")]
            text = "".join(o.text for o in outputs if o.output_type == "stream")
            counts = [f"{kinds.count(kind)} {kind}" for kind in ("audio", "image", "page")]
            return text + f"\nshown: {', '.join(counts)}"

        yield run


def run_id(printed: str) -> str:
    """Return the run id that a notebook ended with."""
    (found,) = re.findall(r"^run id: ([a-z0-9]{8})$", printed, re.M)
    return str(found)


@pytest.mark.slow
def test_train_and_continue(execute: Callable[..., str], workplace: Path, wheel: Path) -> None:
    printed = execute(
        "train_notebook/descriptor_model_train.ipynb",
        audio_db_dir="recordings", sample_audio_db_dir="sounds", window_size=16, forecast_size=8,
        hidden_size=16, num_layers=1, epochs=2, batch_size=16, offline=True,
    )  # fmt: skip
    assert f"desc from {wheel.as_uri()}" in printed
    assert re.search(rf"desc {re.escape(desc.__version__)}, torch .*device: ", printed)
    assert re.search(r"shown: [1-9] audio, 0 image, 1 page$", printed)
    printed = execute(
        "predict_notebook/descriptor_model_predict.ipynb",
        run_id=run_id(printed), prediction_db_dir="recordings/0.wav", audio_db_dir="sounds",
        output_dir="predictions", prediction_length=40, download=True,
    )  # fmt: skip
    assert printed.endswith("shown: 1 audio, 0 image, 1 page")
    with zipfile.ZipFile(workplace / "predictions.zip") as packed:
        assert any(name.endswith("prediction.wav") for name in packed.namelist())
    (wav,) = workplace.glob("predictions/**/prediction.wav")
    assert soundfile.info(wav).frames == 40 * 1024


@pytest.mark.slow
def test_train_both_networks_and_generate(execute: Callable[..., str], workplace: Path) -> None:
    tiny = {"steps": 4, "batch_size": 2, "save_interval": 2, "log_interval": 2, "offline": True}
    vocoder = run_id(
        execute(
            "train_notebook/melgan.ipynb", audio_db_dir="recordings", ngf=2, ratios=(8, 8),
            n_residual_layers=1, ndf=4, n_layers_D=2, num_D=2, seq_len=2048, n_test_samples=2,
            **tiny, **TINY_MEL,
        )
    )  # fmt: skip
    printed = execute(
        "train_notebook/unagan.ipynb", audio_db_dir="recordings", z_dim=4, width=8, seq_frames=32,
        num_va=2, vocoder_run_id=vocoder, **tiny, **TINY_MEL,
    )  # fmt: skip
    assert re.search(r"shown: [1-9] audio, [1-9] image, 0 page$", printed)
    printed = execute(
        "predict_notebook/Unagan_generate.ipynb", generator_run_id=run_id(printed),
        vocoder_run_id=vocoder, num_samples=2, duration_s=1.5, output_dir="generated",
        random_merge_audio=True, channel_per_merge=2, num_combine_audio=1,
    )  # fmt: skip
    assert "3 written, 0 kept in generated" in printed
    files = sorted(workplace.glob("generated/*.wav"))
    assert [soundfile.info(f).frames for f in files] == [round(1.5 * RATE)] * 3
    assert sorted(soundfile.info(f).channels for f in files) == [1, 1, 2]
    assert (workplace / "generated" / "manifest.csv").is_file()
    assert printed.endswith("shown: 3 audio, 0 image, 0 page")
