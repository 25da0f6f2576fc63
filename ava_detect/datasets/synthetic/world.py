"""Movies of the synthetic world on disk, with ground truth as AVA writes it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ava_detect.datasets.synthetic.planning import ACTION_IDS, MAX_PEOPLE, plan_movie
from ava_detect.datasets.synthetic.scene import Repertoire
from ava_detect.datasets.synthetic.stage import SeenPerson, Stage
from ava_detect.errors import AvaDetectError
from ava_detect.formats.ava_csv import AvaTable, write_ava_table
from ava_detect.storage.local_files import remove_stale_temporaries, write_text_atomic
from ava_detect.structures import boxes
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.progress import OnProgress, Progress
from ava_detect.video.writer import VideoWriter

MIN_SIDE_PIXELS = 64
Row = tuple[str, float, npt.NDArray[np.float64], int, int]


def film_frames(
    *,
    seed: int,
    seconds: float,
    fps: int = 30,
    width: int = 640,
    height: int = 360,
    num_people: int | None = None,
    repertoire: str = Repertoire.EVERYDAY,
) -> Iterator[tuple[float, npt.NDArray[np.uint8], list[SeenPerson]]]:
    """The frames of one movie: time in seconds, uint8 RGB ``[H, W, 3]``, and the people on it.

    ``num_people``: 1 to 4 in every shot; None lets the seed choose shot by shot. ``repertoire``: "everyday", or
    "motion_pairs" for actions that differ only by their cadence. One shot is in memory at a time.
    Raises ``AvaDetectError`` for a setting out of range.
    """
    _check_settings(seed, seconds, fps, width, height, num_people, repertoire)
    shots = plan_movie(seed, seconds, width, height, num_people, Repertoire(repertoire))
    return (frame for shot in shots for frame in _film_shot(Stage(shot, width, height), fps))


def _film_shot(stage: Stage, fps: int) -> Iterator[tuple[float, npt.NDArray[np.uint8], list[SeenPerson]]]:
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
    """Write one movie as H.264 mp4 and return its ground truth for every whole second from 0.

    The video id is the file's name without its suffix. One row a person and action: boxes as fractions of the frame,
    tight around the figure and cut at the frame, and the person's id. See ``film_frames`` for the settings.
    """
    path = Path(path)
    rows: list[Row] = []
    frames = film_frames(
        seed=seed,
        seconds=seconds,
        fps=fps,
        width=width,
        height=height,
        num_people=num_people,
        repertoire=repertoire,
    )
    with VideoWriter(path, fps, title=f"ava_detect synthetic world, seed {seed}") as writer:
        for index, (timestamp_seconds, image, people) in enumerate(frames):
            writer.write(image)
            if index % fps == 0:
                rows += _rows(path.stem, timestamp_seconds, people, width, height)
    return _table(rows)


def write_world(
    folder: str | Path,
    *,
    seed: int,
    num_movies: int = 1,
    seconds: float = 8.0,
    fps: int = 30,
    width: int = 640,
    height: int = 360,
    num_people: int | None = None,
    repertoire: str = Repertoire.EVERYDAY,
    num_processes: int = 1,
    on_progress: OnProgress | None = None,
) -> AvaTable:
    """Write movies and their annotations as a folder that is laid out like AVA, and return the ground truth.

    ``videos/movie_NNN.mp4``; ``ground_truth.csv`` (video_id, timestamp, box, action_id, person_id);
    ``label_map.pbtxt``, the actions that this world plays, with AVA's ids; ``excluded.csv``, empty because every
    whole second is annotated. The csv is written last: where it stands, the movies are complete.

    An older world in ``folder`` is replaced movie by movie, but a video that would not be part of the new one is an
    error. ``num_processes`` render movies side by side, with the same result (a script that asks for more than 1 needs
    the usual ``if __name__ == "__main__":``). ``on_progress`` is told of the movies.
    """
    if num_movies < 1:
        raise AvaDetectError(f"num_movies must be at least 1, got {num_movies}")
    if num_processes < 1:
        raise AvaDetectError(f"num_processes must be at least 1, got {num_processes}")
    _check_settings(seed, seconds, fps, width, height, num_people, repertoire)
    folder = Path(folder)
    paths = [folder / "videos" / f"movie_{index:03d}.mp4" for index in range(num_movies)]
    _clear_for(folder, paths)
    render = partial(
        render_movie,
        seconds=seconds,
        fps=fps,
        width=width,
        height=height,
        num_people=num_people,
        repertoire=repertoire,
    )
    # far apart, so that the worlds of neighbouring seeds share no movie
    jobs = [partial(render, path, seed=seed * 1_000_003 + index) for index, path in enumerate(paths)]
    table = AvaTable.concatenate(_all_done(jobs, num_processes, on_progress or (lambda progress: None)))
    write_text_atomic(folder / "label_map.pbtxt", LabelMap.ava().subset(ACTION_IDS[Repertoire(repertoire)]).to_pbtxt())
    write_text_atomic(folder / "excluded.csv", "")
    write_ava_table(folder / "ground_truth.csv", table)
    return table


def _clear_for(folder: Path, paths: list[Path]) -> None:
    """Make way for a world of ``paths``: an older ground truth would be wrong from the first new movie on."""
    remove_stale_temporaries(folder / "videos")
    foreign = sorted(set((folder / "videos").glob("*")) - set(paths))
    if foreign:
        raise AvaDetectError(
            f"{foreign[0]} is not part of a world of {len(paths)} movies; remove it or choose another folder"
        )
    (folder / "ground_truth.csv").unlink(missing_ok=True)


def _all_done(jobs: list[partial[AvaTable]], num_processes: int, on_progress: OnProgress) -> list[AvaTable]:
    """The results of ``jobs`` in their order, in this process or in several."""
    if num_processes == 1:
        tables = []
        for job in jobs:
            tables.append(job())
            on_progress(Progress("videos", len(tables), len(jobs)))
        return tables
    # A forked process would inherit the threads of whatever this one has loaded in an undefined state.
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


def _check_settings(
    seed: int, seconds: float, fps: int, width: int, height: int, num_people: int | None, repertoire: str
) -> None:
    if seed < 0:
        raise AvaDetectError(f"seed must be a whole number from 0, got {seed}")
    if not seconds > 0:
        raise AvaDetectError(f"seconds must be above 0, got {seconds}")
    if fps < 1:
        raise AvaDetectError(f"fps must be a whole number from 1, got {fps}")
    if min(width, height) < MIN_SIDE_PIXELS or width % 2 or height % 2:
        raise AvaDetectError(f"width and height must be even and at least {MIN_SIDE_PIXELS}, got {width}x{height}")
    if repertoire not in list(Repertoire):
        raise AvaDetectError(f"repertoire must be one of {', '.join(Repertoire)}, got {repertoire!r}")
    if num_people is not None and not 1 <= num_people <= MAX_PEOPLE[Repertoire(repertoire)]:
        raise AvaDetectError(
            f"num_people must be 1 to {MAX_PEOPLE[Repertoire(repertoire)]}, or None to let the seed choose, "
            f"got {num_people}"
        )


def _first_frame(seconds: float, fps: int) -> int:
    """The first frame whose time is not before ``seconds``."""
    return int(np.ceil(seconds * fps - 1e-6))


def _rows(video_id: str, timestamp_seconds: float, people: list[SeenPerson], width: int, height: int) -> Iterator[Row]:
    for person in people:
        box = boxes.pixels_to_fractions(person.box_xyxy[None], width, height)[0]
        for action_id in person.action_ids:
            yield video_id, timestamp_seconds, box, action_id, person.person_id


def _table(rows: list[Row]) -> AvaTable:
    if not rows:
        return AvaTable.empty()
    video_ids, timestamps, corners, action_ids, person_ids = zip(*rows, strict=True)
    return AvaTable.from_columns(video_ids, timestamps, corners, action_ids, person_ids=person_ids)
