"""Sound generation: vocoders (mel → samples) and mel generators (noise → mel)."""
