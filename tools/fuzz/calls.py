"""Good calls of every command, with the inputs that they take: the templates of ``tools/fuzz_inputs.py``.

In a template ``{name}`` is a good input (a part of ``GoodInputs``), copied to ``in/name``, and ``{>name}`` is the
output ``out/name``. All paths are relative to the folder that the call is made in.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

_PLACE = re.compile(r"\{(>?)([^{}]+)\}")


@dataclass(frozen=True)
class Call:
    """A good call.

    Attributes:
        command: The command, and its sub-command.
        arguments: Its arguments as a template.
        also: Inputs that the call reads without naming them, because a config or a list names them.
        cost: Processor seconds that it takes, roughly; costly calls are made less often.
        code: The exit code of the good call; None where it may be any that is documented.
        changes: Inputs that the call continues, and may change.
    """

    command: str
    arguments: str
    also: tuple[str, ...] = ()
    cost: float = 1.0
    code: int | None = 0
    changes: tuple[str, ...] = ()

    @cached_property
    def words(self) -> Sequence[str]:
        """The arguments, with their places still open."""
        return shlex.split(self.arguments)

    @cached_property
    def inputs(self) -> list[str]:
        """The names of the inputs."""
        named = [name for mark, name in _PLACE.findall(self.arguments) if not mark]
        return [*dict.fromkeys((*named, *self.also))]

    @cached_property
    def outputs(self) -> list[str]:
        """The names of the outputs."""
        return [name for mark, name in _PLACE.findall(self.arguments) if mark]


_TRAINED = ("truth.csv", "videos")
_PEOPLE = "onnx:{people.onnx}?layout=xyxy_scores&coordinates=fractions&color=rgb&scale=1/127.5&mean=1&std=1"
_HAND_OVER = [
    Call("hand-over", f"{{results}} --to {tool} --out {{>{tool}}} --videos {{videos}} --label-map {{labels.pbtxt}}")
    for tool in ("coco", "cvat", "fiftyone", "label-studio", "via", "elan", "boris", "intervals", "srt")
]
_CONTAINERS = [
    Call("annotate", f"{{movie_000.{suffix}}} --out {{>results}} --weights demo --boxes {{boxes.csv}}", cost=4)
    for suffix in ("mp4", "avi", "mkv", "ts", "mov", "h264")
]
_FAMILIES = [
    Call("weights convert", f"{{{name}}} {{>converted}} --to {to}", cost=2)
    for name, to in (
        ("pyslowfast.pyth", "ava_detect"), ("pytorchvideo.pyth", "mmaction2"), ("mmaction2.pth", "caffe2"),
        ("caffe2.pkl", "pyslowfast"), ("demo.safetensors", "pytorchvideo"),
    )
]  # fmt: skip
_INSPECTED = [
    Call("weights inspect", f"{{{name}}}", cost=2)
    for name in ("pyslowfast.pyth", "pytorchvideo.pyth", "mmaction2.pth", "caffe2.pkl", "demo.safetensors")
]

CALLS: Sequence[Call] = (
    Call("annotate",
         "{videos} --out {>results} --weights demo --format csv,jsonl,parquet --every 1 --min-score 0.1", cost=4),
    Call("annotate",
         "{movie_000.mp4} --out {>results} --weights demo --draw --min-person-score 0.4 --time-limit 100", cost=4),
    Call("annotate", "{movie_000.mp4} --out {>results} --weights {pyslowfast.pyth} --config {config.yaml}", cost=4),
    Call("annotate", "{movie_000.mp4} --out {>results} --weights demo --boxes {boxes.json} --start-seconds 0", cost=4),
    Call("annotate", "{movie_000.mp4} --out {>results} --weights demo --boxes {boxes.pkl}", cost=4, code=None),
    Call("annotate", f"{{movie_000.mp4}} --out {{>results}} --weights demo --detector '{_PEOPLE}'", cost=4),
    Call("annotate", "{list.txt} --out {>results} --weights demo --boxes {boxes.csv}", ("videos",), cost=4),
    Call("annotate", "{list.csv} --out {>results} --weights demo --boxes {boxes.csv}", ("videos",), cost=4),
    Call("annotate", "{list.parquet} --out {>results} --weights demo --boxes {boxes.csv}", ("videos",), cost=4),
    Call("annotate", "{sound.wav} --out {>results} --weights demo", cost=4, code=1),
    *_CONTAINERS,
    Call("demo", "--out {>demo}", cost=17),
    Call(
        "evaluate",
        "--ground-truth {truth.csv} --detections {found.csv} --label-map {labels.pbtxt} --exclude {excluded.csv} "
        "--subset {subset.txt} --iou 0.5 --start-seconds 0 --json {>result.json} --report {>report}",
    ),
    Call("evaluate",
         "--ground-truth {truth.csv} --detections {found.csv} --detections {found.parquet} --json {>result.json}"),
    Call("evaluate", "--ground-truth {boxes.json} --detections {found.csv}", code=None),
    Call("evaluate", "--ground-truth {tubes.pkl} --detections {found_tubes.pkl} --json {>score.json}"),
    Call("evaluate",
         "--ground-truth {tubes.pkl} --detections {found_boxes.pkl} --dialect act --iou 0.5 --report {>page}", cost=2),
    Call("evaluate",
         "--ground-truth {truth.csv} --detections {found.csv} --detections {results} --metric video --fps 1 "
         "--linking tracks --label-map {labels.pbtxt} --exclude {excluded.csv} --subset {subset.txt}"),
    Call(
        "calibrate",
        "--detections {found.csv} --ground-truth {truth.csv} --exclude {excluded.csv} --subset {subset.txt} "
        "--label-map {labels.pbtxt} --min-positives 1 --out {>calibration.json} --report {>report}",
        cost=2,
    ),
    Call("calibrate", "--detections {found.csv} --ground-truth {truth.csv} --check {calibration.json}"),
    Call("annotate",
         "{movie_000.mp4} --out {>results} --weights demo --boxes {boxes.csv} --thresholds {calibration.json} "
         "--calibration {calibration.json} --top 3", cost=4),
    Call("annotate", "{movie_000.mp4} --out {>results} --weights demo --boxes {boxes.csv} --thresholds {limits.csv}",
         cost=4),
    Call(
        "benchmark",
        "--weights demo --videos {videos} --ground-truth {truth.csv} --boxes ground-truth --exclude {excluded.csv} "
        "--label-map {labels.pbtxt} --out {>measured}",
        cost=4,
    ),
    Call("benchmark",
         "--weights demo --videos {videos} --ground-truth {truth.csv} --boxes {boxes.csv} --out {>measured}", cost=4),
    Call("benchmark",
         "--weights {mmaction2.pth} --config {config.yaml} --videos {videos} --ground-truth {truth.csv} --out {>m}",
         cost=5),
    Call("train", "--config {config.yaml} --out {>run}", _TRAINED, cost=6),
    Call("train", "--config {kinetics.yaml} --out {>run}", ("kinetics.csv", "videos"), cost=6),
    Call("train", "--config {config.yaml} --out {>run} --set data.train.proposals=in/boxes.csv --set train.epochs=1",
         (*_TRAINED, "boxes.csv"), cost=6),
    Call("train", "--config {config.yaml} --out {run} --resume", _TRAINED, cost=5, changes=("run",)),
    Call("visualize", "{results} --out {>page} --videos {videos} --ground-truth {truth.csv} --label-map {labels.pbtxt} "
         "--min-score 0.1"),
    Call("visualize", "{found.jsonl} --out {>page}", code=1),
    Call("visualize", "{found.parquet} --out {>page} --videos {videos}"),
    Call("visualize", "{found.csv} --out {>page} --videos {videos} --videos-by refer"),
    Call("pictures",
         "{results} --out {>pictures} --videos {videos} --label-map {labels.pbtxt} --gif --contact-sheet", cost=2),
    Call("pictures", "{results} --out {>pictures} --videos {videos} --ground-truth {truth.csv} --plots --video",
         cost=2),
    Call("tubes", "{results} --out {>tubes.csv} --label-map {labels.pbtxt} --min-peak 0.5 --smoothing 0.6"),
    Call("tubes", "{found.jsonl} --out {>tubes.jsonl}"),
    Call("tubes", "{found.csv} --out {>tubes.csv}"),
    *_HAND_OVER,
    Call("hand-over", "{found.csv} --to coco --out {>coco} --videos {videos}"),
    Call("import", "{truth.csv} --out {>gt.csv} --label-map {labels.pbtxt}"),
    Call("import", "{boxes.pkl} --from mmaction2 --out {>gt.csv} --start-seconds 0"),
    Call("import", "{cvat.xml} --out {>gt.csv} --videos {videos} --every 0.5"),
    Call("import", "{via.json} --out {>gt.csv} --videos {videos}"),
    Call("import", "{elan.eaf} --out {>gt.csv} --results {results} --videos {videos}"),
    Call("import", "{project.boris} --out {>gt.csv} --results {results} --videos {videos}"),
    Call("review", "{results} --out {>corrections} --videos {videos} --label-map {labels.pbtxt} --prepare"),
    Call("live", "{movie_000.mp4} --weights demo --detector boxes:{boxes.csv} --out {>live} --speed 20", cost=4),
    Call("review", "{found.csv} --out {>corrections} --videos {videos} --budget 5 --prepare --quiet"),
    Call("explain", "{movie_000.mp4} --at 1 --detector boxes:{boxes.csv} --weights demo --out {>seen.png} --person 1 "
         "--action walk", cost=4),
    Call("explain", "{movie_000.mp4} --at 1 --detector boxes:{boxes.csv} --weights {caffe2.pkl} --config {config.yaml} "
         "--out {>seen.png}", cost=4),
    Call("collect", "{dataset} --out {>all.csv} --min-score 0"),
    Call("collect", "{dataset} --out {>page} --videos {videos} --only movie_000"),
    Call("status", "{dataset}"),
    Call("status", "{dataset} --json"),
    Call("export", "{>network.onnx} --config {config.yaml} --weights {demo.safetensors}", cost=5),
    Call("doctor", "--json", cost=3),
    Call("docs", "detectors"),
    Call("docs", "--list"),
    Call("weights list", "--json"),
    Call("weights recommend", "--device cpu --commercial"),
    Call("weights show", "demo", code=None),
    Call("weights get", "absent", code=2),
    *_INSPECTED,
    *_FAMILIES,
    Call("data check",
         "--videos {videos} --ground-truth {truth.csv} --label-map {labels.pbtxt} --exclude {excluded.csv} "
         "--proposals {boxes.csv} --start-seconds 0 --threads 1", cost=3, code=1),
    Call("data check", "--videos {videos} --ground-truth {truth.csv} --proposals {boxes.json} --fast", cost=3, code=1),
    Call("data check", "--config {config.yaml}", _TRAINED, cost=3),
    Call("data check", "--config {config.yaml} --set data.train.videos=null --set data.train.frames=in/frames",
         ("truth.csv", "frames"), cost=3, code=1),
    Call("data check", "--config {kinetics.yaml}", ("kinetics.csv", "videos"), cost=3),
    Call("data check", "--videos {videos} --ground-truth {tubes.pkl} --fast", cost=3, code=None),
    Call("data propose", "--videos {videos} --ground-truth {tubes.pkl} --out {>found.csv}", cost=3),
    Call("data synthesize",
         "--out {>world} --videos 1 --seed 3 --seconds 1 --width 64 --height 64 --fps 5 --processes 1"),
    Call("data convert", "{tubes.pkl} --out {>text} --fps 10 --start-seconds 900"),
    Call("data convert", "{truth.csv} --sizes {sizes.csv} --label-map {labels.pbtxt} --fps 1 --out {>truth.pkl}"),
    Call("data convert",
         "{truth.csv} --videos {videos} --label-map {labels.pbtxt} --exclude {excluded.csv} --fps 1 --out {>new.pkl}"),
    Call("data convert", "{found_boxes.pkl} --ground-truth {tubes.pkl} --to tubes --linking tracks --out {>found.pkl}"),
    Call("data convert", "{found_tubes.pkl} --ground-truth {tubes.pkl} --fps 10 --out {>found.csv}"),
    Call("data propose", "--videos {videos} --ground-truth {truth.csv} --out {>found.csv} --exclude {excluded.csv} "
         "--min-person-score 0.4", cost=3),
)  # fmt: skip
