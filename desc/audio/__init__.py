"""Audio files: headers, reading in blocks or at random places, writing. The only opener of them.

libsndfile's formats are read (WAV, FLAC, Ogg Vorbis and Opus, MP3, AIFF, CAF …), at any channel
count and sample rates from 1 kHz to 1 MHz, and others through the program ffmpeg where it is
installed (`ffmpeg`). Arrays are (S,) or (C, S) float32, full scale 1; `AudioClip` holds (S, C).

A length in a header is a claim. Files are decoded to their end; what decodes is used, and a line of
the log says where the end is missing or more follows (`sound`, `containers`). There are three ways
of reading:

* `read_mono_blocks` decodes from start to end and never seeks: seeks in MP3 and Vorbis files are
  inexact (measured: off by half of full scale in a Vorbis file), and python-soundfile seeks after
  every read of a seekable file. Without seeks, reading in blocks equals decoding in one go, bit for
  bit, also for truncated and headerless MP3 files.
* `AudioReader` reads at random places of uncompressed files.
* Plain PCM in WAV files is converted by numpy, faster than by libsndfile and to the same bits.
"""

from __future__ import annotations

from desc.audio.clip import AudioClip
from desc.audio.decoding import (
    mono_blocks,
    read,
    read_blocks,
    read_mono_blocks,
)
from desc.audio.encoding import (
    decode,
    encode_fast,
    encode_ogg,
    encode_wav,
    playable,
    read_excerpt,
)
from desc.audio.files import (
    AUDIO_EXTENSIONS,
    FFMPEG_EXTENSIONS,
    NEEDS_FFMPEG,
    Audio,
    AudioInfo,
    check_samples,
    content_digest,
    has_ffmpeg,
    is_seekable_pcm,
    stream_digest,
)
from desc.audio.loudness import LoudnessMeter
from desc.audio.plausibility import SILENT
from desc.audio.reader import AudioReader
from desc.audio.resampling import resample, resampled_blocks, resampled_length
from desc.audio.sound import probe
from desc.audio.writer import AudioWriter, check_space, encoding_of, format_of, write, write_scaled

__all__ = [
    "AUDIO_EXTENSIONS",
    "FFMPEG_EXTENSIONS",
    "NEEDS_FFMPEG",
    "SILENT",
    "Audio",
    "AudioClip",
    "AudioInfo",
    "AudioReader",
    "AudioWriter",
    "LoudnessMeter",
    "check_samples",
    "check_space",
    "content_digest",
    "decode",
    "encode_fast",
    "encode_ogg",
    "encode_wav",
    "encoding_of",
    "format_of",
    "has_ffmpeg",
    "is_seekable_pcm",
    "mono_blocks",
    "playable",
    "probe",
    "read",
    "read_blocks",
    "read_excerpt",
    "read_mono_blocks",
    "resample",
    "resampled_blocks",
    "resampled_length",
    "stream_digest",
    "write",
    "write_scaled",
]
