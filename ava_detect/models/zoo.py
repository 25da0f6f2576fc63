"""Public checkpoints by name: the local file of weights that are named, and what is said about them.

The table of addresses and quoted figures is ``zoo_table.py``; ``zoo_choice.py`` chooses from it, ``zoo_download.py``
fills the cache.
"""

from __future__ import annotations

from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from ava_detect.errors import WeightsError, shown, suggestion
from ava_detect.models.file_kind import container_of
from ava_detect.models.zoo_download import DownloadError, cached_path, obtain
from ava_detect.models.zoo_table import ZOO, ZooEntry, runnable
from ava_detect.storage.addresses import Address, is_address
from ava_detect.storage.cache import cached_copy
from ava_detect.structures.progress import OnProgress

# Weights in the package, trained on the synthetic world; the folder also has the log of the training.
SHIPPED = {"demo": Path(__file__).parent / "shipped" / "demo.safetensors"}
RANDOM_WEIGHTS = "random"  # instead of a weights file: the network as ``build_model`` returns it
UNTRAINED_NOTE = "untrained network (random weights): the action scores mean nothing"
DEMO_NOTE = "demo weights, trained on rendered figures: the action scores mean nothing on real people"

# As weights files are usually called; any other name is taken as well.
WEIGHTS_SUFFIXES = (".pyth", ".pth", ".pt", ".pkl", ".safetensors", ".ckpt", ".bin")
_MAX_LISTED = 2000  # files of a folder, in search of a similar name


def find_entry(name: str) -> ZooEntry:
    """Return the zoo's entry of a checkpoint that is to be used.

    Args:
        name: Name of a checkpoint.

    Returns:
        The entry.

    Raises:
        WeightsError: The zoo has no such name; the message suggests the nearest one. Or its network is not in this
            package.
    """
    entry = listed_entry(name)
    if entry.not_runnable:
        raise WeightsError(
            f"{name} ({entry.figure}, {entry.source}) is not runnable here: {entry.not_runnable}; `ava-detect weights "
            "recommend` names one that is"
        )
    return entry


def listed_entry(name: str) -> ZooEntry:
    """Return the zoo's entry of that name, whether or not this package can run it.

    Args:
        name: Name of a checkpoint.

    Returns:
        The entry.

    Raises:
        WeightsError: The zoo has no such name; the message suggests the nearest one.
    """
    if name in ZOO:
        return ZOO[name]
    if name in SHIPPED:
        raise WeightsError(f"{name!r} come with the package, in {SHIPPED[name]}: they have no row in the zoo")
    if name == RANDOM_WEIGHTS:
        raise WeightsError(
            f"{name!r} stands for the network as `build_model` returns it, and no file; give a weights file or a name "
            "of the zoo"
        )
    path = Path(name)
    if path.is_dir():
        container_of(path)  # which refuses a folder
    names = [*(entry.name for entry in runnable()), *SHIPPED, RANDOM_WEIGHTS]
    hint = suggestion(name, names) or suggestion(name, map(str, _files_near(path)))
    if len(path.parts) > 1 or path.suffix in WEIGHTS_SUFFIXES:
        raise WeightsError(f"{shown(name)}: there is no such weights file{hint}")
    raise WeightsError(
        f"no weights file and no weights of the zoo are called {shown(name)!r}{hint}; ava-detect weights list shows "
        "the names"
    )


def _files_near(path: Path) -> list[Path]:
    """The weights files in the folder of a missing path, or in the folder whose name is nearest to a missing one."""
    folder = path.parent
    try:
        if not folder.is_dir():
            others = [str(other) for other in islice(folder.parent.iterdir(), _MAX_LISTED) if other.is_dir()]
            near = get_close_matches(str(folder), others, n=1)
            folder = Path(near[0]) if near else folder
        files = islice(folder.iterdir(), _MAX_LISTED)
        return [file for file in files if file.suffix in WEIGHTS_SUFFIXES and file.is_file()]
    except (OSError, ValueError):  # no folder, or one that cannot be listed; a ValueError for a NUL
        return []


def resolve(name_or_path: str | Path, on_progress: OnProgress | None = None) -> Path:
    """Return the local path of weights, downloading them into the cache if they are not there.

    Args:
        name_or_path: An existing path (returned unchanged), an address, the name of weights in the package
            (``SHIPPED``), or a name of the zoo.
        on_progress: Called with the number of bytes while a download runs.

    Returns:
        A local path.

    Raises:
        WeightsError: The name is unknown, the file cannot be downloaded, its hash differs from the known one, or its
            first bytes are not those of a weights file.
        AvaDetectError: The file at an address cannot be read.
    """
    if is_file(name_or_path) or is_address(name_or_path):
        is_local = is_file(name_or_path)
        path = (
            SHIPPED.get(str(name_or_path), Path(name_or_path)) if is_local else cached_copy(Address(str(name_or_path)))
        )
        container_of(path)
        return path
    return obtain(find_entry(str(name_or_path)), on_progress)


def weights_file(weights: str | Path | None, on_progress: OnProgress | None = None) -> Path | None:
    """Return the local path of the weights of a network that is to run.

    Args:
        weights: As for ``resolve``; ``"random"`` or None for an untrained network.
        on_progress: As for ``resolve``.

    Returns:
        A local path; None for an untrained network.

    Raises:
        DownloadError: They cannot be downloaded; the message says what can be done instead.
        WeightsError: As for ``resolve``.
        AvaDetectError: As for ``resolve``.
    """
    if weights is None or str(weights) == RANDOM_WEIGHTS:
        return None
    try:
        return resolve(weights, on_progress)
    except DownloadError as error:
        raise DownloadError(
            f"{error}, or give it as `weights=FILE`; `weights=demo`, and the command `ava-detect demo`, show the "
            "software without a download"
        ) from error


def is_file(name_or_path: str | Path) -> bool:
    """Return whether the weights are local: an existing path, or the name of weights in the package.

    Args:
        name_or_path: A path, an address or a name.

    Returns:
        True if no download is needed.
    """
    return str(name_or_path) in SHIPPED or Path(name_or_path).is_file()


def describe(entry: ZooEntry) -> str:
    """Describe a checkpoint before it is used: figure, size, licences and origin.

    Args:
        entry: The checkpoint.

    Returns:
        A part of a sentence.
    """
    path = cached_path(entry)
    place = f"in the cache: {path}" if path.is_file() else f"downloaded once into {path.parent}"
    return (
        f"{entry.figure}{' ' * bool(entry.figure)}(quoted from {entry.source}, not measured here), about "
        f"{entry.about_megabytes} MB, {entry.licences}, from {entry.address}, {place}"
    )


def note_on_weights(weights: str | Path | None) -> str:
    """Return the warning that every output of these weights must contain.

    Args:
        weights: A weights file or ``"random"``.

    Returns:
        One sentence, or an empty string where no warning applies.
    """
    return {RANDOM_WEIGHTS: UNTRAINED_NOTE, str(SHIPPED["demo"]): DEMO_NOTE}.get(str(weights), "")
