"""Annotating one video: its rows, and a drawn copy, all there or none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from ava_detect.annotation.head_start import HeadStart
from ava_detect.annotation.settings import AnnotateSettings
from ava_detect.config.build import label_map_of
from ava_detect.detectors.precomputed import PrecomputedBoxes
from ava_detect.formats.writers import result_path, results_writer
from ava_detect.inference import build
from ava_detect.inference.people_detector import people_detector
from ava_detect.inference.pipeline import Pipeline, VideoRun
from ava_detect.inference.scorer import ClipScorer, PlannedScorer, Scorer
from ava_detect.models.network_options import NetworkOptions, ResolvedNetworkOptions, resolve_device
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


@dataclass(frozen=True)
class _BegunVideo:
    """A video that is read before its turn, and the state of its file before that."""

    source: SourceVideo
    state: tuple[int, float]
    run: VideoRun


class VideoAnnotator:
    """A pipeline built once, for one video after another.

    Args:
        settings: What decides the results.
        num_threads: Number of threads of the detector, by default the number of cores; the network's are PyTorch's.
        scorer: Has the network; by default it is built here.
        head_start: What has been begun before.
        on_stage: Called with the name of each loading stage.
    """

    def __init__(
        self,
        settings: AnnotateSettings,
        num_threads: int | None = None,
        scorer: ClipScorer | None = None,
        head_start: HeadStart | None = None,
        on_stage: Callable[[str], None] = lambda stage: None,
    ) -> None:
        config = settings.config
        self.settings = settings
        self.device = resolve_device(settings.device)
        self.weights_report: WeightsReport | None = None
        label_map = label_map_of(config)
        self._written = settings.score_rules.for_classes(label_map)
        on_stage("loading the person detector")
        if head_start is not None and head_start.detector is not None:
            detector = head_start.detector.result()
        else:
            detector = people_detector(
                config,
                settings.detector,
                min_person_score=settings.min_person_score,
                device=self.device,
                num_threads=num_threads,
            )
        self.precision = settings.precision
        self._boxes_start_seconds = detector.start_seconds if isinstance(detector, PrecomputedBoxes) else 0.0
        network = _network_options(settings).resolve()
        planned = PlannedScorer(config.clip.settings(), config.model.head.num_classes, network.clips_per_batch)
        self.pipeline = Pipeline(
            detector,
            planned if scorer is None else scorer,
            label_map=label_map,
            every_seconds=settings.every_seconds,
            new_person_score=settings.new_person_score or 0.0,
        )
        self._begun: _BegunVideo | None = None
        if scorer is not None:
            return
        if head_start is not None and head_start.first is not None:
            self._begin(head_start.first)
        on_stage("loading the network")
        try:
            # The network comes last, because it takes the most time and memory to load.
            scorer, self.weights_report = _scorer(settings, network)
            if head_start is not None:
                head_start.wait()
        except BaseException:
            self.close()
            raise
        self.pipeline.scorer = scorer
        self.precision = scorer.network.precision

    def _begin(self, source: SourceVideo) -> None:
        """Start to read a file and to find its people; ``annotate`` raises its errors."""
        if isinstance(source.path, Address):
            return
        with suppress(Exception):
            state = file_state(source.path)
            self._begun = _BegunVideo(source, state, self._run(source, source.path))
            self._begun.run.start()

    def close(self) -> None:
        """End the reading of a first video whose turn did not come."""
        if self._begun is not None:
            self._begun.run.close()
            self._begun = None

    def _run(self, source: SourceVideo, video: Path | RemoteVideo) -> VideoRun:
        """The pipeline's run over a video."""
        if isinstance(self.pipeline.detector, PrecomputedBoxes):
            own = self._boxes_start_seconds if source.start_seconds is None else source.start_seconds
            self.pipeline.detector.start_seconds = own
        return self.pipeline(video, video_id=source.video_id)

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
        if self._begun is not None and self._begun.source != source:
            self.close()
        begun, self._begun = self._begun, None
        state = file_state(source.path) if begun is None else begun.state
        keyframes: list[ActionDetections] = []
        num_rows = 0
        with ExitStack() as outputs:
            path = source.path
            video = outputs.enter_context(RemoteVideo(path)) if isinstance(path, Address) else path
            run = outputs.enter_context(closing(self._run(source, video) if begun is None else begun.run))
            write = outputs.enter_context(
                results_writer(
                    out,
                    name,
                    settings.formats,
                    self.pipeline.label_map,
                    start_seconds=start_seconds,
                    note=settings.note,
                )
            )
            for scored in run:
                keyframe, kept = self._written(scored)
                write(keyframe, kept)
                num_rows += int(kept.sum())
                if settings.draw:
                    keyframes.append(self._written.drawn(keyframe, kept))
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
        if self._written.least_drawn is not None:
            options = replace(options, min_score=self._written.least_drawn)
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
    return _scorer(settings, _network_options(settings).resolve())


def _network_options(settings: AnnotateSettings) -> NetworkOptions:
    return NetworkOptions(settings.device, settings.precision, settings.execution)


def _scorer(settings: AnnotateSettings, network: ResolvedNetworkOptions) -> tuple[Scorer, WeightsReport | None]:
    path = None if settings.weights == RANDOM_WEIGHTS else settings.weights
    return build.build_scorer(settings.config, path, NetworkOptions(**asdict(network)), settings.overrides)
