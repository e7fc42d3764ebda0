"""Training: windows of recordings → a run. The only part that knows Lightning.

`desc.training.fit.train` is the way in.
"""
