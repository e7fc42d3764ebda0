"""Audio descriptors: names, extraction and standardisation."""
