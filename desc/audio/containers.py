"""Containers as they are on disk: pieces of joined files, headers without a length, kinds of file.

libsndfile takes the length of a file from its header. Some headers have none (a recorder that
crashed, a stream, an MP3 without a Xing header), and a joined file has one per piece.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

ENDLESS = 1 << 40
"""Length that a view claims in bytes where the true one would be taken for an estimate."""
_TAIL = 128
"""Bytes at the end of an MP3 in which libmpg123 looks for a tag."""
_BLOCK = 1 << 20
_UNKNOWN = b"\xff\xff\xff\xff"


@dataclass(frozen=True)
class Piece:
    """Bytes [start, stop) of a file that are a recording by themselves.

    Attributes
    ----------
    start, stop : int
        Positions in the file.
    patches : dict of int to bytes
        Bytes to read instead of those of the file, by their position in the piece.
    is_endless : bool
        Whether the piece must claim to be longer than any file.
    """

    start: int
    stop: int
    patches: dict[int, bytes] = field(default_factory=dict)
    is_endless: bool = False
    note: str = ""


class View(io.RawIOBase):
    """A piece of a file, opened as a file of its own."""

    def __init__(self, path: str | Path, piece: Piece) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 (closed by `close`)
        self._piece = piece
        self._length = piece.stop - piece.start
        self._size = ENDLESS if piece.is_endless else self._length
        self._position = 0
        self.furthest = 0

    @property
    def n_left(self) -> int:
        """Bytes behind all that were read."""
        return self._length - self.furthest

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position, and return it."""
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readinto(self, buffer: object) -> int:
        """Fill a buffer; return the number of bytes, 0 at the end."""
        target = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        if self._position >= self._length and self._position >= self._size - _TAIL:
            n = min(len(target), self._size - self._position)
            target[:n] = bytes(n)
        else:
            self._file.seek(self._piece.start + self._position)
            n = self._file.readinto(target[: max(0, self._length - self._position)])
            for at, patch in self._piece.patches.items():
                for place, byte in enumerate(patch, at - self._position):
                    if 0 <= place < n:
                        target[place] = byte
            self.furthest = max(self.furthest, self._position + n)
        self._position += n
        return n

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def first_piece(path: str | Path) -> Piece | None:
    """Return the piece to open first, or None where the file can be opened as it is."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(16)
        note = "its header gives no length (did the recorder crash?)"
        if head[:4] in (b"RIFF", b"RF64"):
            patches = _wave_sizes(file, head, size)
            end = 0 if patches else _end_before_another(file)
            if end:
                return Piece(0, end, note="another WAV follows in the same file, and is not read")
        elif head[:4] == b".snd":
            patches = {8: _UNKNOWN} if head[8:12] == bytes(4) else {}
        elif head[:4] == b"caff":
            patches, note = _core_audio_size(file, size)
        else:
            start = _after_tags(file)
            file.seek(start)
            if _is_mpeg(file.read(4)) and not _has_xing(file, start):
                return Piece(0, size, is_endless=True)
            return None
    return Piece(0, size, patches, note=note) if patches else None


def later_pieces(path: str | Path) -> Iterator[Piece]:
    """Yield the recordings that follow the first one in an Ogg, FLAC or MP3 file."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = _after_tags(file)
        file.seek(start)
        head = file.read(4)
        if head == b"OggS":
            starts = _ogg_links(file)
        elif head == b"fLaC":
            starts = list(_positions(file, b"fLaC\x00\x00\x00\x22"))
        elif _is_mpeg(head) and _has_xing(file, start):
            yield from _mpeg_pieces(file, start, size)
            return
        else:
            return
    for begin, end in pairwise([*starts[1:], size]):
        yield Piece(begin, end)


def samples_offset(file: BinaryIO) -> int | None:
    """Return the position of the first sample in a RIFF or RF64 WAVE file, else None."""
    file.seek(0)
    header = file.read(12)
    if len(header) < 12 or header[:4] not in (b"RIFF", b"RF64") or header[8:] != b"WAVE":
        return None
    position = 12
    for _ in range(1000):  # chunks; a damaged file may hold endless empty ones
        file.seek(position)
        chunk = file.read(8)
        if len(chunk) < 8:
            return None
        position += 8
        if chunk[:4] == b"data":
            return position
        size = int.from_bytes(chunk[4:], "little")
        position += size + size % 2  # chunks begin at even positions
    return None


