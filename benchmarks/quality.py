"""Quality of the models on real music, compared with references and baselines in one run.

Trains each model once per seed at its default settings, evaluates all runs on held-out recordings,
and prints the tables of `desc evaluate`, with a sentence on each run beside the linear baseline. No
setting is chosen on the test recordings. With --sample_audio_db_dir (and --judge) continuations are
also rendered, and the sound is measured.

    python benchmarks/quality.py --audio_db_dir train/ --validation_db_dir validation/ \
        --test_db_dir test/ [--models LSTM …] [--seeds 3] [--epochs N] [--quick]

--quick trains one LSTM for so few epochs that it takes about 25 CPU seconds.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from desc.configuration import ModelConfig, RunConfig, TrainConfig
from desc.corpus import open_corpus
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.evaluation.evaluate import evaluate
from desc.evaluation.settings import EvaluateConfig
from desc.models import MODELS
from desc.storage import DescriptorStore
from desc.training.fit import train

QUICK_EPOCHS = 8


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
    parser.add_argument("--sample_audio_db_dir", help="sounds to render continuations with")
    parser.add_argument("--judge", metavar="WHEEL", help="musicnn-0.1.0-py3-none-any.whl")
    parser.add_argument("--cache_dir")
    args = parser.parse_args()
    store, config = DescriptorStore(args.cache_dir), DescriptorConfig()
    folders = (args.audio_db_dir, args.validation_db_dir, args.test_db_dir)
    learned, validation, test = (open_corpus(folder, config, store) for folder in folders)
    sounds = None
    if args.sample_audio_db_dir is not None:
        corpus = open_corpus(args.sample_audio_db_dir, config, store)
        sounds = DescriptorDatabase.from_corpus(corpus, store)
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
            sound = {"sounds": sounds, "judge": args.judge}
            print(f"\n{sampling}")
            print(evaluate(runs, test, settings, store=store, accelerator="cpu", **sound))


if __name__ == "__main__":
    main()
