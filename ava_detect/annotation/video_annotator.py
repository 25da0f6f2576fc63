"""Annotating one video: its rows, and a drawn copy, all there or none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

from ava_detect.annotation.settings import AnnotateSettings
from ava_detect.config.build import label_map_of
from ava_detect.detectors.precomputed import PrecomputedBoxes
from ava_detect.formats.writers import result_path, results_writer
from ava_detect.inference import build
from ava_detect.inference.pipeline import Pipeline, VideoRun
from ava_detect.inference.scorer import ClipScorer, Scorer
from ava_detect.models.network_options import NetworkOptions, resolve_device
from ava_detect.models.weights import WeightsReport
from ava_detect.models.zoo import RANDOM_WEIGHTS
from ava_detect.results.manifest import VideoRecord, file_state
from ava_detect.storage.addresses import Address
from ava_detect.storage.file_names import DRAWN_SUFFIX
from ava_detect.structures import ActionDetections
from ava_detect.structures.progress import VideoPosition
from ava_detect.video.reader import VideoReader
from ava_detect.video.remote import RemoteVideo
from ava_detect.video.reported_frames import reported_frames
from ava_detect.video.sources import SourceVideo


class VideoAnnotator:
    """A pipeline built once, for one video after another.

    Args:
        settings: What decides the results.
        num_threads: Number of threads of the detector, by default the number of cores; the network's are PyTorch's.
        scorer: Has the network; by default it is built here.
        on_stage: Told what is being loaded.
    """

    def __init__(
        self,
        settings: AnnotateSettings,
        num_threads: int | None = None,
        scorer: ClipScorer | None = None,
        on_stage: Callable[[str], None] = lambda stage: None,
    ) -> None:
        self.settings = settings
        self.device = resolve_device(settings.device)
        self.weights_report: WeightsReport | None = None
        on_stage("loading the person detector")
        detector = build.people_detector(
            settings.config,
            settings.detector,
            min_person_score=settings.min_person_score,
            device=self.device,
            num_threads=num_threads,
        )
        label_map = label_map_of(settings.config)
        # The network comes last, because it takes the most time and memory to load.
        self.precision = settings.precision
        if scorer is None:
            on_stage("loading the network")
            scorer, self.weights_report = build_scorer(settings)
            self.precision = scorer.network.precision
        self._boxes_start_seconds = detector.start_seconds if isinstance(detector, PrecomputedBoxes) else 0.0
        self.pipeline = Pipeline(
            detector,
            scorer,
            label_map=label_map,
            every_seconds=settings.every_seconds,
            new_person_score=settings.new_person_score or 0.0,
        )

    def annotate(
        self,
        source: SourceVideo,
        out: Path,
        heartbeat: Callable[[VideoPosition], None] | None = None,
        *,
        name: str | None = None,
    ) -> VideoRecord:
        """Write the results of one video into a folder; an error leaves nothing there.

        Args:
            source: The video.
            out: The folder.
            heartbeat: Called when the video is opened, after every keyframe, and once per second of video while it is
                drawn.
            name: Name of the files without their suffixes; by default the video's id.

        Returns:
            The video's record.

        Raises:
            Exception: Whatever the video, the detector or the network raises.
        """
        settings, name = self.settings, source.video_id if name is None else name

        def report(second: float, duration: float | None, stage: str = "") -> None:
            if heartbeat is not None:
                heartbeat(VideoPosition(source.video_id, second, duration, stage))

        report(0.0, None, "opening")
        start_seconds = settings.start_seconds if source.start_seconds is None else source.start_seconds
        if isinstance(self.pipeline.detector, PrecomputedBoxes):
            own = self._boxes_start_seconds if source.start_seconds is None else source.start_seconds
            self.pipeline.detector.start_seconds = own
        state = file_state(source.path)
        keyframes: list[ActionDetections] = []
        num_rows = 0
        with ExitStack() as outputs:
            path = source.path
            video = outputs.enter_context(RemoteVideo(path)) if isinstance(path, Address) else path
            run = outputs.enter_context(closing(self.pipeline(video, video_id=source.video_id)))
            write = outputs.enter_context(
                results_writer(
                    out,
                    name,
                    settings.formats,
                    self.pipeline.label_map,
                    start_seconds=start_seconds,
                    min_score=settings.min_score,
                    note=settings.note,
                )
            )
            for keyframe in run:
                write(keyframe)
                num_rows += int((keyframe.action_scores >= settings.min_score).sum())
                if settings.draw:
                    keyframes.append(keyframe)
                report(keyframe.timestamp_seconds, run.video.info.duration_seconds)
            damage = run.video.damage()
            names = [result_path(out, name, suffix).name for suffix in settings.formats]
            if settings.draw:
                names.append(self._draw(run, keyframes, result_path(out, name, DRAWN_SUFFIX), report))
            if isinstance(video, RemoteVideo) and video.failure is not None:
                # The decoder may have taken a broken connection for the end of the file.
                raise video.failure
        return _record(source, state, run, damage, num_rows, names)

    def _draw(
        self,
        run: VideoRun,
        keyframes: list[ActionDetections],
        path: Path,
        report: Callable[..., None],
    ) -> str:
        """A second pass over the video, drawn; returns the file's name."""
        from ava_detect.visualization.draw import DrawOptions, draw_video  # slow to import, and few runs draw

        options = DrawOptions(
            banner=self.settings.note,
            keyframe_seconds=self.settings.every_seconds,
            cuts_seconds=run.cuts_seconds,
        )
        with run.timed("draw"):
            draw_video(
                reported_frames(VideoReader(run.video.path), partial(report, stage="drawing")),
                keyframes,
                path,
                run.video.info.average_fps,
                self.pipeline.label_map,
                options,
            )
        return path.name


def _record(
    source: SourceVideo, state: tuple[int, float], run: VideoRun, damage: str, num_rows: int, names: list[str]
) -> VideoRecord:
    size, modified = state
    return VideoRecord(
        video_id=source.video_id,
        source=source.location,
        status="damaged" if damage else "done",
        message=" and ".join(filter(None, (damage, run.video.time_jumps()))),
        num_keyframes=run.num_keyframes,
        num_people=run.num_people,
        num_boxes=run.num_boxes,
        num_rows=num_rows,
        seconds={stage: round(seconds, 3) for stage, seconds in run.seconds.items()},
        outputs=tuple(names),
        source_bytes=size,
        source_modified=modified,
        source_fps=round(run.video.info.average_fps, 6),
        source_seconds=round(run.video.info.duration_seconds or run.video.end_seconds, 3),
        cuts_seconds=tuple(round(cut, 3) for cut in run.cuts_seconds),
        warning=run.mismatch(),
    )


def build_scorer(settings: AnnotateSettings) -> tuple[Scorer, WeightsReport | None]:
    """Build the network and load its weights.

    Args:
        settings: The config, the weights and how the network is run.

    Returns:
        The scorer, and the report on the weights file; None for an untrained network.
    """
    options = NetworkOptions(settings.device, settings.precision, settings.execution)
    path = None if settings.weights == RANDOM_WEIGHTS else settings.weights
    return build.build_scorer(settings.config, path, options, settings.overrides)
