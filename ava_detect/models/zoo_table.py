"""The table of public AVA, Kinetics and Charades checkpoints, read from ``zoo_data/`` without PyTorch.

- ``weights.tsv``: a row per checkpoint. Those whose network this package cannot build are in it too, with the reason.
- ``publishers.tsv``: the page, the licences and the evaluator of those who published them.
- ``costs.tsv``: what the network of each detection config costs, written by ``tools/benchmark_configs.py``.

Quoted from PySlowFast's MODEL_ZOO.md (287ec007), pytorchvideo's docs/source/model_zoo.md (f3142bb), mmaction2's
configs/detection/*/README.md (4d6c934), unmasked_teacher's single_modality/action_detection/README.md (4fb4049),
VideoMAE-Action-Detection's MODEL_ZOO.md (15615db), MeMViT's README.md (20a24f0) and TubeR's README.md (f610c97).
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

DATA = Path(__file__).parent / "zoo_data"
NONE_STATED = "none stated"
_AVA_KINETICS, _MULTISPORTS = "AVA-Kinetics", "MultiSports"
# Whose frame-mAP a figure is; the same detections differ by up to 2 points between them (docs/evaluation.md).
EVALUATORS = {
    "pyslowfast": "PySlowFast's evaluator",
    "mmaction2": "mmaction2's evaluator, where classes without a detection leave the mean",
    "alphaction": "AlphAction's copy of PySlowFast's evaluator, with the person's score multiplied into each score",
    "tuber": "TubeR's own evaluator",
    "multisports": "mmaction2's copy of MultiSports' evaluator",
    "not stated": "an evaluator that its page does not name",
}
# At the end of mmaction2's file names: the date, and the first 8 digits of the file's SHA-256.
_DATE_AND_HASH = re.compile(r"_\d{8}-([0-9a-f]{8})$")
_CLIP = re.compile(r"(\d+)x(\d+)(?:@(\d+))?")

Use = Literal["yes", "no", "unclear"]


@dataclass(frozen=True)
class ZooEntry:
    """One published checkpoint.

    Attributes:
        name: Its name in this package.
        config: Name in ``configs/`` of its network; for a ``..._start``, of the network whose training starts from it.
            Empty where the network is not in this package.
        layout: Family of its tensor names according to its page; loading recognises the family by itself.
        data: Dataset that it was trained on.
        pretrained_on: Dataset of the weights that its training started from; empty for none.
        num_frames: Frames of a clip.
        frame_step: Step between them.
        frames_per_second: Rate of the frames that are stepped through; None where no page states one.
        metric: Name of the published figure.
        published: The figure that its authors report, in percent; None where they report none.
        evaluator: Key of ``EVALUATORS`` for a frame-mAP, empty for other metrics.
        source: Page that the figure is quoted from.
        address: URL of the file.
        code_licence: Licence of the authors' code.
        weights_licence: Licence of the weights; ``"none stated"`` where no page says one.
        start_licence: Licence of the weights that its training started from, where it restricts what may be done with
            these; otherwise empty.
        sha256: Published SHA-256 of the file, or its first digits; empty where none is published.
        not_runnable: Why this package cannot run it; empty for those that it can.
        note: What else must be known to get the file; a part of a sentence, or empty.
        about_megabytes: Size of the network's tensors in float32, in 10^6 bytes. No file sizes are published; a file
            that also holds the optimiser's state is larger. 0 where the network is not in this package.
        parameters: Number of the network's parameters; 0 where it is not in this package.
        gflops: Floating-point operations of one clip of 4:3 with 3 boxes at the config's short side, in 10^9; None for
            classifiers and networks that are not in this package.
    """

    name: str
    config: str
    layout: str
    data: str
    pretrained_on: str
    num_frames: int
    frame_step: int
    frames_per_second: int | None
    metric: str
    published: float | None
    evaluator: str
    source: str
    address: str
    code_licence: str
    weights_licence: str
    start_licence: str
    sha256: str
    not_runnable: str
    note: str
    about_megabytes: int
    parameters: int
    gflops: int | None

    @property
    def is_start(self) -> bool:
        """Whether it is a classifier that a detector's training started from, without a figure of its own."""
        return self.name.endswith("_start")

    @property
    def is_detector(self) -> bool:
        """Whether it finds the actions of each person, as opposed to those of a whole clip."""
        return self.metric == "frame-mAP"

    @property
    def evaluated_on(self) -> str:
        """The dataset whose validation split the figure is for."""
        return "AVA 2.2" if self.data == _AVA_KINETICS else self.data

    @property
    def figure(self) -> str:
        """The published figure with metric and dataset; empty where none is published."""
        return "" if self.published is None else f"{self.published:g} {self.metric} on {self.evaluated_on}"

    @property
    def commercial_use(self) -> Use:
        """Whether its licences allow commercial use; ``"unclear"`` where none is stated for the weights."""
        if any("-NC" in licence for licence in (self.code_licence, self.weights_licence, self.start_licence)):
            return "no"
        return "unclear" if self.weights_licence == NONE_STATED else "yes"

    @property
    def licences(self) -> str:
        """The licences of code and weights, as a part of a sentence."""
        text = f"code {self.code_licence}, weights {self.weights_licence}"
        if self.start_licence:
            text += f", started from weights under {self.start_licence}"
        return text + ("; not for commercial use" if self.commercial_use == "no" else "")


