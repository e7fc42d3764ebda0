"""Write requirements.txt: the versions that pip chooses for all that the package asks for.

Pins that still fit stay; with `--upgrade` only torch keeps its version. Nothing is installed. Each
version installs on Python 3.11.2, that of Debian 12.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.txt"
OF_CUDA = re.compile(r"cuda-|nvidia-|triton")  # torch asks for its own, and on Linux only

torch, *others = [line for line in LOCK.read_text("utf-8").splitlines() if "==" in line]
with tempfile.TemporaryDirectory() as folder:
    constraints, report = Path(folder, "constraints.txt"), Path(folder, "report.json")
    kept = [torch] if "--upgrade" in sys.argv else [torch, *others]
    constraints.write_text("\n".join(kept), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "install", f"{ROOT}[all]", "--dry-run", "--quiet"]
    command += ["--report", str(report), "--constraint", str(constraints), "--ignore-installed"]
    command += ["--python-version", "3.11.2", "--only-binary", ":all:", "--target", folder]
    subprocess.run(command, check=True)
    chosen = [entry["metadata"] for entry in json.loads(report.read_text("utf-8"))["install"]]

pins = [
    f"{about['name']}=={about['version'].partition('+')[0]}"
    for about in sorted(chosen, key=lambda about: about["name"].lower().replace("_", "-"))
    if about["name"] not in ("descriptor-transformer", "torch") and not OF_CUDA.match(about["name"])
]
LOCK.write_text("\n".join([torch, *pins, "-e .[all]"]) + "\n", encoding="utf-8")