def follows_wave(path: str | Path) -> str:
    """Return a note if a WAV holds sound behind the end that its header names, else nothing."""
    with open(path, "rb") as file:
        end = _wave_end(file)
        file.seek(end)
        chunk = file.read(4)
        n_more = os.fstat(file.fileno()).st_size - end
    if n_more > 1 << 16 and not re.fullmatch(rb"[\x20-\x7e\0]{4}", chunk):
        return f"{n_more} bytes follow the end that its header names, and are not read"
    return ""


def nist_samples(path: str | Path) -> int:
    """Return the number of samples per channel that the header of a NIST file names, else 0."""
    with open(path, "rb") as file:
        found = re.search(rb"\nsample_count -i (\d{1,15})\s", file.read(1024))
    return int(found[1]) if found else 0


def _wave_end(file: BinaryIO) -> int:
    """Return the position behind the samples of a WAV as its header names it, 0 without samples."""
    offset = samples_offset(file)
    if offset is None:
        return 0
    file.seek(offset - 4)
    size = int.from_bytes(file.read(4), "little")
    return offset + size + size % 2


def _end_before_another(file: BinaryIO) -> int:
    """Return the end of a WAV behind which another one begins, else 0."""
    end = _wave_end(file)
    file.seek(end)
    head = file.read(12)
    return end if end and head[:4] == b"RIFF" and head[8:] == b"WAVE" else 0


def _wave_sizes(file: BinaryIO, head: bytes, size: int) -> dict[int, bytes]:
    """Return patches for a WAV whose sizes were never written, or exceed their 32 bits."""
    offset = samples_offset(file)
    if offset is None or offset >= size:
        return {}
    if head[:4] == b"RF64":
        file.seek(12)
        chunk = file.read(24)
        is_empty = chunk[:4] == b"ds64" and chunk[16:24] == bytes(8)
        return {28: (size - offset).to_bytes(8, "little")} if is_empty else {}
    file.seek(offset - 4)
    is_unwritten = file.read(4) == bytes(4) and int.from_bytes(head[4:8], "little") + 8 <= offset
    if is_unwritten or size - offset > 1 << 32:
        return {4: _UNKNOWN, offset - 4: _UNKNOWN}
    return {}


def _core_audio_size(file: BinaryIO, size: int) -> tuple[dict[int, bytes], str]:
    """Return patches for a CAF whose samples go on to its end, and a note if it was cut off."""
    position = 8
    for _ in range(1000):
        file.seek(position)
        chunk = file.read(12)
        n_bytes, n_left = int.from_bytes(chunk[4:], "big", signed=True), size - position - 12
        if chunk[:4] == b"data" and n_left >= 4 and not 0 < n_bytes <= n_left:
            note = "cut off before the end that its header promises" if n_bytes > 0 else ""
            return {position + 4: n_left.to_bytes(8, "big")}, note
        if len(chunk) < 12 or n_bytes <= 0 or chunk[:4] == b"data":
            break
        position += 12 + n_bytes
    return {}, ""


def lacks_ogg_end(path: str | Path) -> bool:
    """Whether the last page of an Ogg file is not marked as the end of its stream."""
    with open(path, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - (1 << 17)))
        tail = file.read()
    place = tail.rfind(b"OggS\0")
    return place >= 0 and len(tail) > place + 5 and not tail[place + 5] & 4


def _positions(file: BinaryIO, magic: bytes) -> Iterator[int]:
    """Yield the positions of some bytes in a file."""
    overlap = len(magic) - 1
    file.seek(0)
    begin, held = 0, b""
    while block := file.read(_BLOCK):
        held += block
        place = held.find(magic)
        while place >= 0:
            yield begin + place
            place = held.find(magic, place + 1)
        begin += max(0, len(held) - overlap)
        held = held[-overlap:]


def _ogg_links(file: BinaryIO) -> list[int]:
    """Return where the links of an Ogg chain begin; a link may begin with several streams."""
    links, end = list[int](), -1
    for position in list(_positions(file, b"OggS\0\2")):  # first pages of streams
        file.seek(position)
        page = file.read(27 + 255)
        if position != end:
            links.append(position)
        end = position + 27 + page[26] + sum(page[27 : 27 + page[26]])
    return links


def _after_tags(file: BinaryIO) -> int:
    """Return the position behind the ID3v2 tags at the start of a file."""
    position = 0
    for _ in range(100):
        file.seek(position)
        head = file.read(10)
        if head[:3] != b"ID3" or len(head) < 10:
            break
        size = 0
        for byte in head[6:]:  # seven bits each
            size = size << 7 | byte & 127
        position += 10 + size
    return position


def _is_mpeg(header: bytes) -> bool:
    """Whether four bytes are the header of an MPEG audio frame."""
    return (
        len(header) == 4
        and header[0] == 0xFF
        and header[1] & 0xE0 == 0xE0
        and header[1] & 0x18 != 0x08  # version
        and header[1] & 0x06 != 0  # layer: 0 is AAC
        and header[2] & 0xF0 != 0xF0  # bit rate
        and header[2] & 0x0C != 0x0C  # sample rate
    )


