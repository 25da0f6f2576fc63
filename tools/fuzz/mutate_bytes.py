"""Mutations of files of any kind, and of binary containers: videos, Parquet, pickles, safetensors, ONNX.

A mutation takes the bytes of a good file and a random generator, and gives the bytes of a bad one. Those of ``SURE``
give files that nothing can read, so a command that ends well has not looked.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping
from random import Random

Mutation = Callable[[bytes, Random], bytes]

# Sizes, counts and times at which readers go wrong, as unsigned 32 bit numbers.
_NUMBERS = (0, 1, 7, 8, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 8)
_BOXES = (b"ftyp", b"moov", b"mdat", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"stts", b"ctts", b"stsc", b"stsz",
          b"stco", b"elst", b"edts", b"mvhd", b"tkhd", b"mdhd", b"hdlr", b"avcC")  # fmt: skip
_DEEP = 100_000


def truncated(content: bytes, rng: Random) -> bytes:
    """Without an end of any length."""
    return content[: rng.randrange(len(content))] if content else content


def almost_nothing(content: bytes, rng: Random) -> bytes:
    """The first few bytes."""
    return content[: rng.randrange(1, 40)]


def empty(content: bytes, rng: Random) -> bytes:
    """No byte."""
    return b""


def beheaded(content: bytes, rng: Random) -> bytes:
    """Without its start."""
    return content[rng.randrange(1, 200) :]


def flipped_bits(content: bytes, rng: Random) -> bytes:
    """A few flipped bits anywhere, with a liking for both ends, where containers keep their structure."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 3, 30, 300))):
        near = rng.choice((len(changed), 400, 4000))
        place = rng.randrange(min(near, len(changed)))
        changed[place if rng.random() < 0.5 else -1 - place] ^= 1 << rng.randrange(8)
    return bytes(changed)


def zeroed(content: bytes, rng: Random) -> bytes:
    """A stretch of zeros, as a broken download leaves it."""
    start = rng.randrange(len(content))
    length = min(rng.choice((4, 512, 4096, len(content))), len(content) - start)
    return content[:start] + bytes(length) + content[start + length :]


def swapped(content: bytes, rng: Random) -> bytes:
    """Two stretches in each other's place."""
    a, b, c, d = sorted(rng.randrange(len(content)) for _ in range(4))
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def repeated(content: bytes, rng: Random) -> bytes:
    """The file twice, one after the other."""
    return content + content


def noise(content: bytes, rng: Random) -> bytes:
    """Random bytes."""
    return rng.randbytes(rng.choice((100, 5000)))


