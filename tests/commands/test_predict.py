"""`desc predict`: what it imports. Its results are tested in `tests/integration`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from desc.commands.main import main
from tests.small_run import SmallRun

CODE = """
import sys
import numpy.random, soundfile, torch
lazy = ("torch._dynamo", "torch._inductor", "sympy")

def packages():
    named = {name for name in sys.modules if name in lazy}
    return named | {name.split(".")[0] for name in sys.modules} - sys.stdlib_module_names

before = packages()
from desc.commands.main import main
assert main(sys.argv[1:]) == 0
print(*sorted(packages() - before))
"""


def test_a_warm_prediction_imports_no_package_it_does_not_use(
    small_run: SmallRun, tmp_path: Path
) -> None:
    """Imports take longer than the prediction: scipy, librosa, joblib and Lightning are left out.

    What torch, numpy and soundfile import themselves does not count.
    """
    words = ["predict", "--run_id", small_run.run_id, "--prediction_length", "40"]
    words += ["--prediction_db_dir", str(small_run.root / "held_out" / "y.wav")]
    words += ["--audio_db_dir", str(small_run.root / "training"), *small_run.options]
    assert main([*words, "--output_dir", str(tmp_path / "extracted"), "--jobs", "1"]) == 0
    command = [sys.executable, "-c", CODE, *words, "--output_dir", str(tmp_path / "warm")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].split() == ["desc", "filelock"]
    assert (tmp_path / "warm" / "y.wav" / "report.html").is_file()
