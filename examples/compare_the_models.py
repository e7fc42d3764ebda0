"""Compare the four models: nats per frame on held-out recordings.

python examples/compare_the_models.py [RECORDINGS]
"""

import sys

import desc
from desc.models import MODELS


def main() -> None:
    """Train each model for a few epochs, and print its one-step prediction scores."""
    [recordings_dir] = sys.argv[1:] or desc.write_corpus("desc-demo/seed-0")[:1]
    store = desc.DescriptorStore()
    recordings = desc.open_corpus(recordings_dir, desc.DescriptorConfig(), store)
    training = desc.TrainConfig(epochs=10, max_time_s=60.0, realism_every_epochs=0)
    run = desc.RunConfig(offline=True)
    print(f"{'model':28} {'run id':8} {'nats':>7} {'linear':>7} {'seconds':>8}")
    for name in MODELS:
        model = desc.ModelConfig(selected_model=name)
        with desc.Console():
            record = desc.train(recordings, model=model, training=training, run=run)
        of = record.metrics
        figures = f"{of['val_nll']:7.2f} {of['var_nll']:7.2f} {of['fit_s']:8.1f}"
        print(f"{name:28} {record.run_id} {figures}")


if __name__ == "__main__":
    main()