def _xing_offset(header: bytes) -> int:
    """Return where a frame of MPEG layer III holds its Xing header, from the frame's start."""
    is_mono = header[3] & 0xC0 == 0xC0
    if header[1] & 0x18 == 0x18:  # MPEG 1
        return 21 if is_mono else 36
    return 13 if is_mono else 21


def _has_xing(file: BinaryIO, start: int) -> bool:
    file.seek(start)
    frame = file.read(64)
    offset = _xing_offset(frame)
    return frame[offset : offset + 4] in (b"Xing", b"Info")


def _mpeg_pieces(file: BinaryIO, first: int, size: int) -> Iterator[Piece]:
    """Yield what follows the first recording of an MP3 file that begins with a Xing header."""
    starts = {first}
    for magic in (b"Xing", b"Info"):
        for position in list(_positions(file, magic)):
            for offset in (36, 21, 13):
                file.seek(max(0, position - offset))
                header = file.read(4)
                if _is_mpeg(header) and _xing_offset(header) == offset:
                    starts.add(position - offset)
    ordered = sorted(start for start in starts if start >= first)
    for start, stop in pairwise([*ordered, size]):
        end = start + _xing_bytes(file, start)
        has_more = end > start and stop - end > max(8192, (end - start) // 50)
        if start > first:
            yield Piece(start, end if has_more else stop)
        if has_more:
            file.seek(end)
            end += 128 if file.read(3) == b"TAG" else 0
            yield Piece(end, stop, is_endless=True)


def _xing_bytes(file: BinaryIO, start: int) -> int:
    """Return the number of bytes that a Xing header counts from its frame on; 0 if it does not."""
    file.seek(start)
    frame = file.read(64)
    at = _xing_offset(frame) + 4
    flags = int.from_bytes(frame[at : at + 4], "big")
    if not flags & 2:
        return 0
    at += 4 + 4 * (flags & 1)
    return int.from_bytes(frame[at : at + 4], "big")


_KINDS: tuple[tuple[bytes, str], ...] = (
    (rb"version https://git-lfs", "a git-lfs pointer, not the file itself: git lfs pull"),
    (rb"\s*<(!doctype html|html|head|body)", "a web page (HTML), not audio; was it downloaded?"),
    (rb"\s*<\?xml", "an XML file, not audio"),
    (rb"\{\\rtf|%PDF", "a document, not audio"),
    (rb"PK\x03\x04|Rar!|7z\xbc\xaf|\x1f\x8b", "an archive, not audio; unpack it"),
    (rb"\x89PNG|\xff\xd8\xff|GIF8", "an image, not audio"),
    (rb"MThd", "a MIDI file: notes, not sound"),
    (rb"#EXTM3U|\[playlist\]", "a list of addresses or files, not audio"),
)
_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (rb"....ftyp", "MP4 (AAC, ALAC)"),
    (rb"....(moov|mdat|wide|free)", "QuickTime"),
    (rb"\x1a\x45\xdf\xa3", "Matroska or WebM"),
    (rb"\x30\x26\xb2\x75", "Windows Media (WMA)"),
    (rb"MAC ", "Monkey's Audio"),
    (rb"wvpk", "WavPack"),
    (rb"#!AMR", "AMR"),
    (rb"MPCK|MP\+", "Musepack"),
    (rb"TTA1", "True Audio"),
    (rb"DSD ", "DSD"),
    (rb"\x0b\x77", "AC-3"),
    (rb"OggS.{22}\x01.\x7fFLAC", "FLAC in Ogg"),
    (rb"OggS.{22}\x01.Speex", "Speex"),
    (rb"\xff[\xf0\xf1\xf8\xf9]", "AAC"),
    (rb"RIFF....AVI ", "AVI"),
)


def no_audio(path: str | Path) -> str:
    """Return what a file is that is certainly no audio, else nothing."""
    head = _head(path)
    if head and not head.strip(b"\0"):
        return "only zero bytes (a download or a copy that was not finished?)"
    return next((text for magic, text in _KINDS if re.match(magic, head, re.I)), "")


def foreign_kind(path: str | Path) -> str:
    """Return the name of a sound format that libsndfile does not read, else nothing."""
    head = _head(path)
    return next((name for magic, name in _FOREIGN if re.match(magic, head, re.S)), "")


def _head(path: str | Path) -> bytes:
    with open(path, "rb") as file:
        file.seek(_after_tags(file))
        return file.read(512)
