"""Continue a recording: train on a folder, then continue its first recording.

python examples/continue_a_recording.py [RECORDINGS SOUNDS OUTPUT_DIR]
"""

import sys
from dataclasses import replace

import desc


def main() -> None:
    """Train for a few epochs, predict ten seconds, and render them with other sounds."""
    recordings_dir, sounds_dir, output_dir = sys.argv[1:] or (
        *desc.write_corpus("desc-demo/seed-0"),
        "desc-demo/continued",
    )
    store = desc.DescriptorStore()
    recordings = desc.open_corpus(recordings_dir, desc.DescriptorConfig(), store)
    training = desc.TrainConfig(epochs=10, realism_every_epochs=0)
    run = desc.RunConfig(offline=True)
    with desc.Console():
        record = desc.train(recordings, training=training, run=run)
    predictor = desc.Predictor.from_run(record)
    sounds = desc.open_corpus(sounds_dir, predictor.config, store).with_sound()
    database = desc.DescriptorDatabase.from_corpus(sounds, store)
    matcher = desc.Matcher(database, rendering=desc.RenderConfig(with_recording_s=5.0))
    continuer = desc.Continuer(predictor, matcher, desc.PredictConfig(duration_s=10.0), store)
    first = replace(recordings, sequences=recordings.sequences[:1])
    for outcome in continuer.run(first, output_dir, overwrite=True).outcomes:
        print(outcome.folder / "prediction.wav")


if __name__ == "__main__":
    main()
