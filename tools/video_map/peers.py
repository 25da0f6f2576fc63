"""MultiSports' and MOC's evaluators and mmaction2's linking, from copies that the user has, mended where they stop.

Mended: ``int(np.where(...)[0])``, an error since NumPy 2.4, takes the first entry; sorts are stable, so that equal
scores have one order; mmaction2's ``get_vid_dets`` gives each box its own score instead of the last one's. Nothing else
is changed.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from video_map.random_sets import RandomSet

_MENDED = (
    (r"int\((np\.where\([^)]*\)\[0\])\)", r"int(\1[0])"),
    (r"np\.argsort\(-detections\[:, 3\]\)", "np.argsort(-detections[:, 3], kind='stable')"),
    (
        r"np\.argsort\(-np\.array\(\[dd\[1\] for dd in detections\]\)\)",
        "np.argsort(-np.array([dd[1] for dd in detections]), kind='stable')",
    ),
    (r"np\.argsort\(\[t\[1\] for t in tubes\]\)", "np.argsort([t[1] for t in tubes], kind='stable')"),
    (r"np\.argsort\((scores|new_scores|-np\.array\(avgscore\))\)", r"np.argsort(\1, kind='stable')"),
    (r"frm_dets\[-4:\], frm_det\[3\]\]", "frm_dets[-4:], frm_dets[3]]"),
    (r"from mmengine\.logging import MMLogger", ""),
    (r"from rich\.progress import track", "track = lambda videos, description: videos"),
)


def _module(path: Path, name: str) -> ModuleType:
    text = path.read_text(encoding="utf-8")
    for pattern, replacement in _MENDED:
        text = re.sub(pattern, replacement, text)
    module = ModuleType(name)
    exec(compile(text, str(path), "exec"), module.__dict__)
    return module


class _TimedPickle:
    """``pickle``, with the processor seconds that reading takes."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def load(self, file: Any) -> Any:
        """As ``pickle.load``."""
        start = time.process_time()
        content = pickle.load(file)
        self.seconds += time.process_time() - start
        return content


class MultiSports:
    """``evaluate_multisports.py``.

    Args:
        path: The file.
    """

    dialect = "multisports"

    def __init__(self, path: Path) -> None:
        self._module: Any = _module(path, "evaluate_multisports")
        self._module.pickle = self._pickle = _TimedPickle()

    @property
    def reading_seconds(self) -> float:
        """Processor seconds that the program has spent reading its files."""
        return self._pickle.seconds

    @contextlib.contextmanager
    def evaluator(self, found: RandomSet) -> Iterator[Any]:
        """Prepare a set; yields ``(metric, threshold) -> mAP in percent``."""
        with tempfile.TemporaryDirectory() as name:
            truth, tubes, rows = (Path(name) / file for file in ("truth.pkl", "tubes.pkl", "rows.pkl"))
            for path, content in ((truth, found.as_pickle()), (tubes, found.tubes), (rows, found.rows)):
                path.write_bytes(pickle.dumps(content))

            def evaluate(metric: str, threshold: float) -> float:
                if metric == "video":
                    return float(self._module.videoAP(truth, tubes, threshold, print_info=False))
                return float(self._module.frameAP(truth, rows, threshold, print_info=False))

            yield evaluate


class Act:
    """``src/ACT.py`` of MOC, with its ``ACT_utils``.

    Args:
        folder: The folder ``src``.
    """

    dialect = "act"

    def __init__(self, folder: Path) -> None:
        utils = _module(folder / "ACT_utils" / "ACT_utils.py", "ACT_utils.ACT_utils")
        build = SimpleNamespace(load_frame_detections=None, BuildTubes=None)
        stubs: Mapping[str, Any] = {
            "datasets": ModuleType("datasets"),
            "datasets.init_dataset": SimpleNamespace(get_dataset=None),
            "opts": SimpleNamespace(opts=None),
            "ACT_utils": ModuleType("ACT_utils"),
            "ACT_utils.ACT_utils": utils,
            "ACT_utils.ACT_build": build,
        }
        before = {name: sys.modules.get(name) for name in stubs}
        sys.modules.update(stubs)
        try:
            self._module: Any = _module(folder / "ACT.py", "ACT")
        finally:
            for name, module in before.items():
                if module is None:
                    del sys.modules[name]
                else:
                    sys.modules[name] = module
        self._module.pickle = self._pickle = _TimedPickle()

    @property
    def reading_seconds(self) -> float:
        """Processor seconds that the program has spent reading its files."""
        return self._pickle.seconds

    @contextlib.contextmanager
    def evaluator(self, found: RandomSet) -> Iterator[Any]:
        """Prepare a set; yields ``(metric, threshold) -> mAP in percent``."""
        with tempfile.TemporaryDirectory() as name:
            for video in found.videos:
                of_video = {
                    label: [[rows, score] for owner, score, rows in tubes if owner == video]
                    for label, tubes in found.tubes.items()
                }
                path = Path(name) / f"{video}_tubes.pkl"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(pickle.dumps(of_video))
            (Path(name) / "frame_detections.pkl").write_bytes(pickle.dumps(found.rows))

            def evaluate(metric: str, threshold: float) -> float:
                # The evaluator deletes the tubes that were found.
                data_set = SimpleNamespace(
                    _test_videos=[list(found.videos)],
                    labels=found.labels,
                    _gttubes={v: {k: list(t) for k, t in found.truth[v].items()} for v in found.videos},
                )
                self._module.get_dataset = lambda _: lambda *_: data_set
                options = SimpleNamespace(
                    redo=False, th=threshold, model_name="", dataset="", inference_dir=name, split=1, K=1,
                    root_dir=name, exp_id="log",
                )  # fmt: skip
                run = self._module.videoAP if metric == "video" else self._module.frameAP
                with contextlib.redirect_stdout(io.StringIO()):
                    return float(run(options, print_info=False))

            yield evaluate


class Linking:
    """``link_tubes`` of mmaction2's ``multisports_utils.py``.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._module: Any = _module(path, "multisports_utils")

    def tubes(self, found: RandomSet, min_length: int) -> dict[int, list[tuple[str, float, np.ndarray]]]:
        """Link the boxes of a set; ``{label: [(video, score, rows)]}``."""
        tubes: dict[int, list[tuple[str, float, np.ndarray]]] = self._module.link_tubes(
            found.as_pickle(), found.rows.copy(), len_thre=min_length
        )
        return tubes


def path_of(folder: Path, *names: str) -> Path:
    """Find a file of a peer's repository below a folder; the first that is there."""
    for name in names:
        for root, _, files in os.walk(folder):
            if Path(name).name in files and str(Path(root) / Path(name).name).endswith(name):
                return Path(root) / Path(name).name
    raise SystemExit(f"{folder} has no {' or '.join(names)}: copy the peers' repositories into it")
