"""The state of a review: the corrections of all videos, to which events are added one at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, cached_property
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from threading import RLock
from typing import Any

from filelock import FileLock, Timeout

from ava_detect.errors import ConfigError, os_error_message, shown
from ava_detect.formats.json_values import LARGEST_INT64, MALFORMED, check_text, check_whole, reason_of
from ava_detect.results.corrections.events import Event, rounded_seconds
from ava_detect.results.corrections.folder import (
    CORRECTIONS_FILE,
    CorrectionsInfo,
    base_of,
    read_info,
    read_logs,
    torn_notices,
    write_info,
)
from ava_detect.results.corrections.keyframes import CorrectedKeyframe, VideoCorrections
from ava_detect.results.corrections.log import LOG_SUFFIX, Base, LogWriter, ReadLog
from ava_detect.results.corrections.order import review_order
from ava_detect.results.saved import ReadOptions, SavedResults, read_run
from ava_detect.results.saved_run import SavedRun, SavedVideo, open_run
from ava_detect.storage.file_hashes import sha256_of
from ava_detect.storage.file_names import file_stems
from ava_detect.storage.outputs import check_output_folder, refuse_same_address
from ava_detect.structures.labels import Action, LabelMap

Answer = tuple[HTTPStatus, dict[str, Any]]

DEFAULT_MIN_SCORE = 0.5
_LOCK_FILE = ".review.lock"
# Fields of an event that the server gives.
_SERVERS_OWN = frozenset({"id", "time"})


@dataclass
class _Video:
    """A video of the review; ``opened`` and ``writer`` once it was looked at, or has been corrected before.

    Until then ``base_line`` has its keyframes: reading the results again would take long where they are.
    """

    saved: SavedVideo
    seconds: tuple[float, ...]
    log: Path
    base_line: bytes = b""
    accepted: set[float] = field(default_factory=set)
    opened: VideoCorrections | None = None
    writer: LogWriter | None = None

    @cached_property
    def place(self) -> dict[float, int]:
        """Time of each keyframe -> its index."""
        return {seconds: index for index, seconds in enumerate(self.seconds)}


class Review:
    """The corrections of results, and the order in which keyframes are reviewed.

    All methods may be called from several threads.

    Args:
        results: The folder that ``annotate_videos`` wrote, or one file of results. They are never changed.
        out: The folder of the corrections; a review that began there goes on.
        options: How the results are read.
        min_score: An action that scores as much counts as ticked at the beginning, 0..1; None for that of the review
            that began in ``out``, or 0.5.
        order: What to look at first: ``time``, or ``useful`` for what teaches a network most.
        budget: Number of keyframes to review; None for all.

    Raises:
        ConfigError: ``out`` is no folder of corrections, belongs to other results, or is being reviewed already; or a
            setting is out of range.
        FormatError: There are no results, or a file cannot be read.
        OSError: ``out`` cannot be written.
    """

    def __init__(
        self,
        results: str | Path,
        out: str | Path,
        options: ReadOptions | None = None,
        *,
        min_score: float | None = None,
        order: str = "time",
        budget: int | None = None,
    ) -> None:
        self.folder, self.results, self.options = Path(out), Path(results), options or ReadOptions()
        if min_score is not None and not 0 <= min_score <= 1:
            raise ConfigError(f"`min_score` is a score from 0 to 1, got {min_score:g}")
        self.run: SavedRun = open_run(self.results)
        _check_folder(self.folder, self.results, self.run)
        self._lock = RLock()
        self._folder_lock = FileLock(self.folder / _LOCK_FILE, thread_local=False)
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._folder_lock.acquire(blocking=False)
        except Timeout:
            raise ConfigError(
                f"`out` {shown(self.folder)} is being reviewed by another process; use its address, or end it"
            ) from None
        try:
            self._open(min_score, order, budget)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let another process review the folder."""
        self._folder_lock.release()

    def _open(self, min_score: float | None, order: str, budget: int | None) -> None:
        found = {one.video_id: one for one in read_run(self.run, self.options)}
        self.info = self._begin(found, min_score)
        self._min_score = self.info.min_score if min_score is None else min_score
        logs = read_logs(self.folder, self.info)
        self.notices = torn_notices(logs)
        with_log = {log.base.video_id: (path, log) for path, log in logs.items()}
        stems, sha256 = file_stems(found), cache(sha256_of)
        # By the index in the run, which is also that of the page.
        self._videos: dict[int, _Video] = {}
        for index, saved in enumerate(self.run.videos):
            if saved.video_id not in found:
                continue
            seconds = tuple(rounded_seconds(k.timestamp_seconds) for k in found[saved.video_id].keyframes)
            path = self.folder / f"{stems[saved.video_id]}{LOG_SUFFIX}"
            video = self._videos[index] = _Video(saved, seconds, path)
            if saved.video_id in with_log:
                self._take_over(video, *with_log[saved.video_id])
            else:
                assert saved.file is not None, "a video of the review has results"
                video.base_line = base_of(found[saved.video_id], sha256(saved.file), self._min_score).line
        by_id = {video.saved.video_id: index for index, video in self._videos.items()}
        chosen = review_order({video_id: one.keyframes for video_id, one in found.items()}, budget, order)
        self.order = [(by_id[video_id], self._index(by_id[video_id], seconds)) for video_id, seconds in chosen]
        self._place_in_order = {keyframe: place for place, keyframe in enumerate(self.order)}
        self._num_accepted = sum(self._videos[i].seconds[k] in self._videos[i].accepted for i, k in self.order)

    def _begin(self, found: dict[str, SavedResults], min_score: float | None) -> CorrectionsInfo:
        """Read ``corrections.json``, or write it; with a label map of the options also to add its actions."""
        actions: dict[int, Action] = {}
        for one in found.values():
            actions.update((action.id, action) for action in one.choices)
        given = self.options.given_label_map()
        results = str(self.results.resolve())
        start = self.run.start_seconds(self.options.start_seconds)
        if not (self.folder / CORRECTIONS_FILE).is_file():
            label_map = LabelMap(tuple(actions[action_id] for action_id in sorted(actions)))
            least = DEFAULT_MIN_SCORE if min_score is None else min_score
            return write_info(self.folder, results, least, label_map, start_seconds=start)
        info = read_info(self.folder)
        known = {action.id: action for action in info.label_map}
        wanted = known | ({action_id: actions[action_id] for action_id in given.ids} if given is not None else {})
        wanted |= {action_id: action for action_id, action in actions.items() if action_id not in wanted}
        if wanted == known and start == info.start_seconds:
            return info
        label_map = LabelMap(tuple(wanted[action_id] for action_id in sorted(wanted)))
        return write_info(self.folder, results, info.min_score, label_map, start_seconds=start, review_id=info.id)

    def _take_over(self, video: _Video, path: Path, log: ReadLog) -> None:
        """Go on with the log of a video."""
        assert video.saved.file is not None, "a video of the review has results"
        if log.base.results_sha256 != sha256_of(video.saved.file) or tuple(log.base.keyframes) != video.seconds:
            raise ConfigError(
                f"{shown(path)} holds corrections of other results of {shown(video.saved.video_id)} than those in "
                f"{shown(video.saved.file)}; give the results that it began with, or another folder (`out`)"
            )
        video.log, video.opened = path, log.video
        video.writer = LogWriter(path, log.base, log.num_bytes)
        video.accepted = {seconds for seconds, keyframe in log.video.keyframes.items() if keyframe.is_accepted}

    def _opened(self, index: int) -> VideoCorrections:
        """Return the corrections of a video; they begin with its results where it was not looked at yet."""
        video = self._videos[index]
        if video.opened is None:
            base, video.base_line = Base.from_line(video.base_line), b""
            video.opened = VideoCorrections(base.video_id, base.keyframes, self.info.label_map.ids)
            video.writer = LogWriter(video.log, base)
        return video.opened

    def _index(self, index: int, seconds: float) -> int:
        return self._videos[index].place[rounded_seconds(seconds)]

    def _mark(self, index: int, seconds: float, is_accepted: bool) -> None:
        """Note whether a keyframe is accepted."""
        video = self._videos[index]
        if is_accepted != (seconds in video.accepted):
            (video.accepted.add if is_accepted else video.accepted.discard)(seconds)
            if (index, video.place[seconds]) in self._place_in_order:
                self._num_accepted += 1 if is_accepted else -1

    def overview(self) -> dict[str, Any]:
        """Describe the review.

        Returns:
            As JSON values: its id, the actions, and for each video by its index the number of accepted keyframes, of
            keyframes in the order, and of all keyframes.
        """
        with self._lock:
            accepted = dict.fromkeys(self._videos, 0)
            chosen = dict(accepted)
            for index, keyframe in self.order:
                video = self._videos[index]
                chosen[index] += 1
                accepted[index] += video.seconds[keyframe] in video.accepted
            return {
                "id": self.info.id,
                "actions": [
                    {"id": action.id, "name": action.name, "kind": str(action.kind)} for action in self.info.label_map
                ],
                "videos": {i: [accepted[i], chosen[i], len(video.seconds)] for i, video in self._videos.items()},
                "progress": [sum(accepted.values()), len(self.order)],
                "notices": self.notices,
            }

    def state(self, index: int, session: str, seen: int | None = None) -> dict[str, Any]:
        """Describe the corrected keyframes of a video.

        Args:
            index: Index of the video in the run.
            session: Name of the window that asks.
            seen: The last event that the window knows; None for all keyframes.

        Returns:
            As JSON values: the last event (``seen``), the keyframes that later events changed (index, time, whether
            accepted, people), what the window can undo and redo (event and index of the keyframe), and the progress.

        Raises:
            KeyError: There is no such video.
        """
        with self._lock:
            video = self._videos[index]
            corrections = self._opened(index)
            times = list(corrections.keyframes) if seen is None else corrections.changed_since(seen)
            place = video.place

            def last(event: int | None) -> list[int] | None:
                seconds = None if event is None else corrections.seconds_of(event)
                return None if event is None or seconds is None else [event, place[seconds]]

            return {
                "seen": corrections.last_event,
                "keyframes": [_keyframe_to_json(place[t], t, corrections.keyframes[t]) for t in times],
                "undo": last(corrections.undoable(session)),
                "redo": last(corrections.redoable(session)),
                "progress": list(self.progress()),
            }

    def progress(self) -> tuple[int, int]:
        """Return the number of accepted keyframes among those to review, and of keyframes to review."""
        with self._lock:
            return self._num_accepted, len(self.order)

    def following(self, here: tuple[int, int] | None = None) -> tuple[int, float] | None:
        """Find the next keyframe to review.

        Args:
            here: Index of the video in the run and of the keyframe, behind whose place in the order the search begins;
                it goes on from the start. None, or a keyframe that is not in the order, for the start.

        Returns:
            Index of the video and time of the keyframe in seconds; None where all other keyframes are accepted.
        """
        with self._lock:
            start = self._place_in_order[here] + 1 if here in self._place_in_order else 0
            for i, k in map(self.order.__getitem__, chain(range(start, len(self.order)), range(start))):
                if (i, k) != here and self._videos[i].seconds[k] not in self._videos[i].accepted:
                    return i, self._videos[i].seconds[k]
            return None

    def submit(self, index: int, body: Any) -> Answer:
        """Add an event to the log of a video; it is on the disk when this returns.

        Args:
            index: Index of the video in the run.
            body: What the window sent, as JSON values: ``session``, ``call``, ``seen`` (the last event of the video
                that it knows), ``seconds``, ``kind``, the fields of the kind, and perhaps the id of the ``video``.
                ``add`` without ``person`` and ``split`` without ``into`` get a new track id. A call that has arrived
                before changes nothing.

        Returns:
            Status and value: 200 with the event and what has changed since ``seen``; 400 where it is no event; 409
            where it does not fit the keyframes, with what has changed since; 507 where it could not be written.

        Raises:
            KeyError: There is no such video.
        """
        with self._lock:
            video = self._videos[index]
            corrections = self._opened(index)
            assert video.writer is not None, "an opened video has a writer"
            try:
                seen = _seen_of(body)
                event = _event_of(body, corrections)
            except MALFORMED as error:
                return HTTPStatus.BAD_REQUEST, {"reason": reason_of(error)}
            known = corrections.event_of(event.session, event.call)
            if known is not None:
                return HTTPStatus.OK, {"event": known, **self.state(index, event.session, seen)}
            try:
                changes = corrections.changes(event, seen)
            except ValueError as error:
                return HTTPStatus.CONFLICT, {"reason": str(error), **self.state(index, event.session, seen)}
            try:
                video.writer.append(event)
            except OSError as error:
                return HTTPStatus.INSUFFICIENT_STORAGE, {"reason": os_error_message(error)}
            corrections.apply(event, changes)
            for seconds, keyframe in changes.items():
                self._mark(index, seconds, keyframe.is_accepted)
            return HTTPStatus.OK, {
                "event": event.id,
                "person": event.details.get("into", event.details.get("person")),
                **self.state(index, event.session, seen),
            }


