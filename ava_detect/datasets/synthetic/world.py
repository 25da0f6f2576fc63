"""Movies of the synthetic world on disk, with ground truth in AVA's format and in that of data sets of tubes.

Shapes: H height, W width of the frames.
"""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ava_detect.config.memory import require_memory_of_processes
from ava_detect.datasets.synthetic.planning import ACTION_IDS, MAX_PEOPLE, plan_movie
from ava_detect.datasets.synthetic.scene import Repertoire
from ava_detect.datasets.synthetic.stage import SeenPerson, Stage
from ava_detect.datasets.synthetic.tubes import TubeRecorder, annotations_of
from ava_detect.errors import AvaDetectError
from ava_detect.formats.ava_csv import AvaTable, write_ava_table
from ava_detect.formats.tube_pickles import write_tube_annotations
from ava_detect.storage.local_files import remove_stale_temporaries, write_text_atomic
from ava_detect.storage.outputs import check_output_folder, first_bytes
from ava_detect.structures import boxes
from ava_detect.structures.frame_tubes import FrameTube
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.progress import OnProgress, Progress
from ava_detect.video.writer import VideoWriter

MIN_SIDE_PIXELS, MAX_SIDE_PIXELS = 64, 4096
MAX_FPS = 240
MIN_SECONDS, MAX_SECONDS = 0.001, 3600.0
MAX_MOVIES = 100_000
MAX_WORLD_SEED = 10**12
MAX_SEED = 2**63 - 1  # of one movie, which in a world is the world's seed many times over
MAX_PROCESSES = 256
_TITLE = "ava_detect synthetic world"
#: The file of the tubes, in the layout of MultiSports, UCF101-24 and JHMDB.
TUBES = "tubes.pkl"
_FILES = ("ground_truth.csv", "label_map.pbtxt", "excluded.csv", TUBES)
_SEED_STRIDE = 1_000_003  # between worlds, so that the worlds of neighbouring seeds share no movie
_TIME_EPSILON_FRAMES = 1e-6

Row = tuple[str, float, npt.NDArray[np.float64], int, int]
FilmedFrame = tuple[float, npt.NDArray[np.uint8], list[SeenPerson]]


@dataclass(frozen=True)
class WorldSettings:
    """Content and format of a world's movies.

    Attributes:
        seed: Seed of the world, 0 to 10**12: equal settings give equal movies.
        num_movies: Number of movies, 1 to 100,000.
        seconds: Length of each movie in seconds, 0.001 to 3600; it has at least one frame.
        fps: Frames per second, 1 to 240.
        width: Width of the frames in pixels, even, 64 to 4096.
        height: Height of the frames in pixels, even, 64 to 4096.
        num_people: Number of people in every shot, 1 to 4, or to 3 with "motion_pairs"; None draws it for each shot.
        repertoire: "everyday", or "motion_pairs" for actions that differ only by their cadence.

    Raises:
        AvaDetectError: If a setting is out of range.
    """

    seed: int
    num_movies: int = 1
    seconds: float = 8.0
    fps: int = 30
    width: int = 640
    height: int = 360
    num_people: int | None = None
    repertoire: str = Repertoire.EVERYDAY

    def __post_init__(self) -> None:
        if not 1 <= self.num_movies <= MAX_MOVIES:
            raise AvaDetectError(f"the number of movies must be from 1 to {MAX_MOVIES:,}, got {self.num_movies:,}")
        if not 0 <= self.seed <= MAX_SEED:
            raise AvaDetectError(f"`seed` must be a whole number from 0 to {MAX_SEED:,}, got {self.seed}")
        if not 1 <= self.fps <= MAX_FPS:
            raise AvaDetectError(f"`fps` must be a whole number from 1 to {MAX_FPS}, got {self.fps}")
        if not MIN_SECONDS <= self.seconds <= MAX_SECONDS:
            raise AvaDetectError(f"`seconds` must be from {MIN_SECONDS} to {MAX_SECONDS:,.0f}, got {self.seconds:g}")
        sides = (self.width, self.height)
        if not MIN_SIDE_PIXELS <= min(sides) <= max(sides) <= MAX_SIDE_PIXELS or any(side % 2 for side in sides):
            raise AvaDetectError(
                f"`width` and `height` must be even and from {MIN_SIDE_PIXELS} to {MAX_SIDE_PIXELS} pixels, got "
                f"{self.width}x{self.height}"
            )
        if self.repertoire not in list(Repertoire):
            raise AvaDetectError(f"`repertoire` must be one of {', '.join(Repertoire)}, got {self.repertoire!r}")
        most = MAX_PEOPLE[Repertoire(self.repertoire)]
        if self.num_people is not None and not 1 <= self.num_people <= most:
            raise AvaDetectError(
                f"`num_people` must be 1 to {most}, or None to let the seed choose, got {self.num_people}"
            )


