"""The table by which people choose weights, and a card for each: from the zoo's own table, never copied."""

from __future__ import annotations

from ava_detect.models.zoo import DEMO_NOTE, SHIPPED
from ava_detect.models.zoo_choice import default_reason
from ava_detect.models.zoo_table import COSTS, DATA, EVALUATORS, ZooEntry, best_first

_USES = {"yes": "yes", "no": "no", "unclear": "not stated"}
_DATA = {
    "AVA 2.1": "AVA v2.1: 15 minutes of each of 235 films for training, people labelled once a second with 80 actions",
    "AVA 2.2": "AVA v2.2: 15 minutes of each of 235 films for training, people labelled once a second with 80 actions",
    "AVA-Kinetics": "AVA v2.2, and AVA-Kinetics: a labelled keyframe of each of over 230,000 clips of Kinetics-700",
    "MultiSports": "MultiSports: 66 actions of basketball, volleyball, football and aerobics, 25 frames a second",
    "K400": "Kinetics-400: clips of ten seconds with one of 400 labels",
    "K600": "Kinetics-600: clips of ten seconds with one of 600 labels",
    "Charades": "Charades: people at home who act out scripts, 157 actions",
}
_LIMITS_AVA = (
    "AVA's videos are films: acted, lit and edited. Rare actions have few examples, and their scores are low. On "
    "surveillance, sport or egocentric video, measure before you rely on it."
)


def model_pages() -> dict[str, str]:
    """Return the page of the table and the cards.

    Returns:
        Name of the page to its Markdown; ``index`` is the table, every other name that of weights.
    """
    entries = best_first()
    cards = {entry.name: _card(entry) for entry in entries}
    return {"index": _index(entries), "demo": _demo_card(), **cards}


def _index(entries: list[ZooEntry]) -> str:
    detectors = [entry for entry in entries if entry.is_detector and not entry.is_start]
    lines = [
        *("---", "hide: [navigation, toc]", "---", ""),  # the table needs their space
        "# Choose a model",
        "",
        "Each name is used as it stands: `ava-detect annotate video.mp4 --weights NAME`. It is downloaded once, and "
        "brings its config. `ava-detect weights recommend` names the best for a device and a use.",
        "",
        "- **mAP** is *quoted* from the publishers' pages: frame-mAP at IoU 0.5 in percent. The letter names the "
        "evaluator ([below](#evaluators)).",
        f"- **Clips a second** and **memory** are *measured*: {_measured()} `annotate` scores one clip a second of "
        "video. On GPUs nothing has been measured.",
        "- **Commercial use**: what the licences of code and weights say ([licences](../docs/zoo.md#licences)).",
        "",
        "## Actions of each person",
        "",
        "| weights | mAP | clips a second, CPU | memory (MB) | million weights | their licence | commercial use |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(_row(entry) for entry in detectors if not entry.not_runnable),
        "",
        f"And [`demo`](demo.md), which comes with the package: {DEMO_NOTE}.",
        "",
        "### Evaluators",
        "",
        "They differ by up to 2 points on the same detections ([why](../docs/evaluation.md)); figures of two letters "
        "that are closer than that do not say which network is better.",
        "",
        *(f"- **{_LETTERS[key]}** {text}" for key, text in EVALUATORS.items()),
        "",
        "## Listed, and not runnable here",
        "",
        "| weights | mAP | why |",
        "| --- | --- | --- |",
        *(f"| {_link(entry)} | {_figure(entry)} | {entry.not_runnable} |" for entry in detectors if entry.not_runnable),
        "",
        "## Classifiers, to start a training from",
        "",
        "| weights | quoted figure | trained on | licence of the weights | commercial use |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {_link(entry)} | {entry.figure or 'none published'} | {entry.data} | {entry.weights_licence} "
            f"| {_USES[entry.commercial_use]} |"
            for entry in entries
            if entry not in detectors
        ),
        "",
    ]
    return "\n".join(lines)


_LETTERS = dict(zip(EVALUATORS, "PMATSN", strict=True))


def _link(entry: ZooEntry) -> str:
    return f"[`{entry.name}`]({entry.name}.md)"


def _figure(entry: ZooEntry) -> str:
    return (
        "none" if entry.published is None else f"{entry.published:g} {_LETTERS[entry.evaluator]} ({entry.evaluated_on})"
    )


def _row(entry: ZooEntry) -> str:
    cost = COSTS[entry.config]
    cells = (
        _link(entry),
        _figure(entry),
        _clips(cost.milliseconds),
        "-" if cost.peak_megabytes is None else f"{cost.peak_megabytes:,}",
        f"{cost.parameters / 1e6:.1f}",
        entry.weights_licence,
        _USES[entry.commercial_use],
    )
    return f"| {' | '.join(cells)} |"


