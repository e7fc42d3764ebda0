"""A custom model that reads only the last frame and the context embedding.

python examples/custom_model.py [RECORDINGS]
"""

import sys

from torch import nn

import desc
from desc.models import MODELS
from desc.models.base import DescriptorModel, Sizes


class FrameByFrame(DescriptorModel):
    """A small network; see `desc.models.base` for the interface of a model."""

    DEFAULTS = Sizes(hidden_size=64, num_layers=1)
    forward = lambda self, inputs, valid: self.network(inputs)
    teacher_forced = lambda self, inputs, valid: self.network(inputs[:, :-1])
    prefill = lambda self, inputs, valid: (self.network(inputs[:, -1]), {})
    decode_step = lambda self, inputs, cache, position: self.network(inputs)

    def build(self) -> None:
        """Make the layers."""
        self.network = nn.Sequential(nn.Linear(self.n_inputs, self.sizes.hidden_size), nn.ELU())


MODELS["FrameByFrame"] = f"{__name__}:FrameByFrame"  # in each program that uses it or its runs
if __name__ == "__main__":
    [folder] = sys.argv[1:] or desc.write_corpus("desc-demo/seed-0")[:1]
    corpus = desc.open_corpus(folder, desc.DescriptorConfig(), desc.DescriptorStore())
    model, run = desc.ModelConfig(selected_model="FrameByFrame"), desc.RunConfig(offline=True)
    training = desc.TrainConfig(epochs=10, realism_every_epochs=0)
    record = desc.train(corpus, model=model, training=training, run=run)
    prediction = desc.Predictor.from_run(record).predict(corpus.sequences[0], frames=100)
    print(f"{prediction.model_name}: {len(prediction)} frames after {prediction.source}")
