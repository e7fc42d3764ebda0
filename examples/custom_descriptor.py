"""A custom descriptor: the crest factor, peak over rms, which is high at attacks.

python examples/custom_descriptor.py [SOUNDS]
"""

import sys

import numpy as np

import desc
from desc.descriptors.families import Family
from desc.descriptors.features import Feature
from desc.descriptors.frames import Frames


def crest(frames: Frames) -> np.ndarray:
    """Return the largest sample over the root mean square of each frame, (B, 1)."""
    peak = np.abs(frames.samples).max(1)
    rms = np.sqrt(np.square(frames.samples).mean(1))
    return (peak / np.maximum(rms, 1e-9))[:, None].astype(np.float32)


def main() -> None:
    """Register the family, extract it beside the MFCC, and sort the files by it."""
    # It is positive, so models and matching see its logarithm.
    desc.register_descriptor(Family("crest", ("crest",), "log", 1e-3), Feature(crest))
    [sounds_dir] = sys.argv[1:] or desc.write_corpus("desc-demo/seed-0")[1:]
    config = desc.DescriptorConfig(descriptors=("mfcc", "crest"))
    corpus = desc.open_corpus(sounds_dir, config, desc.DescriptorStore())
    column = config.names.index("crest")
    means = {s.source: float(s.values[s.complete, column].mean()) for s in corpus.sequences}
    for source in sorted(means, key=means.__getitem__):
        print(f"{means[source]:6.2f}  {source}")


if __name__ == "__main__":
    main()
