"""One directory of a store, entry by entry: of a million objects under one prefix only a page is held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fsspec import AbstractFileSystem

from ava_detect.patience import patiently

_KEYS_PER_PAGE = 1000  # the most that S3 sends


def directory(files: AbstractFileSystem, place: str) -> Iterator[Mapping[str, Any]]:
    """The entries of a directory as fsspec shows them (``name``, ``type``, when it changed), the files in the order of
    their names.

    Stores that s3fs opens send them page by page; of others a directory is listed in one.
    """
    bucket = place.partition("/")[0]
    # What S3 calls a directory bucket ("--x-s3") lists in no order.
    if hasattr(files, "call_s3") and bucket and not bucket.endswith("--x-s3"):
        yield from _pages(files, place)
    else:
        yield from sorted(patiently(lambda: files.ls(place, detail=True), place), key=lambda info: str(info["name"]))


def _pages(files: Any, place: str) -> Iterator[Mapping[str, Any]]:
    bucket, key, _ = files.split_path(place)
    request = {"Bucket": bucket, "Delimiter": "/", "MaxKeys": _KEYS_PER_PAGE, **files.req_kw}
    prefix = f"{key}/" if key else ""
    while True:
        page = patiently(lambda: files.call_s3("list_objects_v2", Prefix=prefix, **request), place)
        for entry in page.get("Contents", []):
            if entry["Key"] != prefix:  # the mark that some tools leave for a folder
                yield {**entry, "name": f"{bucket}/{entry['Key']}", "type": "file"}
        for entry in page.get("CommonPrefixes", []):
            yield {"name": f"{bucket}/{entry['Prefix'].rstrip('/')}", "type": "directory"}
        if not page.get("IsTruncated"):
            return
        request["ContinuationToken"] = page["NextContinuationToken"]