def _clips(milliseconds: int | None) -> str:
    return "-" if milliseconds is None else f"{1000 / milliseconds:.2g}"


def _measured() -> str:
    """The condition of the measurement, as ``tools/benchmark_configs.py`` noted it."""
    lines = (DATA / "costs.tsv").read_text(encoding="utf-8").splitlines()
    note = next(line for line in lines if line.startswith("# Measured"))
    return f"`tools/benchmark_configs.py`, {note.removeprefix('# Measured ').strip()}"


def _card(entry: ZooEntry) -> str:
    cost = COSTS.get(entry.config)
    rate = f" at {entry.frames_per_second} frames a second" if entry.frames_per_second else ""
    facts = {
        "published figure": f"{entry.figure} (*quoted*: {entry.source})" if entry.figure else "none",
        "evaluator": EVALUATORS.get(entry.evaluator, ""),
        "network": f"`{entry.config}` ([configs](../configs/README.md))" if entry.config else entry.not_runnable,
        "clip": f"{entry.num_frames} frames, every {entry.frame_step}{rate}",
        "trained on": entry.data + (f", after {entry.pretrained_on}" if entry.pretrained_on else ""),
    }
    if cost is not None:
        facts["size"] = f"{cost.parameters / 1e6:.1f} million parameters, about {cost.megabytes} MB" + (
            f", {cost.gflops:,} GFLOP a clip" if cost.gflops else ""
        )
        if cost.milliseconds and not entry.is_start:
            facts["cost"] = (
                f"{cost.milliseconds:,} ms a clip, {cost.peak_megabytes:,} MB at the peak (*measured*: {_measured()})"
            )
    facts |= {
        "licence of the code": entry.code_licence,
        "licence of the weights": entry.weights_licence,
        "weights that its training started from": entry.start_licence,
        "commercial use": _USES[entry.commercial_use],
        "file": entry.address,
        "note": entry.note,
    }
    parts = [f"# {entry.name}", "", _purpose(entry), ""]
    if not entry.not_runnable:
        parts += ["```sh", *_commands(entry), "```", ""]
    if reason := default_reason(entry.name):
        parts += [f"It is what `annotate` takes where none is named: {reason}.", ""]
    parts += ["| property | value |", "| --- | --- |"]
    parts += [*(f"| {name} | {text} |" for name, text in facts.items() if text), ""]
    parts += ["## Data", "", f"{_DATA[entry.data]}. Terms of use are those of the data set.", ""]
    parts += ["## Intended use and limits", "", _limits(entry), ""]
    return "\n".join(parts)


def _purpose(entry: ZooEntry) -> str:
    if entry.not_runnable:
        return f"Listed for its figure; this package cannot run it: {entry.not_runnable}."
    if entry.is_start:
        return "A classifier without a figure of its own, from which the AVA training of its publishers began."
    if entry.is_detector:
        return "Scores the actions of each person on a keyframe."
    return "A classifier of whole clips, to start the training of a detector from."


def _commands(entry: ZooEntry) -> list[str]:
    shown = f"ava-detect weights show {entry.name}"
    if entry.is_detector and not entry.is_start:
        return [f"ava-detect annotate video.mp4 --weights {entry.name}", shown]
    return [shown, f"ava-detect weights get {entry.name}"]


def _limits(entry: ZooEntry) -> str:
    if entry.is_detector and not entry.is_start:
        own = "Research, search and statistics over video; a draft of labels that people correct. Not for decisions "
        own += "about individual people. "
        return own + (_LIMITS_AVA if entry.data.startswith("AVA") else "It knows the sports of its data only.")
    return "A start for training (`train.initialise`); its own scores are of whole clips, not of people."


def _demo_card() -> str:
    cost = COSTS["demo"]
    size = f"{SHIPPED['demo'].stat().st_size / 1e6:.1f} MB"
    return f"""# demo

Comes with the package, so that everything can be tried without a download. {DEMO_NOTE[:1].upper()}{DEMO_NOTE[1:]}.

```sh
ava-detect annotate video.mp4 --weights demo
```

| property | value |
| --- | --- |
| published figure | none; what it reaches on rendered movies: [training](../docs/training.md#the-demo-weights) |
| network | `demo` ([configs](../configs/README.md)) |
| size | {cost.parameters / 1e6:.1f} million parameters, {size} |
| cost | {cost.milliseconds} ms a clip (*measured*: {_measured()}) |
| licence of the weights | Apache-2.0, as the package |
| commercial use | yes |

## Data

Movies of the rendered world ([synthetic](../docs/synthetic.md)): 20 of AVA's actions, drawn figures.

## Intended use and limits

Demonstrations and tests of the software. On video of real people its scores mean nothing, and every output says so.
"""