@dataclass(frozen=True)
class Cost:
    """What the network of a config costs.

    Attributes:
        parameters: Number of parameters.
        megabytes: Size of all tensors in float32, in 10^6 bytes.
        gflops: Floating-point operations of one clip with 3 boxes, in 10^9; None for a classifier.
        milliseconds: Measured time of one clip; None where it was not measured.
        peak_megabytes: Measured memory of the process at its peak, in 10^6 bytes; None where it was not measured.
    """

    parameters: int
    megabytes: int
    gflops: int | None
    milliseconds: int | None
    peak_megabytes: int | None


def read_tsv(path: Path) -> list[dict[str, str]]:
    """Read a table of ``zoo_data/``.

    Args:
        path: A file of tab-separated values with a heading; lines that begin with ``#`` are comments.

    Returns:
        The rows, by the names of the columns.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    return list(
        csv.DictReader((line for line in lines if not line.startswith("#")), delimiter="\t", quoting=csv.QUOTE_NONE)
    )


def _costs() -> dict[str, Cost]:
    costs = {}
    for row in read_tsv(DATA / "costs.tsv"):
        values = {name: int(value) if value else None for name, value in row.items() if name != "config"}
        costs[row["config"]] = Cost(**values)  # type: ignore[arg-type]  # parameters and megabytes are always there
    return costs


def _metric(data: str) -> str:
    if data.startswith("AVA") or data == _MULTISPORTS:
        return "frame-mAP"
    return "mAP" if data == "Charades" else "top-1, 30 views"


def _evaluator(row: dict[str, str], publisher: dict[str, str]) -> str:
    return "multisports" if row["trained_on"] == _MULTISPORTS else publisher["evaluator"]


def _entry(row: dict[str, str], publisher: dict[str, str]) -> ZooEntry:
    clip = _CLIP.fullmatch(row["clip"])
    assert clip is not None, row
    metric, cost = _metric(row["trained_on"]), COSTS.get(row["config"])
    tag = _DATE_AND_HASH.search(PurePosixPath(row["file"]).stem)
    return ZooEntry(
        name=row["name"],
        config=row["config"],
        layout=row["layout"],
        data=row["trained_on"],
        pretrained_on=row["pretrained_on"],
        num_frames=int(clip[1]),
        frame_step=int(clip[2]),
        frames_per_second=int(clip[3]) if clip[3] else None,
        metric=metric,
        published=float(row["figure"]) if row["figure"] else None,
        evaluator=_evaluator(row, publisher) if metric == "frame-mAP" else "",
        source=publisher["source"],
        address=publisher["base"] + row["file"],
        code_licence=publisher["code_licence"],
        weights_licence=publisher["weights_licence"],
        start_licence=row["started_from"],
        sha256=tag[1] if tag else "",
        not_runnable=row["not_runnable"],
        note=row["note"],
        about_megabytes=cost.megabytes if cost else 0,
        parameters=cost.parameters if cost else 0,
        gflops=cost.gflops if cost else None,
    )


def _zoo() -> dict[str, ZooEntry]:
    publishers = {row["publisher"]: row for row in read_tsv(DATA / "publishers.tsv")}
    return {row["name"]: _entry(row, publishers[row["publisher"]]) for row in read_tsv(DATA / "weights.tsv")}


COSTS = _costs()
ZOO = _zoo()

# Beginnings of the names of published files that the table does not hold -> their config. Several share a network.
_OTHER_FILES = {"SLOWFAST_32x2_R50_SHORT": "slowfast_r50_32x2", "SLOW_8x8_R50_SHORT": "slow_r50_4x16"}


def runnable() -> list[ZooEntry]:
    """Return the checkpoints that this package can run, those of classifiers included.

    Returns:
        The entries, in the order of the table.
    """
    return [entry for entry in ZOO.values() if not entry.not_runnable]


def best_first() -> list[ZooEntry]:
    """Return all checkpoints: detectors and then classifiers, each by their figure, the best first.

    Returns:
        The entries; those without a figure come last.
    """
    return sorted(ZOO.values(), key=lambda entry: (not entry.is_detector, -(entry.published or 0.0)))


def configs_of_file_name(name: str) -> frozenset[str]:
    """Return the configs of the published files that are called so.

    Args:
        name: Name of a weights file: as it is published, with or without its date and hash, or as it is called in the
            cache.

    Returns:
        Names in ``configs/``; several where files of different networks have the same name, none for an unknown name.
    """
    stem = PurePosixPath(name).stem
    names = {stem, name}
    listed = {entry.config for entry in runnable() if not entry.is_start and _is_called(entry, stem, names)}
    return frozenset(listed | {config for start, config in _OTHER_FILES.items() if stem.startswith(start)})


def _is_called(entry: ZooEntry, stem: str, names: set[str]) -> bool:
    file = PurePosixPath(entry.address)
    training, num_tags = _DATE_AND_HASH.subn("", file.stem)
    return bool(names & {entry.name, file.name}) or (num_tags > 0 and stem.startswith(training))