def film_frames(
    *,
    seed: int,
    seconds: float,
    fps: int = 30,
    width: int = 640,
    height: int = 360,
    num_people: int | None = None,
    repertoire: str = Repertoire.EVERYDAY,
) -> Iterator[FilmedFrame]:
    """Render the frames of one movie; only one shot is in memory at a time.

    Args:
        seed: Seed of the movie; ``WorldSettings`` has the range of each setting.
        seconds: Length in seconds.
        fps: Frames per second.
        width: Width in pixels, even.
        height: Height in pixels, even.
        num_people: Number of people in every shot; None draws it for each shot.
        repertoire: "everyday" or "motion_pairs"; see ``WorldSettings``.

    Returns:
        An iterator over the frames: time in seconds, uint8 RGB ``[H, W, 3]``, and the people that can be seen.

    Raises:
        AvaDetectError: If a setting is out of range.
    """
    settings = WorldSettings(
        seed, seconds=seconds, fps=fps, width=width, height=height, num_people=num_people, repertoire=repertoire
    )
    shots = plan_movie(seed, seconds, width, height, num_people, Repertoire(settings.repertoire))
    return (frame for shot in shots for frame in _film_shot(Stage(shot, width, height), fps))


def _film_shot(stage: Stage, fps: int) -> Iterator[FilmedFrame]:
    for index in range(_first_frame(stage.shot.start_seconds, fps), _first_frame(stage.shot.end_seconds, fps)):
        yield (index / fps, *stage.film(index / fps))


def render_movie(
    path: str | Path,
    *,
    seed: int,
    seconds: float = 8.0,
    fps: int = 30,
    width: int = 640,
    height: int = 360,
    num_people: int | None = None,
    repertoire: str = Repertoire.EVERYDAY,
) -> AvaTable:
    """Write one movie as H.264 mp4.

    Args:
        path: The file; its name without the suffix is the video id.
        seed: Seed of the movie; ``WorldSettings`` has the range of each setting.
        seconds: Length in seconds.
        fps: Frames per second.
        width: Width in pixels, even.
        height: Height in pixels, even.
        num_people: Number of people in every shot; None draws it for each shot.
        repertoire: "everyday" or "motion_pairs"; see ``WorldSettings``.

    Returns:
        The ground truth of every whole second from 0, one row per person and action: the box as fractions of the frame,
        tight around the figure and clipped to the frame, the action id and the person id.

    Raises:
        AvaDetectError: If a setting is out of range; no file is written.
    """
    settings = WorldSettings(
        seed, seconds=seconds, fps=fps, width=width, height=height, num_people=num_people, repertoire=repertoire
    )
    return _render(Path(path), settings).table


@dataclass(frozen=True, eq=False)
class _Movie:
    """The ground truth of one movie: of its whole seconds, and of its frames."""

    table: AvaTable
    tubes: tuple[FrameTube, ...]
    num_frames: int


def _render(path: Path, settings: WorldSettings) -> _Movie:
    """Write the movie of ``settings.seed``."""
    width, height = settings.width, settings.height
    rows: list[Row] = []
    recorder = TubeRecorder()
    frames = film_frames(
        seed=settings.seed,
        seconds=settings.seconds,
        fps=settings.fps,
        width=width,
        height=height,
        num_people=settings.num_people,
        repertoire=settings.repertoire,
    )
    with VideoWriter(path, settings.fps, title=f"{_TITLE}, seed {settings.seed}") as writer:
        for index, (timestamp_seconds, image, people) in enumerate(frames):
            writer.write(image)
            recorder.add(people)
            if index % settings.fps == 0:
                rows += _rows(path.stem, timestamp_seconds, people, width, height)
    labels = {action_id: label for label, action_id in enumerate(ACTION_IDS[Repertoire(settings.repertoire)])}
    return _Movie(_table(rows), recorder.tubes(path.stem, labels), recorder.num_frames)


