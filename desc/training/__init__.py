"""Training of sequence models: windows of recordings → a run.

`desc.training.fit.train` is the way in.
"""
