"""Where a training leaves its files: a folder of this machine, or an address (``s3://`` ...) by way of one.

At an address every file appears whole or not at all, and ``last.pt``, which says how far the training is, as the last
one: whoever is killed in between leaves a set that a resumed training goes on from. Files that grow (the logs,
TensorBoard's events) are written to the folder and put there anew at each checkpoint. A store that fails for a while
costs nothing but lateness: what could not be put there is kept, and goes with the next checkpoint.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from ava_detect.errors import ConfigError, StoreError
from ava_detect.storage.addresses import Address, address_of, is_address, without_secrets
from ava_detect.storage.object_store import Store
from ava_detect.storage.scratch import room_for, scratch_folder

LAST, BEST, WEIGHTS = "last.pt", "best.pt", "model.safetensors"
STEPS, SCORES, EVENTS = "log.csv", "validation.csv", "tensorboard"
_KEPT = "kept-"


class RunFiles:
    """The files of one training by their names, in one of its processes; a context manager.

    ``folder``: where they are written on this machine. For an address this is a scratch folder, which holds the logs
    and what was not put in place yet; it is removed at the end, unless it holds what is nowhere else.
    """

    def __init__(self, out: str | Path | Address) -> None:
        self._store = Store(address_of(out)) if is_address(out) else None
        self.folder = Path(str(out))
        self._scratch = ExitStack()
        self._waiting: dict[str, None] = {}

    def __enter__(self) -> Self:
        if self._store is not None:
            self.folder = self._scratch.enter_context(scratch_folder(self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._waiting:
            late = self._late()
            warnings.warn(f"{self}: {late} could not be put there; it is kept in {self._keep()}", stacklevel=2)
        self._scratch.close()

    def __str__(self) -> str:
        return str(self._store.address if self._store else self.folder)

    def where(self, name: str) -> str:
        """Where a file is, for people."""
        return str(self._store.address / name if self._store else self.folder / name)

    def is_there(self, name: str) -> bool:
        """Whether an earlier run has left such a file."""
        if self._store is None:
            return (self.folder / name).exists()
        with self._refused("read from"):
            return self._store.is_there(name)

    def fetch(self, name: str) -> Path | None:
        """A file that an earlier run has left, on this machine; None where there is none."""
        path = self.folder / name
        if self._store is not None:
            with self._refused("read from"), room_for(self):
                self._store.fetch(name, path)
        return path if path.exists() else None

    def forget(self, name: str) -> None:
        """Remove the copy that ``fetch`` made."""
        if self._store is not None:
            (self.folder / name).unlink(missing_ok=True)

    def begin(self) -> None:
        """See that files can be put here, before anything is learnt. ``ConfigError`` where they cannot."""
        if self._store is None:
            return
        with self._refused("written to"):
            self._put_all()

    def publish(self, *names: str) -> None:
        """Have these files of the folder, and the logs, in place. Where the store fails a warning says so, and they
        wait for the next time.
        """
        if self._store is None:
            return
        self._waiting |= dict.fromkeys(names)
        try:
            self._put_all()
        except (StoreError, OSError) as error:
            warnings.warn(
                f"{self}: {self._late()} could not be put there ({_reason(error)}); the training goes on, and the next "
                "checkpoint takes them along",
                stacklevel=2,
            )

    def finish(self) -> None:
        """Have everything in place; ``StoreError`` names what is not, and where it is kept."""
        if self._store is None:
            return
        try:
            self._put_all()
        except (StoreError, OSError) as error:
            late = self._late()
            kept = self._keep()
            raise StoreError(
                f"{self}: {late} could not be put there ({_reason(error)}); the training is done, and what is missing "
                f"is kept in {kept}"
            ) from None

    @contextmanager
    def _refused(self, what: str) -> Iterator[None]:
        """``ConfigError`` where the store says no."""
        try:
            yield
        except (OSError, NotImplementedError) as error:
            raise ConfigError(
                f"`out` {self} cannot be {what} ({_reason(error)}); check its name and your keys, or choose another"
            ) from None

    def _late(self) -> str:
        return ", ".join(self._waiting) or "the logs"

    def _keep(self) -> Path:
        """Move what is nowhere else out of the scratch folder."""
        self._waiting.clear()
        return self.folder.rename(self.folder.with_name(f"{_KEPT}{self.folder.name}"))

    def _put_all(self) -> None:
        assert self._store is not None
        for name in (STEPS, SCORES, *self._events()):
            if (self.folder / name).exists():
                self._store.put_file(self.folder / name, name)
        # The checkpoint to go on from is worth something only beside the others of its time.
        for name in sorted(self._waiting, key=lambda name: name == LAST):
            self._store.put_file(self.folder / name, name)
            (self.folder / name).unlink()
            del self._waiting[name]

    def _events(self) -> list[str]:
        folder = self.folder / EVENTS
        return [f"{EVENTS}/{path.name}" for path in sorted(folder.iterdir())] if folder.is_dir() else []


def _reason(error: Exception) -> str:
    return without_secrets(str(error)) or type(error).__name__
