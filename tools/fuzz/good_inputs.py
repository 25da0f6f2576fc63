"""Good inputs of every kind, made from a seed without a network: the files that ``mutations`` then spoils.

Two tiny movies are rendered and annotated with the demo weights; everything else follows from them. A part is made when
it is first asked for. Parts hold no time of day and no folder name, so that the same seed gives the same bytes: the
path of a part's folder is written as ``HERE``, which a case replaces by its own.
"""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import random
import re
import shutil
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = "@HERE@"
MOVIES = ("movie_000", "movie_001")
_FAMILIES = {
    "pyslowfast.pyth": "pyslowfast",
    "pytorchvideo.pyth": "pytorchvideo",
    "mmaction2.pth": "mmaction2",
    "caffe2.pkl": "caffe2",
}
# Suffix to muxer and encoder.
_CONTAINERS = {
    "avi": ("avi", "mpeg4"),
    "mkv": ("matroska", "libx264"),
    "ts": ("mpegts", "libx264"),
    "mov": ("mov", "libx264"),
    "h264": ("h264", "libx264"),
}
_DATASET_KEY = "0123456789abcdef0123"


class GoodInputs:
    """The good inputs of one seed, in one folder.

    Args:
        folder: Where they are made.
        seed: The seed of the rendered movies.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self._seed = seed
        self._makers: dict[str, Callable[[Path], None]] = {
            "world": self._make_world,
            "truth.csv": lambda path: _copy(self.part("world") / "ground_truth.csv", path),
            "videos": lambda path: _copy(self.part("world") / "videos", path),
            "movie_000.mp4": lambda path: _copy(self.part("world") / "videos" / "movie_000.mp4", path),
            "labels.pbtxt": lambda path: _copy(self.part("world") / "label_map.pbtxt", path),
            "excluded.csv": lambda path: _write(path, "movie_000,0002\nmovie_001,0002\n"),
            "subset.txt": lambda path: _write(path, "movie_000\nmovie_001\n"),
            "limits.csv": lambda path: _write(path, "id,threshold\n12,0.3\n69,\ndefault,0.1\n"),
            "sizes.csv": lambda path: _write(
                path, "video_id,num_frames,width,height\nmovie_000,30,128,72\nmovie_001,30,128,72\n"
            ),
            "calibration.json": self._make_calibration,
            "results": self._make_results,
            "dataset": self._make_dataset,
            "found.csv": self._make_found,
            "found.jsonl": lambda path: _copy(self.part("results") / "movie_000.jsonl", path),
            "found.parquet": lambda path: _copy(self.part("results") / "movie_000.parquet", path),
            "boxes.csv": self._make_boxes_csv,
            "boxes.json": self._make_boxes_json,
            "boxes.pkl": self._make_boxes_pickle,
            "tubes.pkl": self._make_tubes,
            "found_tubes.pkl": self._make_found_tubes,
            "found_boxes.pkl": self._make_found_boxes,
            "cvat.xml": lambda path: self._make_handed_over("cvat", "movie_000.xml", path),
            "via.json": lambda path: self._make_handed_over("via", "via_project.json", path),
            "elan.eaf": lambda path: self._make_handed_over("elan", "movie_000.eaf", path),
            "project.boris": lambda path: self._make_handed_over("boris", "project.boris", path),
            "demo.safetensors": lambda path: _copy(_shipped("models/shipped/demo.safetensors"), path),
            "people.onnx": lambda path: _copy(
                _shipped("detectors/builtin_model/person_ssdlite_mobilenet_v2_coco.onnx"), path
            ),
            "config.yaml": self._make_config,
            "kinetics.csv": lambda path: _write(path, "videos/movie_000.mp4 0\nvideos/movie_001.mp4 1\n"),
            "kinetics.yaml": self._make_kinetics_config,
            "frames": self._make_frames,
            "list.txt": lambda path: _write(path, "".join(f"videos/{name}.mp4\n" for name in MOVIES)),
            "list.csv": lambda path: _write(
                path, "uri,video_id,start_seconds\n" + "".join(f"videos/{name}.mp4,{name},0\n" for name in MOVIES)
            ),
            "list.parquet": self._make_list_parquet,
            "sound.wav": _make_sound,
            "run": self._make_run,
        }
        self._makers |= {name: self._converter(family) for name, family in _FAMILIES.items()}
        self._makers |= {f"movie_000.{name}": self._make_container for name in _CONTAINERS}

    @property
    def names(self) -> list[str]:
        """The names of all parts."""
        return list(self._makers)

    def part(self, name: str) -> Path:
        """The path of a part, a file or a folder, which is made where it is missing."""
        path = self.folder / name
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._makers[name](path)
        return path

    def _make_world(self, path: Path) -> None:
        _call("data", "synthesize", "--out", path, "--videos", 2, "--seed", self._seed, "--seconds", 3,
              "--width", 128, "--height", 72, "--fps", 10)  # fmt: skip

    def _make_calibration(self, path: Path) -> None:
        found, truth = self.part("found.csv"), self.part("truth.csv")
        _call("calibrate", "--detections", found, "--ground-truth", truth, "--min-positives", 1, "--out", path,
              "--quiet")  # fmt: skip

    def _make_results(self, path: Path) -> None:
        videos = self.part("videos")
        # With true boxes, because the detector finds no person in some of the tiny movies.
        people = ("--boxes", self.part("boxes.csv"))
        _call("annotate", videos, "--out", path, "--weights", "demo", "--format", "csv,jsonl,parquet", *people)
        for file in (path / "summary.json", path / "manifest.jsonl"):
            file.write_text(_timeless(file.read_text(encoding="utf-8"), videos), encoding="utf-8")

    def _make_dataset(self, path: Path) -> None:
        import pyarrow.parquet as pq

        videos = self.part("videos")
        people = ("--boxes", self.part("boxes.csv"))
        _call("annotate", videos, "--out", path.as_uri(), "--weights", "demo", "--workers", 1, *people)
        for file in sorted((path / "rows").rglob("*.parquet")):
            table = pq.read_table(file)
            metadata = {
                key: _timeless(value.decode(), videos).encode() if key.startswith(b"ava_detect") else value
                for key, value in table.schema.metadata.items()
            }
            shard = file.parent.with_name("shard=k01")
            shard.mkdir(exist_ok=True)
            pq.write_table(
                table.replace_schema_metadata(metadata),
                shard / f"{file.name.rpartition('-')[0]}-{_DATASET_KEY}.parquet",
            )
            file.unlink()
            with contextlib.suppress(OSError):
                file.parent.rmdir()
        for file in (path / "progress").iterdir():
            _write(file.with_name("0123456789ab.json"), _timeless(file.read_text(encoding="utf-8"), videos))
            file.unlink()
        run = path / "run.json"
        run.write_text(_timeless(run.read_text(encoding="utf-8"), videos), encoding="utf-8")

    def _make_handed_over(self, tool: str, name: str, path: Path) -> None:
        videos, folder = self.part("videos"), path.with_name(f"for_{tool}")
        _call("hand-over", self.part("results"), "--to", tool, "--out", folder, "--videos", videos, "--quiet")
        _write(path, _timeless((folder / name).read_text(encoding="utf-8"), videos))
        shutil.rmtree(folder)

    def _make_found(self, path: Path) -> None:
        rows = [line for name in MOVIES for line in _lines(self.part("results") / f"{name}.csv")]
        _write(path, "\n".join(rows) + "\n")

    def _make_boxes_csv(self, path: Path) -> None:
        """Boxes of people as proposals have them: no action, the person's score last."""
        boxes = dict.fromkeys(",".join(line.split(",")[:6]) for line in _lines(self.part("truth.csv")))
        _write(path, "".join(f"{box},,0.9\n" for box in boxes))

    def _make_boxes_json(self, path: Path) -> None:
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        ids: dict[tuple[str, str], int] = {}
        for row in _lines(self.part("boxes.csv")):
            video, second, *numbers = row.split(",")
            x1, y1, x2, y2 = (float(number) for number in numbers[:4])
            if (video, second) not in ids:
                ids[video, second] = len(ids) + 1
                image = {"id": len(ids), "file_name": f"{video}/{second}.jpg", "width": 128, "height": 72}
                images.append(image | {"video_id": video, "timestamp": float(second)})
            box = [x1 * 128, y1 * 72, (x2 - x1) * 128, (y2 - y1) * 72]
            annotations.append(
                {"id": len(annotations) + 1, "image_id": ids[video, second], "category_id": 1, "bbox": box,
                 "area": box[2] * box[3], "iscrowd": 0, "score": 0.9}
            )  # fmt: skip
        content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
        _write(path, json.dumps(content, indent=1))

    def _make_boxes_pickle(self, path: Path) -> None:
        """mmaction2's proposals: ``VIDEO,SECOND`` to an array of boxes with their scores."""
        import numpy as np

        boxes: dict[str, list[list[float]]] = {}
        for row in _lines(self.part("boxes.csv")):
            video, second, *numbers = row.split(",")
            boxes.setdefault(f"{video},{second}", []).append([*map(float, numbers[:4]), 0.9])
        path.write_bytes(pickle.dumps({key: np.array(value, np.float32) for key, value in boxes.items()}))

    def _make_tubes(self, path: Path) -> None:
        """Ground truth as MultiSports, UCF101-24 and JHMDB publish it: two videos with a tube each."""
        first, second = MOVIES
        rows = _tube_rows(12)
        content = {
            "labels": ["jump", "throw"], "gttubes": {first: {0: [rows]}, second: {1: [rows]}},
            "nframes": dict.fromkeys(MOVIES, 30), "train_videos": [[]], "test_videos": [list(MOVIES)],
            "resolution": dict.fromkeys(MOVIES, (72, 128)),
        }  # fmt: skip
        _write_pickle(path, content)

    def _make_found_tubes(self, path: Path) -> None:
        first, second = MOVIES
        _write_pickle(path, {0: [(first, 0.9, _tube_rows(10))], 1: [(second, 0.8, _tube_rows(20))]})

    def _make_found_boxes(self, path: Path) -> None:
        import numpy as np

        rows = [[video, row[0], video, 0.9, *row[1:]] for video in (0, 1) for row in _tube_rows(20)]
        _write_pickle(path, np.array(rows))

    def _make_config(self, path: Path) -> None:
        """The small network, and a training of it that is over in three steps."""
        import yaml

        config = yaml.safe_load(_shipped_config("demo").read_text(encoding="utf-8"))
        config["data"] |= {"train": {"annotations": "in/truth.csv", "videos": "in/videos"}, "num_workers": 0}
        config["train"] |= {"epochs": 1, "batch_size": 2, "warmup_epochs": 0, "precision": "fp32", "eval_every": 0}
        _write(path, yaml.safe_dump(config, sort_keys=False))

    def _make_kinetics_config(self, path: Path) -> None:
        import yaml

        config = yaml.safe_load(_shipped_config("demo").read_text(encoding="utf-8"))
        del config["labels"]
        config["model"] |= {"task": "classification"}
        config["model"]["head"] = {"num_classes": 2, "activation": "softmax"}
        config["data"] |= {
            "kind": "kinetics",
            "train": {"annotations": "in/kinetics.csv", "videos": "in"},
            "num_workers": 0,
            "crop": 112,
        }
        config["train"] |= {"epochs": 1, "batch_size": 2, "warmup_epochs": 0, "precision": "fp32", "eval_every": 0}
        _write(path, yaml.safe_dump(config, sort_keys=False))

    def _make_frames(self, path: Path) -> None:
        import av

        for movie in MOVIES:
            (path / movie).mkdir(parents=True)
            with av.open(str(self.part("videos") / f"{movie}.mp4")) as container:
                for number, frame in enumerate(container.decode(video=0), 1):
                    frame.to_image().save(path / movie / f"{movie}_{number:06d}.jpg")

    def _make_list_parquet(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = {
            "uri": [f"videos/{name}.mp4" for name in MOVIES],
            "video_id": list(MOVIES),
            "start_seconds": [0.0, 0.0],
        }
        pq.write_table(pa.table(columns), path)

    def _make_container(self, path: Path) -> None:
        import av

        muxer, codec = _CONTAINERS[path.suffix[1:]]
        with (
            av.open(str(self.part("movie_000.mp4"))) as source,
            av.open(str(path), "w", format=muxer, options={"fflags": "+bitexact"}) as target,
        ):
            stream: Any = target.add_stream(codec, rate=10, width=128, height=72, pix_fmt="yuv420p")
            stream.codec_context.thread_count = 1
            for frame in source.decode(video=0):
                frame.pict_type = av.video.frame.PictureType.NONE
                target.mux(stream.encode(frame))
            target.mux(stream.encode())

    def _converter(self, family: str) -> Callable[[Path], None]:
        return lambda path: _call("weights", "convert", self.part("demo.safetensors"), path, "--to", family)

    def _make_run(self, path: Path) -> None:
        """The folder of a finished training, to be resumed."""
        work = self.folder / "training"
        for name in ("truth.csv", "videos", "config.yaml"):
            _copy(self.part(name), work / "in" / name)
        with contextlib.chdir(work):
            _call("train", "--config", "in/config.yaml", "--out", "run")
        path.mkdir()
        for name in ("last.pt", "validation.csv"):
            shutil.copyfile(work / "run" / name, path / name)
        header, *rows = _lines(work / "run" / "log.csv")
        timeless = [",".join([*row.split(",")[:5], "1.9", "0.05", "1417"]) for row in rows]
        _write(path / "log.csv", "\n".join([header, *timeless]) + "\n")


def _call(*arguments: object) -> None:
    """Run a command of ``ava-detect`` in this process, quietly."""
    from ava_detect.cli.app import main

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as problems:
        try:
            main([*map(str, arguments), *(["--quiet"] if arguments[0] != "weights" else [])])
        except SystemExit as end:
            if end.code not in (0, None):
                raise RuntimeError(f"{arguments}: {problems.getvalue()}") from end


def _timeless(text: str, videos: Path) -> str:
    """A record without what differs from run to run: folders, times of day, durations, versions."""
    text = text.replace(str(videos), f"{HERE}/videos")
    text = re.sub(r'"(source_modified|started|updated|total_seconds|wall_seconds)": [\d.e+-]+', r'"\1": 0.0', text)
    text = re.sub(r'"(decode|detect|score|link|write|draw|total)": \d[\d.e+-]*', r'"\1": 0.0', text)
    return re.sub(r'"seconds": \d[\d.e+-]*', '"seconds": 0.0', text)


def _make_sound(path: Path) -> None:
    noise = random.Random(0)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(noise.randbytes(8000))


def _shipped(name: str) -> Path:
    import ava_detect

    return Path(ava_detect.__file__).parent / name


def _shipped_config(name: str) -> Path:
    from ava_detect.environment import resource_dir

    path: Any = resource_dir("configs")
    return Path(path) / f"{name}.yaml"


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, target)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _write_pickle(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, 2))


def _tube_rows(length: int) -> Any:
    """Frame, x1, y1, x2, y2 of a box at rest."""
    import numpy as np

    return np.array([[frame, 10.0, 10, 40, 60] for frame in range(1, length + 1)])


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
