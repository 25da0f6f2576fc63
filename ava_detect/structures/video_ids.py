"""Ids of videos, which are often names of files: the same letters count as the same id.

Unicode writes an accented letter composed (NFC, as most keyboards and csv files do) or as a letter and its accent (NFD,
as macOS and archives made there do). Both look alike and name the same video, so ids are compared composed. They are
written as they were given.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any, TypeVar, overload

T = TypeVar("T")
D = TypeVar("D")


def composed(video_id: str) -> str:
    """Return the form of an id in which ids are compared.

    Args:
        video_id: An id, or the name of a file.

    Returns:
        The id in Unicode's composed form (NFC).
    """
    return video_id if video_id.isascii() else unicodedata.normalize("NFC", video_id)


class ByVideoId(dict[str, T]):
    """A dictionary by video id, in which the composed and the decomposed form of an id are the same key.

    Its keys are in composed form.

    Args:
        items: Pairs of id and value; a later pair replaces an earlier one of the same id.
    """

    def __init__(self, items: Iterable[tuple[str, T]] = ()) -> None:
        super().__init__()
        for video_id, value in items:
            self[video_id] = value

    def __setitem__(self, video_id: str, value: T) -> None:
        super().__setitem__(composed(video_id), value)

    def __getitem__(self, video_id: str) -> T:
        return super().__getitem__(composed(video_id))

    def __contains__(self, video_id: object) -> bool:
        return isinstance(video_id, str) and super().__contains__(composed(video_id))

    def setdefault(self, video_id: str, default: T) -> T:
        """Return the value of an id; set it first if there is none.

        Args:
            video_id: The id.
            default: The value to set.

        Returns:
            The value.
        """
        return super().setdefault(composed(video_id), default)

    @overload
    def get(self, video_id: str, default: None = None, /) -> T | None: ...
    @overload
    def get(self, video_id: str, default: T, /) -> T: ...
    @overload
    def get(self, video_id: str, default: D, /) -> T | D: ...
    def get(self, video_id: str, default: Any = None, /) -> Any:
        """Return the value of an id.

        Args:
            video_id: The id.
            default: What to return if there is none.

        Returns:
            The value, or ``default``.
        """
        return super().get(composed(video_id), default)