def words(content: bytes, rng: Random) -> bytes:
    """A text, or a page of a server that has not found the file."""
    return rng.choice((b"This is a text.\n" * 50, b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n"))


def null_bytes(content: bytes, rng: Random) -> bytes:
    """Nothing but zeros, as long as the file."""
    return bytes(max(1, len(content)))


def of_another_kind(content: bytes, rng: Random) -> bytes:
    """The start of some other format."""
    heads = (
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde",
        b"PK\x03\x04" + bytes(26),
        b"PAR1" + bytes(20) + b"PAR1",
        b"\x1f\x8b\x08\0" + bytes(20),
        b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0",
        b"%PDF-1.4\n",
        b"\x80\x04\x95" + bytes(8) + b".",
        b"\x7fELF" + bytes(60),
    )
    return rng.choice(heads) + rng.randbytes(rng.choice((0, 2000)))


def number_changed(content: bytes, rng: Random) -> bytes:
    """A 32 bit number of the structure that is nonsense."""
    place = rng.randrange(max(1, min(len(content), 3000) - 4))
    number = struct.pack(rng.choice("<>") + "I", rng.choice(_NUMBERS))
    return content[:place] + number + content[place + 4 :]


def box_changed(content: bytes, rng: Random) -> bytes:
    """A box of an mp4 file with another size, another name or another number in it."""
    present = [name for name in _BOXES if name in content]
    if not present:
        return number_changed(content, rng)
    name = rng.choice(present)
    place = content.index(name)
    number = struct.pack(">I", rng.choice(_NUMBERS))
    where = rng.choice((-4, 0, 4 + 4 * rng.randrange(22)))
    if where == 0:
        number = rng.choice((b"free", b"xxxx", rng.choice(_BOXES)))
    return content[: place + where] + number + content[place + where + 4 :]


def boxes_swapped(content: bytes, rng: Random) -> bytes:
    """Two boxes at the top of an mp4 file in each other's place, or one of them dropped."""
    boxes, place = [], 0
    while place + 8 <= len(content):
        size = int.from_bytes(content[place : place + 4], "big")
        if size < 8:
            return swapped(content, rng)
        boxes.append(content[place : place + size])
        place += size
    if rng.random() < 0.5:
        del boxes[rng.randrange(len(boxes))]
    else:
        rng.shuffle(boxes)
    return b"".join(boxes)


def archive_changed(content: bytes, rng: Random) -> bytes:
    """An archive as torch writes it, with an entry missing, twice, cut or exchanged."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return flipped_bits(content, rng)
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        entries = [(name, source.read(name)) for name in source.namelist()]
    place = rng.randrange(len(entries)) if rng.random() < 0.5 else 0
    name, held = entries[place]
    change = rng.choice(("drop", "double", "cut", "exchange", "evil", "rename"))
    if change == "drop":
        del entries[place]
    elif change == "cut":
        entries[place] = (name, truncated(held, rng))
    elif change == "exchange":
        entries[place] = (name, rng.choice(entries)[1])
    elif change == "rename":
        entries[place] = (rng.choice(("../../escaped", "/escaped", "x" * 300)), held)
    elif change == "evil":
        entries = [(n, evil_pickle(h, rng) if n.endswith("data.pkl") else h) for n, h in entries]
    else:
        entries.append((name, held))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for entry, data in entries:
            if entry not in target.namelist():
                target.writestr(zipfile.ZipInfo(entry), data)
    return buffer.getvalue()


def evil_pickle(content: bytes, rng: Random) -> bytes:
    """A pickle that would run a command, or is deep, endless or made of something else."""
    pickles = (
        b"cos\nsystem\n(S'touch pwned'\ntR.",
        b'c__builtin__\neval\n(S\'open("pwned","w")\'\ntR.',
        b"(" * _DEEP + b"t" * _DEEP + b".",
        b"]" + b"]a" * _DEEP + b".",
        b"]q\x00h\x00a.",
        b"\x80\x02X\xff\xff\xff\x7fabc.",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x00abc.",
        b"I" + b"9" * 5000 + b"\n.",
        pickle.dumps({"state_dict": None}),
        pickle.dumps({"state_dict": {1: 2, None: "x"}, "model_state": []}),
        pickle.dumps([1, "two", {"three": 3.0}]),
        pickle.dumps({"movie_000,0001": "no boxes", 5: [1, 2], "movie_000,nan": [[1, 2, 3]]}),
        pickle.dumps(None),
    )
    return rng.choice(pickles)


def header_changed(content: bytes, rng: Random) -> bytes:
    """A safetensors file whose header lies."""
    length = int.from_bytes(content[:8], "little")
    if content[8:9] != b"{" or length > len(content):
        return number_changed(content, rng)
    header, rest = content[8 : 8 + length], content[8 + length :]
    change = rng.choice(("length", "shape", "dtype", "json", "offsets", "deep", "metadata"))
    if change == "length":
        return struct.pack("<Q", rng.choice((0, 1, 2**31, 2**63, 2**64 - 1, length + 7))) + header + rest
    if change == "shape":
        header = header.replace(
            b'"shape":[', rng.choice((b'"shape":[1000000000000,', b'"shape":[-1,', b'"shape":[0,')), 1
        )
    elif change == "dtype":
        header = header.replace(b'"F32"', rng.choice((b'"I64"', b'"F16"', b'"X"', b'"BOOL"')), rng.choice((1, 500)))
    elif change == "offsets":
        header = header.replace(b'"data_offsets":[', b'"data_offsets":[9', 1)
    elif change == "deep":
        header = b"[" * _DEEP
    elif change == "metadata":
        header = header.replace(b'"__metadata__":{', b'"__metadata__":{"config":"[","labels":"\\ud800",', 1)
    else:
        header = truncated(header, rng)
    return struct.pack("<Q", len(header)) + header + rest


ANY: Mapping[str, Mutation] = {
    function.__name__: function
    for function in (truncated, beheaded, flipped_bits, zeroed, swapped, repeated)
}  # fmt: skip
SURE: Mapping[str, Mutation] = {
    function.__name__: function
    for function in (empty, almost_nothing, noise, words, null_bytes, of_another_kind)
}  # fmt: skip
VIDEO: Mapping[str, Mutation] = {
    **ANY, "number_changed": number_changed, "box_changed": box_changed, "boxes_swapped": boxes_swapped,
}  # fmt: skip
PICKLE: Mapping[str, Mutation] = {
    **ANY, "archive_changed": archive_changed, "evil_pickle": evil_pickle, "header_changed": header_changed,
    "number_changed": number_changed,
}  # fmt: skip
BINARY: Mapping[str, Mutation] = {**ANY, "number_changed": number_changed}