def _check_folder(out: Path, results: Path, run: SavedRun) -> None:
    """Refuse a folder that holds something else than corrections."""
    inputs = {"results": [results, *(video.file for video in run.videos if video.file is not None)]}
    refuse_same_address(out, inputs)
    check_output_folder(out, [CORRECTIONS_FILE], inputs, overwrite=None)
    if out.is_dir() and not (out / CORRECTIONS_FILE).is_file() and any(out.glob(f"*{LOG_SUFFIX}")):
        raise ConfigError(
            f"`out` {shown(out)} holds .jsonl files that are no corrections; choose a new or an empty folder"
        )


def _keyframe_to_json(index: int, seconds: float, keyframe: CorrectedKeyframe) -> list[Any]:
    people = [[track, person.box_fraction, person.actions] for track, person in keyframe.people.items()]
    return [index, seconds, keyframe.is_accepted, people]


def _seen_of(body: Any) -> int:
    if not isinstance(body, dict):
        raise TypeError(f"an event is an object, got {body!r:.80}")
    check_whole("seen", body["seen"], 0, LARGEST_INT64)
    seen: int = body["seen"]
    return seen


def _event_of(body: dict[str, Any], video: VideoCorrections) -> Event:
    """Complete the event that a window sent."""
    own = sorted(_SERVERS_OWN & set(body))
    if own:
        raise ValueError(f"{own[0]} is given by the server")
    if body.get("video", video.video_id) != video.video_id:
        raise ValueError(f"it is of the video {body['video']!r:.80}, and this is {video.video_id!r:.80}")
    check_text("kind", body["kind"])
    value = {name: content for name, content in body.items() if name != "seen"}
    new = {"add": "person", "split": "into"}.get(body["kind"])
    if new is not None:
        value.setdefault(new, video.new_track)
    value |= {
        "id": video.last_event + 1,
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "video": video.video_id,
    }
    return Event.from_json(value)
