"""Training of sequence models: recordings → a run. The entry point is `desc.training.fit.train`."""
