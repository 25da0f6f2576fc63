"""The report of a dataset check, as text and as JSON, and the list of all kinds of findings.

A *problem* stops training, or teaches the network something wrong. A *note* may be intended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ava_detect.errors import counted

Level = Literal["problem", "note"]

PLACES_SHOWN = 5
_MOST_CLASSES = 200  # listed in full: Charades has 157; of the 400 and more of Kinetics only rare ones are
RARE_ROWS = 25  # AVA scores the 60 of its 80 actions with at least 25 boxes in validation and test


@dataclass(frozen=True)
class Kind:
    """A kind of finding.

    Attributes:
        level: Whether it is a problem or a note.
        what: What is wrong.
        advice: What to do about it. Parameters and config keys are in backquotes.
    """

    level: Level
    what: str
    advice: str


KINDS: Mapping[str, Kind] = {
    "unreadable-file": Kind("problem", "a file of annotations cannot be read", "correct the line that is named"),
    "unusable-annotations": Kind(
        "problem",
        "annotations that training refuses as a whole",
        "give the label map that they belong to, and keep keyframes with people",
    ),
    "missing-video": Kind(
        "problem",
        "annotated, but there is no video of that name",
        "get the file, or remove its rows; a video's id is its file's name without the suffix, in the same case",
    ),
    "ambiguous-video": Kind("problem", "several files have the name of one video", "keep one of them in the folder"),
    "unannotated-video": Kind("note", "a video without any annotation", "it is not used; is its name that of the csv?"),
    "unreadable-video": Kind("problem", "a video that cannot be opened", "get the file again"),
    "damaged-video": Kind("problem", "a video with damaged or missing parts", "get the file again, or re-encode it"),
    "second-past-end": Kind(
        "problem",
        "annotated seconds lie past the end of the video",
        "get the whole video; or set `start_seconds` to where in its movie the file starts (900 for AVA's usual cut)",
    ),
    "frame-past-end": Kind(
        "problem",
        "frames of tubes lie past the end of the video",
        "get the whole video, or extract all of its frames; the frames of tubes count from 1",
    ),
    "frame-outside": Kind(
        "problem",
        "frames of tubes before the first or after the last that the pickle counts (`nframes`)",
        "frames count from 1; correct the tubes or `nframes`",
    ),
    "frame-count": Kind(
        "note",
        "another number of frames than the pickle counts (`nframes`)",
        "is it the video that was labelled, at its own frame rate? re-encoded files lose or repeat frames",
    ),
    "frame-size": Kind(
        "problem",
        "frames of another shape than the pickle's `resolution`, so that boxes are elsewhere",
        "get the video that was labelled, or correct its height and width",
    ),
    "tube-outside": Kind(
        "note",
        "boxes of tubes that reach out of the frame",
        "training clips them; if many do, `resolution` may be another video's, or width and height exchanged",
    ),
    "frame-rate": Kind(
        "problem",
        "fewer frames per second than the network samples",
        "get the video at its own rate (AVA's have 24 to 60); repeated frames show no motion",
    ),
    "variable-frame-rate": Kind(
        "note",
        "frames come at uneven times",
        "`clip.sampling=time` needs no change; other tools, and `clip.sampling=frames`, assume even times",
    ),
    "unusable-frames": Kind(
        "problem",
        "extracted frames that training cannot read: numbers left out, broken images, other names",
        "extract the frames again, as VIDEO/VIDEO_000001.jpg or VIDEO/img_00001.jpg and on",
    ),
    "time-jump": Kind(
        "note",
        "time stamps jump, as in a file put together of parts",
        "the parts are joined here; other tools may show other times, so re-encode the file if they are to agree",
    ),
    "second-outside": Kind(
        "problem",
        "seconds before the video starts, or outside AVA's 902 to 1798",
        "timestamps are seconds of the movie; set `start_seconds` to where in it the files start (900, or 0)",
    ),
    "box-in-pixels": Kind(
        "problem", "boxes in pixels", "divide x by the frame's width and y by its height: boxes are fractions, 0 to 1"
    ),
    "box-outside-frame": Kind("problem", "boxes that reach out of the frame", "clip the corners to 0..1"),
    "box-degenerate": Kind(
        "problem", "boxes without area", "the columns are x1,y1,x2,y2 with x1 < x2 and y1 < y2; not x, y, width, height"
    ),
    "unknown-action": Kind(
        "problem", "action ids that the label map lacks", "correct the ids, or give the label map that they belong to"
    ),
    "duplicate-row": Kind("problem", "rows that repeat an earlier one", "remove the copies; they are scored twice"),
    "person-with-two-boxes": Kind(
        "problem", "one person id with several boxes at one second", "give each person of a keyframe an id of its own"
    ),
    "box-without-action": Kind(
        "note", "boxes that name no action", "in training, the person is a negative for every action; is that intended?"
    ),
    "row-without-person": Kind(
        "note", "rows without a person id among rows that have one", "give all of them an id, or none"
    ),
    "exclusion-matches-nothing": Kind(
        "note",
        "excluded keyframes that are not annotated",
        "compare names and seconds (AVA's own lists contain keyframes that its csv lacks)",
    ),
    "split-leak": Kind(
        "problem",
        "videos that are in more than one split",
        "keep each in one: a score on training videos says little",
    ),
    "video-without-proposals": Kind(
        "problem", "annotated videos without any proposal", "run the detector on them; compare the names"
    ),
    "keyframe-without-proposals": Kind(
        "note", "annotated keyframes without a proposal", "all people on them are missed in a test with these boxes"
    ),
    "proposals-of-other-video": Kind(
        "note", "proposals of videos that are not annotated", "they are not used; compare the names"
    ),
    "score-is-id": Kind(
        "problem",
        "scores of 0 where all scores are 0 or 1",
        "column 8 of proposals is the person's score, not an id; leave the column out where every box counts",
    ),
    "score-outside": Kind(
        "problem",
        "proposal scores outside 0..1",
        "column 8 of proposals is the person's score, 0 to 1, not an id",
    ),
    "action-backwards": Kind("problem", "actions that end before they start", "the times are start, then end"),
    "label-outside": Kind(
        "problem", "labels that the model has no column for", "labels are numbered from 0 to `num_classes` - 1"
    ),
}


@dataclass(frozen=True)
class Finding:
    """A fault of one split: how often it occurs, and where.

    Attributes:
        kind: The kind of finding, a key of ``KINDS``.
        split: The split's name.
        count: How often it occurs, in ``unit``.
        unit: What is counted, in the singular, such as "row" or "video".
        places: The first few locations as text, with file and line where they have them.
    """

    kind: str
    split: str
    count: int
    unit: str
    places: tuple[str, ...]

    @property
    def level(self) -> Level:
        """``problem`` or ``note``."""
        return KINDS[self.kind].level

    def __str__(self) -> str:
        kind = KINDS[self.kind]
        lines = [f"{kind.level.upper():<8}{self.kind}: {kind.what} ({counted(self.count, self.unit)})"]
        lines += [f"          {place}" for place in self.places]
        if self.count > len(self.places):
            lines.append(f"          and {self.count - len(self.places):,} more")
        return "\n".join([*lines, f"        try: {kind.advice}"])

    def to_json(self) -> dict[str, Any]:
        """Return the finding, its level, meaning and advice as plain values for ``json.dumps``."""
        kind = KINDS[self.kind]
        return {**asdict(self), "level": kind.level, "what": kind.what, "advice": kind.advice}


@dataclass(frozen=True)
class SplitSummary:
    """The counts of one split.

    Attributes:
        name: The split's name.
        annotations: The file of annotations.
        num_rows: Number of rows, or of labels in a list of videos.
        num_keyframes: Number of annotated keyframes; None where labels are of whole videos.
        num_videos: Number of annotated videos.
        num_unscored_rows: Number of rows whose action exists but is not scored.
        rows_of_class: Number of rows by action id, for all actions of the label map; None if unknown.
    """

    name: str
    annotations: str
    num_rows: int = 0
    num_keyframes: int | None = None
    num_videos: int = 0
    num_unscored_rows: int = 0
    rows_of_class: Mapping[int, int] | None = None

    def __str__(self) -> str:
        keyframes = "" if self.num_keyframes is None else f"{counted(self.num_keyframes, 'keyframe')}, "
        rows, videos = counted(self.num_rows, "row"), counted(self.num_videos, "video")
        unscored = f"; {counted(self.num_unscored_rows, 'row')} of unscored actions" if self.num_unscored_rows else ""
        return f"{self.name}: {self.annotations}: {rows}, {keyframes}{videos}{unscored}"


@dataclass(frozen=True)
class DataReport:
    """The result of a dataset check. ``bool(report)`` is true if there is no problem.

    Attributes:
        splits: The counts of each split.
        findings: All findings, in the order of the splits.
        frame_rates: Number of videos by frames per second.
        class_names: The names of the label map's actions, by id.
        decoded: Whether the videos were decoded to their ends.
    """

    splits: tuple[SplitSummary, ...]
    findings: tuple[Finding, ...]
    frame_rates: Mapping[float, int]
    class_names: Mapping[int, str]
    decoded: bool

    @property
    def problems(self) -> tuple[Finding, ...]:
        """The findings that are problems."""
        return tuple(finding for finding in self.findings if finding.level == "problem")

    @property
    def kinds(self) -> Counter[str]:
        """How often each kind of finding occurs."""
        counts: Counter[str] = Counter()
        for finding in self.findings:
            counts[finding.kind] += finding.count
        return counts

    def __bool__(self) -> bool:
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain values for ``json.dumps``."""
        return {
            "num_problems": len(self.problems),
            "num_notes": len(self.findings) - len(self.problems),
            "findings": [finding.to_json() for finding in self.findings],
            "splits": [asdict(split) for split in self.splits],
            "frame_rates": {f"{rate:g}": count for rate, count in self.frame_rates.items()},
            "class_names": dict(self.class_names),
            "decoded": self.decoded,
        }

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        for split in self.splits:
            yield str(split)
            yield from (f"  {line}" for f in self.findings if f.split == split.name for line in str(f).splitlines())
        if self.frame_rates:
            rates = ", ".join(f"{rate:g} ({counted(count, 'video')})" for rate, count in self.frame_rates.items())
            yield f"frames a second: {rates}; {'every frame decoded' if self.decoded else 'from the headers alone'}"
        yield from self._class_lines([split for split in self.splits if split.rows_of_class is not None])
        notes = len(self.findings) - len(self.problems)
        yield f"{_or_no(len(self.problems), 'problem')}, {_or_no(notes, 'note')}"

    def _class_lines(self, splits: Sequence[SplitSummary]) -> Iterator[str]:
        """Yield a table of the number of rows per class and split; of very many classes, only the rare ones."""
        if not splits:
            return
        width = max([len(name) for name in self.class_names.values()], default=0)
        yield f"  id  {'action':<{width}}" + "".join(f"{split.name:>10}" for split in splits)
        for action_id, name in self.class_names.items():
            counts = [(split.rows_of_class or {}).get(action_id, 0) for split in splits]
            least = min(counts)
            if len(self.class_names) > _MOST_CLASSES and least >= RARE_ROWS:
                continue
            remark = "  none" if least == 0 else f"  fewer than {RARE_ROWS}" if least < RARE_ROWS else ""
            yield f"{action_id:>4}  {name:<{width}}" + "".join(f"{count:>10,}" for count in counts) + remark


def _or_no(number: int, noun: str) -> str:
    return counted(number, noun) if number else f"no {noun}s"
