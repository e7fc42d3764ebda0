"""Ctrl-C during extraction."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from desc.corpus import open_corpus
from desc.descriptors.config import DescriptorConfig
from desc.storage import DescriptorStore

CONFIG = DescriptorConfig()
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")


def test_interrupted_extraction_goes_on_where_it_was(
    tmp_path: Path, make_wav: Callable[..., Path]
) -> None:
    for i in range(6):
        make_wav(f"rec/{i}.wav", kind="noise", duration_s=2.0, seed=i)
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, time\n"
        "from desc.corpus import open_corpus, parallel\n"
        "from desc.descriptors.config import DescriptorConfig\n"
        "from desc.progress import reporting\n"
        "from desc.storage import DescriptorStore\n"
        "def extract(*args, **kwargs):\n"
        "    time.sleep(0.3)\n"
        "    return original(*args, **kwargs)\n"
        "original, parallel.extract = parallel.extract, extract\n"
        "show = lambda *call: print(*call, flush=True)\n"
        "store = DescriptorStore(sys.argv[2])\n"
        "with reporting(show):\n"
        "    open_corpus(sys.argv[1], DescriptorConfig(), store, jobs=1)\n"
    )
    command = [sys.executable, str(script), str(tmp_path / "rec"), str(tmp_path / "cache")]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    assert process.stdout is not None
    assert any(line.startswith("extract 2") for line in process.stdout)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in errors
    assert not list((tmp_path / "cache").rglob(".*"))
    store = DescriptorStore(tmp_path / "cache")
    n_done = store.summary().descriptors.n_files
    assert 2 <= n_done < 6
    assert open_corpus(tmp_path / "rec", CONFIG, store, jobs=1).n_extracted == 6 - n_done


def test_starting_processes_ignore_ctrl_c(tmp_path: Path, make_wav: Callable[..., Path]) -> None:
    """A terminal sends it to all processes; only the parent prints a line."""
    for i in range(3):
        make_wav(f"rec/{i}.wav", kind="noise", duration_s=1.0, seed=i)
    script = tmp_path / "script.py"
    script.write_text(
        "import signal, sys\n"
        "from desc.commands.main import main\n"
        "from desc.corpus import parallel\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a background job ignores it
        "parallel.WORKERS_START_S = 0.0\n"
        "if __name__ == '__main__':\n"
        "    sys.exit(main(sys.argv[1:]))\n"
    )
    words = ["extract", "--audio_db_dir", str(tmp_path / "rec"), "--jobs", "2"]
    process = subprocess.Popen(
        [sys.executable, str(script), *words, "--cache_dir", str(tmp_path / "cache")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        start_new_session=True,
    )
    watched = psutil.Process(process.pid)
    while process.poll() is None and not any(map(is_importing, watched.children())):
        pass
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors.strip().splitlines()[-1] == "interrupted"
    assert "Traceback" not in errors


def is_importing(process: psutil.Process) -> bool:
    """Return whether a process started by loky has begun to load numpy."""
    try:
        started = "popen_loky" in " ".join(process.cmdline())
        return started and any("numpy" in m.path for m in process.memory_maps())
    except psutil.Error:
        return False
