"""Audio descriptors: what they are called, how they are computed, how they are scaled."""
