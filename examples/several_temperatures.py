"""Continue a recording several times, at increasing temperatures.

python examples/several_temperatures.py [RECORDINGS SOUNDS OUTPUT_DIR]
"""

import sys
from dataclasses import replace

import desc


def main() -> None:
    """Train for a few epochs, then draw two continuations at each of three temperatures."""
    recordings_dir, sounds_dir, output_dir = sys.argv[1:] or (
        *desc.write_corpus("desc-demo/seed-0"),
        "desc-demo/temperatures",
    )
    store = desc.DescriptorStore()
    recordings = desc.open_corpus(recordings_dir, desc.DescriptorConfig(), store)
    training = desc.TrainConfig(epochs=10, realism_every_epochs=0)
    run = desc.RunConfig(offline=True)
    with desc.Console():
        record = desc.train(recordings, training=training, run=run)
    predictor = desc.Predictor.from_run(record)
    sounds = desc.open_corpus(sounds_dir, predictor.config, store).with_sound()
    matcher = desc.Matcher(desc.DescriptorDatabase.from_corpus(sounds, store))
    continuer = desc.Continuer(predictor, matcher, store=store)
    first = replace(recordings, sequences=recordings.sequences[:1])
    for temperature in (0.9, 1.0, 1.2):
        drawn = desc.PredictConfig(duration_s=5.0, temperature=temperature, n_draws=2)
        folder = f"{output_dir}/temperature {temperature}"
        for outcome in replace(continuer, prediction=drawn).run(first, folder).outcomes:
            print(temperature, outcome.folder / "prediction.wav")


if __name__ == "__main__":
    main()
