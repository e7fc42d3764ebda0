"""Kill each job, run it again, and compare its files with those of an undisturbed run.

Each job runs once to the end. It is then killed (SIGKILL) at a random time and called again, as a
user would, and its files are compared byte by byte; files left behind are counted. Training is
resumed by its run id, or started again if it was killed before its first checkpoint; its parameters
are compared.

    python benchmarks/kills.py --kills 100
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from desc.demo.corpus import write_corpus
from desc.models.checkpoint import load_model

DESC = (sys.executable, "-m", "desc")
COMMON = ("--offline", "--quiet", "--experiment_dir", "runs")
TINY = (
    "--epochs",
    "4",
    "--hidden_size",
    "16",
    "--window_size",
    "16",
    "--realism_every_epochs",
    "0",
)
SOUND = ("--save_interval", "10", "--batch_size", "2", "--max_time_s", "60")


@dataclass(frozen=True)
class Job:
    """A command whose files are compared.

    Attributes
    ----------
    arguments : tuple of str
    made : str
        Folder of its files, below the working folder.
    digests : function
        Name of each file, with what must be equal after a kill.
    resumes : bool
        Whether a second call names the run that was killed.
    """

    arguments: tuple[str, ...]
    made: str
    digests: Callable[[Path], dict[str, str]]
    resumes: bool = False


def bytes_of(folder: Path, suffixes: Iterable[str] = ()) -> dict[str, str]:
    """Digests of the files of these suffixes; of the others, the name alone."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.suffix in suffixes
        else ""
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def descriptors_of(folder: Path) -> dict[str, str]:
    return bytes_of(folder, (".npz", ".npy"))


def result_of(folder: Path) -> dict[str, str]:
    return bytes_of(
        folder, (".wav", ".csv", ".txt")
    )  # an Ogg in report.npz has a random serial number


def parameters_of(folder: Path) -> dict[str, str]:
    """Digest of the parameters of each checkpoint, and the names of the other files of the run."""
    runs = [run for run in folder.iterdir() if run.is_dir() and any(run.rglob("*.ckpt"))]
    found = {f"{len(runs)} runs": ""}
    for run in runs:
        found |= dict.fromkeys(bytes_of(run), "")
        for path in sorted(run.rglob("*.ckpt")):
            state = load_model(path).state_dict()
            data = b"".join(state[name].numpy().tobytes() for name in sorted(state))
            found[path.name] = hashlib.sha256(data).hexdigest()
    return found


def call(arguments: Iterable[str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*DESC, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(arguments: Iterable[str], folder: Path) -> str:
    """Run a command to its end and return what it printed."""
    process = call(arguments, folder)
    output, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)}: status {process.returncode}\n{errors}")
    return output


def again(job: Job, folder: Path) -> tuple[str, ...]:
    """Return the command with which a user goes on after a kill."""
    runs = sorted(folder.glob("runs/descriptor_model/*/checkpoints")) if job.resumes else []
    if not runs:
        return job.arguments
    return (
        "train",
        "--resume_run_id",
        runs[0].parent.name,
        "--audio_db_dir",
        "recordings",
        *COMMON,
    )


def killed(job: Job, folder: Path, after_s: float) -> bool:
    """Start a job and kill it with its workers; False if it ended before."""
    process = call(job.arguments, folder)
    try:
        process.communicate(timeout=after_s)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.communicate()
        return True


def report(name: str, job: Job, base: Path, kills: int, rng: random.Random) -> None:
    """Run a job, kill it `kills` times and print what differed."""
    reference = base / "reference"
    shutil.copytree(base / "start", reference)
    start = time.perf_counter()
    finish(job.arguments, reference)
    length_s = time.perf_counter() - start
    expected = job.digests(reference / job.made)
    differing, leftover, early = 0, 0, 0
    for _ in range(kills):
        folder = base / "killed"
        shutil.copytree(base / "start", folder)
        if killed(job, folder, length_s * rng.uniform(0.3, 1.0)):
            finish(again(job, folder), folder)
        else:
            early += 1
        found = job.digests(folder / job.made)
        changed = sorted(name for name in expected if found.get(name) != expected[name])
        extra = sorted(found.keys() - expected.keys())
        differing += bool(changed)
        leftover += bool(extra)
        if changed or extra:
            print(f"  differs: {', '.join(changed[:4])}; left behind: {', '.join(extra[:4])}")
        shutil.rmtree(folder)
    print(
        f"{name:10s} {length_s:7.1f} {kills:6d} {early:12d} {differing:9d} {leftover:11d}",
        flush=True,
    )
    shutil.rmtree(reference)


def prepare(folder: Path) -> dict[str, Job]:
    """Write recordings, train the networks that the jobs need, and return the jobs."""
    write_corpus(folder, with_database=True)
    cache = ("--cache_dir", "cache", "--jobs", "1")
    train = ("train", "--audio_db_dir", "recordings", *TINY, *COMMON)
    source = ("recordings/01 garden.wav",)
    run_id = finish((*train, *cache), folder).split()[-1]
    sound = ("--audio_db_dir", "recordings", "--steps", "20", *SOUND, *COMMON)
    flow = finish(("generate", "train-flow", *sound), folder).split()[-1]
    (folder / "runs").rename(folder / "kept")
    kept = ("--offline", "--quiet", "--experiment_dir", "kept")
    predict = (
        "predict",
        "--run_id",
        run_id,
        "--prediction_db_dir",
        *source,
        "--audio_db_dir",
        "database",
    )
    finish((*predict, "--output_dir", "earlier", *kept, *cache), folder)
    playlist = "earlier/01 garden.wav/playlist.json"
    generate = (
        "generate",
        "audio",
        "--generator_run_id",
        flow,
        "--num_samples",
        "4",
        "--duration_s",
        "5",
    )
    new_cache = ("--cache_dir", "new_cache", "--jobs", "2")
    return {
        "extract": Job(
            ("extract", "--audio_db_dir", "database", "--quiet", *new_cache),
            "new_cache",
            descriptors_of,
        ),
        "train": Job((*train, *cache), "runs/descriptor_model", parameters_of, resumes=True),
        "predict": Job((*predict, "--output_dir", "out", *kept, *cache), "out", result_of),
        "render": Job(
            (
                "render",
                playlist,
                "--output_path",
                "new/new.wav",
                "--overwrite",
                "--quiet",
                *cache[:2],
            ),
            "new",
            result_of,
        ),
        "generate": Job((*generate, "--output_dir", "generated", *kept), "generated", result_of),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, help="in all, shared by the jobs")
    parser.add_argument("--jobs", nargs="+", help="of these jobs only")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        (base / "start").mkdir()
        jobs = prepare(base / "start")
        jobs = {name: job for name, job in jobs.items() if not args.jobs or name in args.jobs}
        print("job        seconds  kills  ended before   differs  left behind")
        for name, job in jobs.items():
            report(name, job, base, args.kills // len(jobs), rng)


if __name__ == "__main__":
    main()
