from __future__ import annotations

import fsspec
import pytest

from ava_detect.errors import ConfigError, MissingDependencyError, StoreError
from ava_detect.storage import retry
from ava_detect.storage.addresses import Address, address_of, is_address, without_secrets
from ava_detect.storage.retry import with_retries


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://b/a.mp4", True),
        ("FILE:///a", True),
        ("a/b.mp4", False),
        ("C:\\a.mp4", False),
        ("http:/a", False),
        (3, False),
    ],
)
def test_what_is_an_address(text, expected):
    assert is_address(text) is expected


def test_an_address_shows_no_user_password_or_signature():
    address = Address("https://joe:hunter2@host/a/b.c.mp4?X-Amz-Signature=abc&id=3#top")
    assert str(address) == "https://host/a/b.c.mp4?..."
    assert repr(address) == "Address('https://host/a/b.c.mp4?...')"
    assert "hunter2" not in f"{[address]}"
    assert (address.name, address.stem, address.suffix) == ("b.c.mp4", "b.c", ".mp4")
    assert address.identity == "https://host/a/b.c.mp4?id=3"


def test_in_a_bucket_every_letter_is_the_names():
    address = Address("s3://bucket/what?#1.mp4")
    assert str(address) == address.identity == "s3://bucket/what?#1.mp4"
    assert address.stem == "what?#1"
    assert Address("s3://key:secret@bucket/a.mp4").identity == "s3://bucket/a.mp4"


def test_secrets_are_cut_out_of_what_libraries_say(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "abcdefgh12345")
    monkeypatch.setenv("SOME_TOKEN", "short")
    monkeypatch.setitem(
        fsspec.config.conf, "s3", {"client_kwargs": {"password": "from the file"}, "key": "AKIA1234567"}
    )
    said = "403 for https://u:p@host/a?sig=1, signed 'abcdefgh12345' with AKIA1234567, from the file, short"
    assert without_secrets(said) == "403 for https://host/a?..., signed '***' with ***, ***, short"
    twice = without_secrets(without_secrets("https://host/a.mp4?sig=abc: full (https://host/b#c), try again"))
    assert twice == "https://host/a.mp4?...: full (https://host/b?...), try again"


def test_a_path_is_an_address_too(tmp_path):
    assert address_of(tmp_path / "a b").url == f"file://{tmp_path}/a b"
    assert address_of("s3://b") == Address("s3://b")
    files, path = address_of(tmp_path / "a b").open()
    assert (files.protocol, path) == (("file", "local"), f"{tmp_path}/a b")


def test_addresses_that_nothing_opens(monkeypatch):
    with pytest.raises(ConfigError, match="foo://bar: Protocol not known: foo"):
        Address("foo://bar").open()

    def missing(*args, **more):
        raise ImportError("no such module")

    monkeypatch.setattr(fsspec, "url_to_fs", missing)
    with pytest.raises(
        MissingDependencyError, match=r"s3://b: the package for s3:// is not installed \(.*pip install s3fs\)"
    ):
        Address("s3://b").open()


def test_retries_end_with_the_reason_and_permanent_errors_are_not_retried(monkeypatch):
    waits = []
    monkeypatch.setattr(retry.time, "sleep", waits.append)
    answers = iter([OSError("503"), TimeoutError("slow"), "there"])

    def attempt():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert with_retries(attempt, "s3://b") == "there"
    assert len(waits) == 2

    def silent():
        raise OSError("503 for https://host/a?sig=secret")

    with pytest.raises(
        StoreError, match=r"s3://b: the store did not answer in 6 tries \(OSError: 503 for https://host/a\?"
    ):
        with_retries(silent, "s3://b")
    assert len(waits) == 2 + 5
    assert all(0.1 <= wait <= 10 for wait in waits)

    def gone():
        raise FileNotFoundError("a")

    with pytest.raises(FileNotFoundError):
        with_retries(gone, "s3://b")
    assert len(waits) == 7


def test_a_store_without_keys_is_not_asked_again():
    class NoCredentialsError(Exception):
        """As botocore's is called, which need not be installed."""

    asked = []

    def attempt():
        asked.append(1)
        raise NoCredentialsError("Unable to locate credentials")

    with pytest.raises(
        StoreError, match=r"^s3://b: NoCredentialsError: .*; give keys where the store's own tools look"
    ):
        with_retries(attempt, "s3://b")
    assert len(asked) == 1
