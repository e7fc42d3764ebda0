"""Sound generation: recordings → networks that make new sound of their kind.

A vocoder (`melgan`, `vocos`, a loaded `hifigan`, or Griffin-Lim without any training) turns a mel
spectrogram into sound; `unagan` makes new mel spectrograms from noise.
"""
