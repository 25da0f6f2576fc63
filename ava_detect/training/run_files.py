"""The output files of a training: in a local folder, or at an address (``s3://`` ...) by way of a scratch folder.

At an address every file is written atomically. ``last.pt``, the checkpoint to resume from, is uploaded after the files
that belong to it, so that a killed process leaves a set that can be resumed. Files that grow (the logs, TensorBoard's
events) are written to the scratch folder and uploaded whole with each checkpoint. While a store fails, the files wait
in the scratch folder and are uploaded with the next checkpoint.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from ava_detect.errors import ConfigError, StoreError
from ava_detect.storage.addresses import Address, address_of, is_address, without_secrets
from ava_detect.storage.object_store import Store
from ava_detect.storage.outputs import begins_with, check_output_folder
from ava_detect.storage.scratch import disk_full_as_store_error, scratch_folder

LAST, BEST, WEIGHTS = "last.pt", "best.pt", "model.safetensors"
STEPS, SCORES, EVENTS = "log.csv", "validation.csv", "tensorboard"
HELD_OUT, HELD_OUT_LABELS = "held_out.csv", "held_out.pbtxt"
_KEPT = "kept-"


class RunFiles:
    """The files of one training by their names, as one of its processes sees them; a context manager.

    Args:
        out: The output folder, or an address.

    Attributes:
        folder: The local folder that files are written to. For an address it is a scratch folder with the logs and the
            files that are not uploaded yet; it is removed at the end, unless such files are left.
    """

    def __init__(self, out: str | Path | Address) -> None:
        self._store = Store(address_of(out)) if is_address(out) else None
        self.folder = Path(str(out))
        self._scratch = ExitStack()
        self._pending: dict[str, None] = {}

    def __enter__(self) -> Self:
        if self._store is not None:
            self.folder = self._scratch.enter_context(scratch_folder(self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pending:
            names = self._pending_names()
            warnings.warn(f"{self}: {names} could not be put there; kept in {self._keep_pending()}", stacklevel=2)
        self._scratch.close()

    def __str__(self) -> str:
        return str(self._store.address if self._store else self.folder)

    def path_of(self, name: str) -> str:
        """Return the path or address of a file, for messages.

        Args:
            name: Name of the file.

        Returns:
            The path or address.
        """
        return str(self._store.address / name if self._store else self.folder / name)

    def exists(self, name: str) -> bool:
        """Return whether an earlier run wrote a file.

        Args:
            name: Name of the file.

        Returns:
            Whether it exists.

        Raises:
            ConfigError: The address cannot be read.
        """
        if self._store is None:
            return (self.folder / name).exists()
        with self._refusal_as_config_error("read from"):
            return self._store.exists(name)

    def check_free(self, inputs: Mapping[str, object], others: Sequence[str] = ()) -> None:
        """Refuse a local folder with files of other origin that the training would replace.

        Args:
            inputs: What the training reads, as ``check_output`` takes it.
            others: Names of files that this training writes and others do not.

        Raises:
            ConfigError: There is such a file, or the folder cannot be written to.
        """
        if self._store is None:
            names = (LAST, BEST, WEIGHTS, STEPS, SCORES, *others)
            # A training that ended before its first checkpoint has left its logs.
            check_output_folder(self.folder, names, inputs, is_own=begins_with(b"step,", b"epoch,"), overwrite=None)

    def fetch(self, name: str) -> Path | None:
        """Return a local path of a file that an earlier run wrote; from an address it is downloaded.

        Args:
            name: Name of the file.

        Returns:
            The path, or None if there is no such file.

        Raises:
            ConfigError: The address cannot be read.
        """
        path = self.folder / name
        if self._store is not None:
            with self._refusal_as_config_error("read from"), disk_full_as_store_error(self):
                self._store.fetch(name, path)
        return path if path.exists() else None

    def remove_copy(self, name: str) -> None:
        """Remove the local copy that ``fetch`` downloaded.

        Args:
            name: Name of the file.
        """
        if self._store is not None:
            (self.folder / name).unlink(missing_ok=True)

    def check_writable(self) -> None:
        """Upload the logs before the first step, to find out whether the address can be written to.

        Raises:
            ConfigError: It cannot.
        """
        if self._store is None:
            return
        with self._refusal_as_config_error("written to"):
            self._upload_all()

    def upload(self, *names: str) -> None:
        """Upload files of the folder and the logs; does nothing for a local folder.

        If the store fails, a warning is issued and the files wait for the next call.

        Args:
            *names: Names of the files.
        """
        if self._store is None:
            return
        self._pending |= dict.fromkeys(names)
        try:
            self._upload_all()
        except (StoreError, OSError) as error:
            warnings.warn(
                f"{self}: {self._pending_names()} could not be put there ({_reason(error)}); the training goes on, and "
                "they are uploaded with the next checkpoint",
                stacklevel=2,
            )

    def upload_remaining(self) -> None:
        """Upload the files that wait and the logs, at the end of the training.

        Raises:
            StoreError: A file could not be uploaded; the error names the local folder that keeps it.
        """
        if self._store is None:
            return
        try:
            self._upload_all()
        except (StoreError, OSError) as error:
            names = self._pending_names()
            kept = self._keep_pending()
            raise StoreError(
                f"{self}: {names} could not be put there ({_reason(error)}); the training is done, and what is missing "
                f"is kept in {kept}"
            ) from None

    @contextmanager
    def _refusal_as_config_error(self, what: str) -> Iterator[None]:
        """Turn a refusal of the store, such as a denied access, into a ``ConfigError``."""
        try:
            yield
        except (OSError, NotImplementedError) as error:
            raise ConfigError(
                f"`out` {self} cannot be {what} ({_reason(error)}); check its name and your keys, or choose another"
            ) from None

    def _pending_names(self) -> str:
        return ", ".join(self._pending) or "the logs"

    def _keep_pending(self) -> Path:
        """Rename the scratch folder, so that it is not removed at the end; returns the new path."""
        self._pending.clear()
        return self.folder.rename(self.folder.with_name(f"{_KEPT}{self.folder.name}"))

    def _upload_all(self) -> None:
        assert self._store is not None
        for name in (STEPS, SCORES, *self._event_files()):
            if (self.folder / name).exists():
                self._store.put_file(self.folder / name, name)
        # LAST goes last: the checkpoint to resume from must not be newer than the files that belong to it.
        for name in sorted(self._pending, key=lambda name: name == LAST):
            self._store.put_file(self.folder / name, name)
            (self.folder / name).unlink()
            del self._pending[name]

    def _event_files(self) -> list[str]:
        folder = self.folder / EVENTS
        return [f"{EVENTS}/{path.name}" for path in sorted(folder.iterdir())] if folder.is_dir() else []


def _reason(error: Exception) -> str:
    return without_secrets(str(error)) or type(error).__name__
