"""The table of public AVA, Kinetics and Charades checkpoints that this package can run; see ``zoo.py``.

Quoted from PySlowFast's MODEL_ZOO.md (287ec007) and pytorchvideo's docs/source/model_zoo.md (f3142bb).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath

# Both projects put their code under this licence; their zoo pages state none for the weights alone.
_LICENCE = "Apache-2.0"
_PYSLOWFAST = "https://dl.fbaipublicfiles.com/pyslowfast"
_PYTORCHVIDEO = "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo"
_PYSLOWFAST_PAGE = "PySlowFast MODEL_ZOO.md"
_PYTORCHVIDEO_PAGE = "pytorchvideo model_zoo.md"


@dataclass(frozen=True)
class ZooEntry:
    """One published checkpoint.

    Attributes:
        name: Its name in this package.
        config: Name in ``configs/`` of its network; for a ``..._start``, of the network whose training starts from it.
        layout: Family of its tensor names according to its page; loading recognises the family by itself.
        data: Dataset that it was trained on.
        pretrained_on: Dataset of the weights that its training started from; empty for none.
        metric: Name of the published figure.
        published: The figure that its authors report, in percent; None where they report none.
        source: Page that the figure is quoted from.
        address: URL of the file.
        licence: Licence of the authors' code.
        sha256: Published hash of the file; None where none is published.
        about_megabytes: Size of the network's tensors in float32, in 10^6 bytes. No file sizes are published; a file
            that also holds the optimiser's state is larger.
        recommended_for: The device whose users get this checkpoint when they name none: ``"cpu"``, ``"cuda"`` or empty.
        reason: Why it is the recommended one; empty for the others.
    """

    name: str
    config: str
    layout: str
    data: str
    pretrained_on: str
    metric: str
    published: float | None
    source: str
    address: str
    licence: str = _LICENCE
    sha256: str | None = None
    about_megabytes: int = 0
    recommended_for: str = ""
    reason: str = ""


# Megabytes of each config's tensors in float32; tests/models/test_zoo.py computes them from the networks.
_MEGABYTES = {
    "charades_slowfast_r50_16x8": 136,
    "kinetics_slow_r50_4x16": 130,
    "kinetics_slow_r50_8x8": 130,
    "kinetics_slowfast_r50_4x16": 138,
    "kinetics_slowfast_r50_8x8": 139,
    "kinetics_slowfast_r50_8x8_ptv": 139,
    "kinetics_slowfast_r101_8x8_ptv": 252,
    "kinetics_slowfast_r101_16x8_ptv": 216,
    "slow_r50_4x16_c2": 127,
    "slowfast_r50_32x2_c2": 136,
    "slowfast_r101_nl_32x2": 238,
    "slowfast_r101_nl_64x2": 238,
}
DEVICES = {"cpu": "CPUs", "cuda": "GPUs"}
# Device -> name and reason; the device is the one that ``device="auto"`` resolves to.
_RECOMMENDED = {
    "cpu": (
        "slowfast_r50_32x2_ava22_ptv",
        "of the networks with ResNet-50, which a CPU runs in reasonable time, the one with the best published figure",
    ),
    "cuda": (
        "slowfast_r101_nl_32x2_ava22",
        "0.3 below the best published figure here, which takes clips of twice as many frames",
    ),
}


def _pyslowfast(
    name: str, config: str, layout: str, file: str, data: str, published: float | None, pretrained_on: str = ""
) -> ZooEntry:
    address = f"{_PYSLOWFAST}/{file}"
    return ZooEntry(name, config, layout, data, pretrained_on, _metric(data), published, _PYSLOWFAST_PAGE, address)


def _pytorchvideo(name: str, config: str, file: str, data: str, published: float, pretrained_on: str = "") -> ZooEntry:
    address = f"{_PYTORCHVIDEO}/{file}"
    return ZooEntry(
        name, config, "pytorchvideo", data, pretrained_on, _metric(data), published, _PYTORCHVIDEO_PAGE, address
    )


def _metric(data: str) -> str:
    if data.startswith("AVA"):
        return "frame-mAP"
    return "mAP" if data == "Charades" else "top-1, 30 views"


_ENTRIES = (
    # AVA, PySlowFast.
    _pyslowfast(
        "slow_r50_4x16_ava22", "slow_r50_4x16_c2", "caffe2", "model_zoo/ava/C2D_8x8_R50.pkl", "AVA 2.2", 19.5, "K400"
    ),
    _pyslowfast(
        "slowfast_r101_nl_32x2_ava21",
        "slowfast_r101_nl_32x2",
        "caffe2",
        "model_zoo/ava/SLOWFAST_32x2_R101_50_50_v2.1.pkl",
        "AVA 2.1",
        28.2,
        "K600",
    ),
    _pyslowfast(
        "slowfast_r101_nl_32x2_ava22",
        "slowfast_r101_nl_32x2",
        "pyslowfast",
        "model_zoo/ava/SLOWFAST_32x2_R101_50_50.pkl",
        "AVA 2.2",
        29.1,
        "K600",
    ),
    _pyslowfast(
        "slowfast_r101_nl_64x2_ava22",
        "slowfast_r101_nl_64x2",
        "caffe2",
        "model_zoo/ava/SLOWFAST_64x2_R101_50_50.pkl",
        "AVA 2.2",
        29.4,
        "K600",
    ),
    # AVA, pytorchvideo.
    _pytorchvideo(
        "slow_r50_4x16_ava22_ptv", "slow_r50_4x16_c2", "ava/SLOW_4x16_R50_DETECTION.pyth", "AVA 2.2", 19.5, "K400"
    ),
    _pytorchvideo(
        "slowfast_r50_32x2_ava22_ptv",
        "slowfast_r50_32x2_c2",
        "ava/SLOWFAST_8x8_R50_DETECTION.pyth",
        "AVA 2.2",
        24.67,
        "K400",
    ),
    # Kinetics classifiers that the training of PySlowFast's AVA models started from; no accuracy is published.
    _pyslowfast(
        "slow_r50_4x16_ava22_start",
        "slow_r50_4x16_c2",
        "caffe2",
        "model_zoo/ava/pretrain/C2D_8x8_R50.pkl",
        "K400",
        None,
    ),
    _pyslowfast(
        "slowfast_r101_nl_32x2_ava21_start",
        "slowfast_r101_nl_32x2",
        "caffe2",
        "model_zoo/ava/pretrain/SLOWFAST_32x2_R101_50_50_v2.1.pkl",
        "K600",
        None,
    ),
    _pyslowfast(
        "slowfast_r101_nl_32x2_ava22_start",
        "slowfast_r101_nl_32x2",
        "caffe2",
        "model_zoo/ava/pretrain/SLOWFAST_32x2_R101_50_50.pkl",
        "K600",
        None,
    ),
    _pyslowfast(
        "slowfast_r101_nl_64x2_ava22_start",
        "slowfast_r101_nl_64x2",
        "caffe2",
        "model_zoo/ava/pretrain/SLOWFAST_64x2_R101_50_50.pkl",
        "K600",
        None,
    ),
    # Kinetics and Charades, PySlowFast.
    _pyslowfast(
        "slow_r50_4x16_k400",
        "kinetics_slow_r50_4x16",
        "caffe2",
        "model_zoo/kinetics400/SLOWONLY_4x16_R50.pkl",
        "K400",
        72.7,
    ),
    _pyslowfast(
        "slow_r50_8x8_k400",
        "kinetics_slow_r50_8x8",
        "caffe2",
        "model_zoo/kinetics400/SLOWONLY_8x8_R50.pkl",
        "K400",
        74.8,
    ),
    _pyslowfast(
        "slowfast_r50_4x16_k400",
        "kinetics_slowfast_r50_4x16",
        "caffe2",
        "model_zoo/kinetics400/SLOWFAST_4x16_R50.pkl",
        "K400",
        75.6,
    ),
    _pyslowfast(
        "slowfast_r50_8x8_k400",
        "kinetics_slowfast_r50_8x8",
        "caffe2",
        "model_zoo/kinetics400/SLOWFAST_8x8_R50.pkl",
        "K400",
        77.0,
    ),
    _pyslowfast(
        "slowfast_r50_16x8_charades",
        "charades_slowfast_r50_16x8",
        "pyslowfast",
        "pyslowfast/model_zoo/multigrid/model_zoo/Charades/SLOWFAST_16x8_R50.pkl",
        "Charades",
        38.9,
        "K400",
    ),
    # Kinetics, pytorchvideo.
    _pytorchvideo("slow_r50_4x16_k400_ptv", "kinetics_slow_r50_4x16", "kinetics/SLOW_4x16_R50.pyth", "K400", 72.4),
    _pytorchvideo("slow_r50_8x8_k400_ptv", "kinetics_slow_r50_8x8", "kinetics/SLOW_8x8_R50.pyth", "K400", 74.58),
    _pytorchvideo(
        "slowfast_r50_4x16_k400_ptv", "kinetics_slowfast_r50_4x16", "kinetics/SLOWFAST_4x16_R50.pyth", "K400", 75.34
    ),
    _pytorchvideo(
        "slowfast_r50_8x8_k400_ptv", "kinetics_slowfast_r50_8x8_ptv", "kinetics/SLOWFAST_8x8_R50.pyth", "K400", 76.94
    ),
    _pytorchvideo(
        "slowfast_r101_8x8_k400_ptv", "kinetics_slowfast_r101_8x8_ptv", "kinetics/SLOWFAST_8x8_R101.pyth", "K400", 77.9
    ),
    _pytorchvideo(
        "slowfast_r101_16x8_k400_ptv",
        "kinetics_slowfast_r101_16x8_ptv",
        "kinetics/SLOWFAST_16x8_R101_50_50.pyth",
        "K400",
        78.7,
    ),
)


def _completed(entry: ZooEntry) -> ZooEntry:
    """The entry with its size, and with the device and reason of a recommended one."""
    entry = replace(entry, about_megabytes=_MEGABYTES[entry.config])
    for device, (name, reason) in _RECOMMENDED.items():
        if entry.name == name:
            entry = replace(entry, recommended_for=device, reason=reason)
    return entry


ZOO = {entry.name: _completed(entry) for entry in _ENTRIES}

# Beginnings of the names of published files that the table does not hold -> their config. Several share a network.
_OTHER_FILES = {
    "slowfast_kinetics400-pretrained-r50_8xb16-4x16x1-20e_ava21-rgb": "mmaction2_slowfast_r50_4x16",
    "slowfast_kinetics400-pretrained-r50-context_8xb16-4x16x1-20e_ava21-rgb": "mmaction2_slowfast_r50_4x16_context",
    "slowfast_kinetics400-pretrained-r50_8xb8-8x8x1-20e_ava21-rgb": "mmaction2_slowfast_r50_8x8",
    "slowfast_kinetics400-pretrained-r50_8xb6-8x8x1-cosine-10e_ava22-rgb": "mmaction2_slowfast_r50_8x8",
    "slowfast_kinetics400-pretrained-r50-temporal-max_8xb6-8x8x1-cosine-10e_ava22-rgb": (
        "mmaction2_slowfast_r50_8x8_temporal_max"
    ),
    "SLOWFAST_32x2_R50_SHORT": "slowfast_r50_32x2",
    "SLOW_8x8_R50_SHORT": "slow_r50_4x16",
}


def recommended_for(device: str) -> ZooEntry:
    """Return the recommended checkpoint for a device.

    Args:
        device: ``"cpu"`` or ``"cuda"``.

    Returns:
        The entry.
    """
    return ZOO[_RECOMMENDED[device][0]]


def configs_of_file_name(name: str) -> frozenset[str]:
    """Return the configs of the published files that are called so.

    Args:
        name: Name of a weights file: as it is published, or as it is called in the cache.

    Returns:
        Names in ``configs/``; several where files of different networks have the same name, none for an unknown name.
    """
    stem = PurePosixPath(name).stem
    names = {stem, name}
    listed = {
        entry.config
        for entry in ZOO.values()
        if not entry.name.endswith("_start") and names & {entry.name, PurePosixPath(entry.address).name}
    }
    return frozenset(listed | {config for start, config in _OTHER_FILES.items() if stem.startswith(start)})