def write_world(
    folder: str | Path,
    settings: WorldSettings,
    *,
    num_processes: int = 1,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> AvaTable:
    """Write movies and their annotations into a folder that is laid out like AVA.

    The folder gets ``videos/movie_NNN.mp4``; ``ground_truth.csv`` (video_id, timestamp, box, action_id, person_id);
    ``label_map.pbtxt``, the actions of this world with AVA's ids; ``excluded.csv``, empty because every whole second is
    annotated; and ``tubes.pkl``, the boxes on every frame as MultiSports, UCF101-24 and JHMDB have them. The csv is
    written last: if it exists, the movies are complete.

    An older world in the folder is replaced movie by movie. Files of the same names that are not of such a world, such
    as a ground truth made by hand, are refused.

    Args:
        folder: The folder; created if it does not exist.
        settings: Content and format of the movies.
        num_processes: Number of processes that render movies in parallel, 1 to 256; the result is the same. A
            script that asks for more than 1 needs the usual ``if __name__ == "__main__":``.
        overwrite: Whether files of these names that are not of an older world are replaced.
        on_progress: Called after each movie.

    Returns:
        The ground truth of all movies.

    Raises:
        AvaDetectError: If ``num_processes`` is out of range, the folder contains a video that would not be part of the
            new world, or one of the files exists and is not of an older world.

    Example:
        >>> write_world("world", WorldSettings(seed=1, num_movies=40, seconds=30), num_processes=2)
    """
    if settings.seed > MAX_WORLD_SEED:
        raise AvaDetectError(f"`seed` must be a whole number from 0 to {MAX_WORLD_SEED:,}, got {settings.seed}")
    if not 1 <= num_processes <= MAX_PROCESSES:
        raise AvaDetectError(f"the number of processes must be from 1 to {MAX_PROCESSES}, got {num_processes:,}")
    require_memory_of_processes(num_processes, "num_processes")
    folder = Path(folder)
    paths = [folder / "videos" / f"movie_{index:03d}.mp4" for index in range(settings.num_movies)]
    names = [*(str(path.relative_to(folder)) for path in paths), *_FILES]
    check_output_folder(folder, names, {}, is_own=_is_of_a_world, overwrite=overwrite)
    _clear_for(folder, paths)
    jobs = [
        partial(_render, path, replace(settings, seed=settings.seed * _SEED_STRIDE + index, num_movies=1))
        for index, path in enumerate(paths)
    ]
    movies = _run_all(jobs, num_processes, on_progress or (lambda progress: None))
    table = AvaTable.concatenate([movie.table for movie in movies])
    label_map = LabelMap.ava().subset(ACTION_IDS[Repertoire(settings.repertoire)])
    write_text_atomic(folder / "label_map.pbtxt", label_map.to_pbtxt())
    write_text_atomic(folder / "excluded.csv", "")
    of_movies = ((movie.tubes, movie.num_frames) for movie in movies)
    names, size = [path.stem for path in paths], (settings.width, settings.height)
    write_tube_annotations(folder / TUBES, annotations_of(of_movies, names, label_map, size))
    write_ava_table(folder / "ground_truth.csv", table)
    return table


def _clear_for(folder: Path, paths: list[Path]) -> None:
    """Prepare a folder for a world of ``paths``; an older ground truth is wrong from the first new movie on."""
    remove_stale_temporaries(folder / "videos")
    foreign = sorted(set((folder / "videos").glob("*")) - set(paths))
    if foreign:
        raise AvaDetectError(
            f"{foreign[0]} is not part of a world of {len(paths)} movies; remove it or choose another folder"
        )
    for name in ("ground_truth.csv", TUBES):
        (folder / name).unlink(missing_ok=True)


def _is_of_a_world(path: Path) -> bool:
    """Tell whether an existing file is one that ``write_world`` wrote."""
    head = first_bytes(path, 1 << 16)
    if path.suffix == ".mp4":
        return _TITLE.encode() in head
    if path.suffix == ".pbtxt":
        known = (LabelMap.ava().subset(action_ids).to_pbtxt().encode() for action_ids in ACTION_IDS.values())
        return any(head == text[: len(head)] for text in known)
    if path.suffix == ".pkl":
        return head[:1] == b"\x80" and b"gttubes" in head and b"movie_000" in head
    # The ground truth of movies without a person is as empty as the excluded keyframes.
    return not head or (path.name == "ground_truth.csv" and re.match(rb"movie_\d{3,},", head) is not None)


def _run_all(jobs: list[partial[_Movie]], num_processes: int, on_progress: OnProgress) -> list[_Movie]:
    """Run jobs in this process or in several, and return their results in the order of the jobs."""
    if num_processes == 1:
        movies = []
        for job in jobs:
            movies.append(job())
            on_progress(Progress("videos", len(movies), len(jobs)))
        return movies
    # A forked process would inherit the threads of the libraries loaded here in an undefined state.
    with ProcessPoolExecutor(min(num_processes, len(jobs)), multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(job) for job in jobs]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                on_progress(Progress("videos", done, len(jobs)))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return [future.result() for future in futures]


def _first_frame(seconds: float, fps: int) -> int:
    """Return the index of the first frame at or after ``seconds``."""
    return int(np.ceil(seconds * fps - _TIME_EPSILON_FRAMES))


def _rows(video_id: str, timestamp_seconds: float, people: list[SeenPerson], width: int, height: int) -> Iterator[Row]:
    """Yield one row per person and action of a keyframe."""
    for person in people:
        box = boxes.pixels_to_fractions(person.box_xyxy[None], width, height)[0]
        for action_id in person.action_ids:
            yield video_id, timestamp_seconds, box, action_id, person.person_id


def _table(rows: list[Row]) -> AvaTable:
    if not rows:
        return AvaTable.empty()
    video_ids, timestamps, corners, action_ids, person_ids = zip(*rows, strict=True)
    return AvaTable.from_columns(video_ids, timestamps, corners, action_ids, person_ids=person_ids)
