"""Quality of the models on real music, compared with references and baselines in one run.

Trains each model once per seed at its default settings, evaluates all runs on held-out recordings,
and prints the tables of `desc evaluate` and the means relative to references and baselines. No
setting is chosen on the test recordings.

    python benchmarks/quality.py --audio_db_dir train/ --validation_db_dir validation/ \
        --test_db_dir test/ [--models LSTM …] [--seeds 3] [--epochs N] [--quick]

--quick trains one LSTM for so few epochs that it takes about 25 CPU seconds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from desc.configuration import ModelConfig, RunConfig, TrainConfig
from desc.corpus import open_corpus
from desc.descriptors.config import DescriptorConfig
from desc.evaluation.baselines import VAR_NOISE, VAR_REPLAY
from desc.evaluation.evaluate import evaluate
from desc.evaluation.settings import EvaluateConfig
from desc.evaluation.tables import MEAN, Evaluation, Row
from desc.models import MODELS
from desc.scoring.scorer import REAL
from desc.storage import DescriptorStore
from desc.training.fit import train

QUICK_EPOCHS = 8
LOWER = ("fd", "c2st", "modspec_db", "acf", "crps_43")  # is better


def relations(row: Row, of: Mapping[str, Row]) -> str:
    """Compare a run with the reference and both linear baselines."""
    figures, reference = row.figures, of[REAL].figures
    parts = [f"FD {figures['fd'] / reference['fd']:.2f} × reference"]
    for baseline in (VAR_NOISE, VAR_REPLAY):
        other = of[baseline].figures
        ahead = [name for name in LOWER if figures[name] < other[name]]
        if abs(figures["tail_std"] - 1) < abs(other["tail_std"] - 1):
            ahead.append("tail_std")
        parts.append(f"ahead of {baseline} on {', '.join(ahead) or 'nothing'}")
    return f"{row.name:37s} " + "; ".join(parts)


def report(evaluation: Evaluation, what: str) -> None:
    """Print the tables, and a comparison for each run."""
    print(f"\n{what}")
    print(evaluation)
    for table in evaluation.tables:
        of = {row.name: row for row in table.rows}
        means = [row for row in table.rows if row.kind == MEAN]
        for row in means or [row for row in table.rows if row.kind == "run"]:
            print(relations(row, of))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    for name in ("audio_db_dir", "validation_db_dir", "test_db_dir"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="default: those of desc train")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--cache_dir")
    args = parser.parse_args()
    store, config = DescriptorStore(args.cache_dir), DescriptorConfig()
    folders = (args.audio_db_dir, args.validation_db_dir, args.test_db_dir)
    learned, validation, test = (open_corpus(folder, config, store) for folder in folders)
    models, seeds = (["LSTM"], 1) if args.quick else (args.models, args.seeds)
    with TemporaryDirectory() as folder:
        runs = []
        for name in models:
            epochs = args.epochs or (QUICK_EPOCHS if args.quick else None)
            for seed in range(seeds):
                began = time.process_time()
                record = train(
                    learned,
                    validation=validation,
                    model=ModelConfig(selected_model=name),
                    training=TrainConfig(seed=seed, epochs=epochs, accelerator="cpu"),
                    run=RunConfig(experiment_dir=str(Path(folder) / "runs"), offline=True),
                )
                spent = time.process_time() - began
                print(
                    f"{name}, seed {seed}: {record.metrics['steps']:.0f} steps, {spent:.0f} CPU s"
                )
                runs.append(record)
        for sampling in ("plain", "replay"):
            settings = EvaluateConfig(sampling=sampling, long=not args.quick)
            report(evaluate(runs, test, settings, store=store, accelerator="cpu"), sampling)


if __name__ == "__main__":
    main()
