"""Grad-CAM maps of one action of one person on one keyframe, as an image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from ava_detect.annotation.settings import AnnotateSettings
from ava_detect.annotation.video_annotator import VideoAnnotator
from ava_detect.config.build import label_map_of
from ava_detect.errors import AvaDetectError, ConfigError, shown, suggestion
from ava_detect.inference.gradcam import Attention, attention
from ava_detect.inference.scorer import Scorer
from ava_detect.storage.local_files import atomic_path, is_stream
from ava_detect.storage.outputs import check_output
from ava_detect.structures.labels import Action, LabelMap
from ava_detect.structures.progress import OnProgress, report_stage
from ava_detect.video.clip_sampler import ClipSampler
from ava_detect.video.reader import VideoReader
from ava_detect.visualization.attention_sheet import attention_sheet
from ava_detect.visualization.chips import format_time


@dataclass(frozen=True, eq=False)
class Explanation:
    """Which action of which person was explained.

    Attributes:
        action: The action.
        person: The person's number, from 1, left to right.
        num_people: Number of people on the keyframe.
        score: The score that ``annotate_videos`` gives the action, in 0..1.
        attention: The maps and the pathways' contributions to the action's logit.
    """

    action: Action
    person: int
    num_people: int
    score: float
    attention: Attention


def explain(
    video: str | Path,
    timestamp_seconds: float,
    out: str | Path,
    settings: AnnotateSettings,
    *,
    person: int | None = None,
    action: str | None = None,
    overwrite: bool = True,
    on_progress: OnProgress | None = None,
) -> Explanation:
    """Write an image of Grad-CAM maps of one person's action, through every pathway.

    Args:
        video: The video file.
        timestamp_seconds: Time of the keyframe from the start of the file, in seconds.
        out: The image file, in the format of its suffix; png where it is a pipe or ``-``, the standard output.
        settings: The config, the weights, the detector and the device.
        person: The person's number, from 1, left to right; by default the person with the highest score.
        action: An id or a name of the label map; by default the person's action with the highest score.
        overwrite: Whether an existing ``out`` that is no such image is replaced.
        on_progress: Told of the stages.

    Returns:
        What was explained.

    Raises:
        ConfigError: ``out`` is one of the inputs, has no suffix of an image, or is another file already.
        AvaDetectError: No person is there, or there is no such person or action.
    """
    image_format = _image_format(Path(out))
    inputs = {"video": video, "weights": settings.weights, "config": settings.config}
    check_output(out, inputs, is_own=lambda path: _is_image(path, image_format), overwrite=overwrite)
    if not 0 <= timestamp_seconds < math.inf:
        raise ConfigError(f"`timestamp_seconds` is a time in seconds from 0 on, got {timestamp_seconds}")
    column = None if action is None else _column(action, label_map_of(settings.config))
    reader = VideoReader(video)
    settings = settings.with_weights_file(on_progress)
    pipeline = VideoAnnotator(settings, on_stage=partial(report_stage, on_progress)).pipeline
    report_stage(on_progress, "finding the people and scoring them")
    scorer = pipeline.scorer
    assert isinstance(scorer, Scorer), "the network was built here"
    sampler = ClipSampler(reader, scorer.clip_settings)
    keyframe = next(sampler.sample([timestamp_seconds]), None)
    if keyframe is None:
        raise AvaDetectError(f"{video}: second {timestamp_seconds:g} lies outside the video")
    people = pipeline.detect([keyframe], Path(video).stem)[0]
    people = people[people.boxes_xyxy[:, 0].argsort(kind="stable")]
    if not len(people):
        raise AvaDetectError(
            f"{shown(video)}: the detector {shown(settings.detector_spec)} finds no person at {timestamp_seconds:g} s, "
            "so nothing is explained"
        )
    if person is not None and not 1 <= person <= len(people):
        raise AvaDetectError(f"`person` counts from 1, left to right, to {len(people)} here; got {person}")
    scores = scorer.score([keyframe.clip], [people])[0]
    index = (
        int((scores.max(axis=1) if column is None else scores[:, column]).argmax()) if person is None else person - 1
    )
    shown_column = int(scores[index].argmax()) if column is None else column
    report_stage(on_progress, "tracing the score back to the frames")
    found = attention(scorer.model, keyframe.clip, people, index, shown_column)
    score = float(scores[index, shown_column])
    explained = Explanation(pipeline.label_map.actions[shown_column], index + 1, len(people), score, found)
    title = (
        f"{explained.action.name}, person {index + 1} of {len(people)}, {format_time(timestamp_seconds)}: "
        f"score {score:.2f}"
    )
    with atomic_path(out) as temporary:
        sheet = attention_sheet(keyframe.clip, people.boxes_xyxy[index], found.pathways, title)
        Image.fromarray(sheet).save(temporary, image_format)
    return explained


def _image_format(out: Path) -> str:
    """The name that Pillow has for the format of a file to write."""
    if is_stream(out):
        return "PNG"
    found = Image.registered_extensions().get(out.suffix.lower(), "")
    if found not in Image.SAVE:
        raise ConfigError(f"`out` is an image file such as NAME.png or NAME.jpg, got {shown(out)}")
    return found


def _is_image(path: Path, image_format: str) -> bool:
    try:
        with Image.open(path) as image:
            return image.format == image_format
    except (OSError, ValueError, Image.DecompressionBombError):
        return False


def _column(action: str, label_map: LabelMap) -> int:
    """The score column of an action's id or name."""
    for column, known in enumerate(label_map):
        if action.casefold() in (str(known.id), known.name.casefold()):
            return column
    names = [known.name for known in label_map]
    hint = suggestion(action, names) or f"; it has {', '.join(map(shown, names[:5]))}{' and others' * (len(names) > 5)}"
    raise AvaDetectError(f"`action` is an id or a name of the label map, got {shown(action)!r}{hint}")
