"""Recognise a weights file by its first bytes, without PyTorch: what is no weights file is refused before that loads.

The suffix is not used: several ``.pkl`` files of PySlowFast's zoo are torch files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ava_detect.errors import WeightsError, shown

Container = Literal["torch", "torch (old format)", "safetensors", "caffe2"]
# The first pickle of torch's older format, of any protocol, is this magic number.
_LEGACY_MAGIC = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
_OTHER_KINDS = {
    b"<": "a web page (often a login or an error page)",
    b"version https://git-lfs": "a Git LFS pointer, not the file it points to",
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"BZh": "a bzip2 archive; unpack it first",
    b"\xfd7zXZ": "an xz archive; unpack it first",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
    b"\x89HDF": "an HDF5 file",
    b"{": "JSON text",
}


def container_of(path: str | Path) -> Container:
    """Recognise the container of a weights file.

    Args:
        path: The file.

    Returns:
        What the first bytes say; the rest of the file may still be damaged.

    Raises:
        WeightsError: There is no such file, or it is of another kind, which the message names.
    """
    path = Path(path)
    if path.is_dir():
        raise WeightsError(f"{path} is a folder; give the weights file in it")
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such weights file")
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({shown(error.strerror or error)})") from error
    if not head:
        raise WeightsError(f"{path} is empty; download it again")
    if head.startswith(b"PK\x03\x04"):
        return "torch"
    if head.startswith(b"\x80") and _LEGACY_MAGIC in head:
        return "torch (old format)"
    if head[8:9] == b"{":
        return "safetensors"
    if head[:1] in (b"\x80", b"(", b"}"):
        return "caffe2"
    raise WeightsError(
        f"{path} is not a weights file: it is {_describe(head)}; give a checkpoint of torch.save (.pyth, .pth), "
        "a caffe2 .pkl or a .safetensors file"
    )


def _describe(head: bytes) -> str:
    """The kind of a file that is not a weights file, by its first bytes, for a message."""
    for start, what in _OTHER_KINDS.items():
        if head.lstrip().lower().startswith(start) or head.startswith(start):
            return what
    return "of an unknown kind (it begins with " + repr(head[:8]) + ")"
