"""Audio files: probed, read in blocks, read at any place, written. Nothing else opens them.

Everything libsndfile reads is read (WAV, FLAC, Ogg Vorbis and Opus, MP3, AIFF, CAF …), at any
sample rate and with any number of channels. Arrays are (S,) or (C, S) float32, full scale 1.

Three ways of reading, each with its reason:

* `read_mono_blocks` decodes from front to back. It never seeks, because seeks in MP3 and Vorbis
  files land beside the sample asked for (measured: off by half of full scale in a Vorbis file),
  and python-soundfile seeks after every read of a file that says it is seekable. Without seeks
  block reads of MP3 equal decoding in one go, bit for bit, also of cut and headerless files.
* `AudioReader` reads at any place, of files where that is exact: PCM of any container, and FLAC.
* Plain PCM in WAV files is read without libsndfile, which converts 16-bit samples seven times
  slower than numpy does. The numbers are the same bits.
"""

from __future__ import annotations

from desc.audio.clip import AudioClip
from desc.audio.decoding import (
    mono_blocks,
    read,
    read_blocks,
    read_mono_blocks,
    resample,
    resampled_blocks,
    resampled_length,
)
from desc.audio.encoding import decode, encode_ogg, encode_wav, read_excerpt
from desc.audio.files import (
    AUDIO_EXTENSIONS,
    Audio,
    AudioInfo,
    check_samples,
    content_digest,
    is_seekable_pcm,
    probe,
)
from desc.audio.reader import AudioReader
from desc.audio.scaled import write_scaled
from desc.audio.writer import AudioWriter, format_of, write

__all__ = [
    "AUDIO_EXTENSIONS",
    "Audio",
    "AudioClip",
    "AudioInfo",
    "AudioReader",
    "AudioWriter",
    "check_samples",
    "content_digest",
    "decode",
    "encode_ogg",
    "encode_wav",
    "format_of",
    "is_seekable_pcm",
    "mono_blocks",
    "probe",
    "read",
    "read_blocks",
    "read_excerpt",
    "read_mono_blocks",
    "resample",
    "resampled_blocks",
    "resampled_length",
    "write",
    "write_scaled",
]
