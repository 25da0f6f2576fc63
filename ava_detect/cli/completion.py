"""Completion of the values of options, by the shell: names of weights, configs, detectors, formats.

Installed by ``ava-detect --install-completion``. Each function gets what has been typed and returns the names that it
may become; where none fits, the shell completes file names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable


def of_words(*words: str) -> Callable[[str], list[str]]:
    """Return the completion of an option that takes one of a few words.

    Args:
        words: The words.

    Returns:
        For the argument ``autocompletion`` of ``typer.Option``.
    """

    def complete(incomplete: str) -> list[str]:
        return _beginning(incomplete, words)

    return complete


def of_list(*words: str) -> Callable[[str], list[str]]:
    """Return the completion of an option that takes several of a few words, with commas between them.

    Args:
        words: The words.

    Returns:
        For the argument ``autocompletion`` of ``typer.Option``.
    """

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        left = [word for word in words if word not in before.split(",")]
        return [f"{before}{comma}{word}" for word in _beginning(last, left)]

    return complete


def result_formats(incomplete: str) -> list[str]:
    """Return lists of the formats that ``annotate`` writes."""
    from ava_detect.interface.plug_ins import FORMATS, plug_ins

    return of_list("csv", "jsonl", "parquet", *plug_ins(FORMATS))(incomplete)


def weights_names(incomplete: str) -> list[str]:
    """Return the names of ``weights list``, and ``random``."""
    from ava_detect.models.zoo import RANDOM_WEIGHTS

    return _beginning(incomplete, [*listed_weights(""), RANDOM_WEIGHTS])


def listed_weights(incomplete: str) -> list[str]:
    """Return the names of ``weights list``."""
    from ava_detect.models.zoo import SHIPPED
    from ava_detect.models.zoo_table import runnable

    return _beginning(incomplete, [*SHIPPED, *(entry.name for entry in runnable())])


def config_names(incomplete: str) -> list[str]:
    """Return the names of the configs that ship with the package."""
    from ava_detect.config import config_names as shipped

    return _beginning(incomplete, shipped())


def detector_specs(incomplete: str) -> list[str]:
    """Return the beginnings of detector specs: ``builtin``, ``onnx:``."""
    from ava_detect.detectors.specs import spec_beginnings

    return _beginning(incomplete, spec_beginnings())


def weights_families(incomplete: str) -> list[str]:
    """Return the layouts that ``weights convert`` writes."""
    from ava_detect.models.weights.key_map import FAMILIES

    return _beginning(incomplete, FAMILIES)


def doc_pages(incomplete: str) -> list[str]:
    """Return the names of the pages of documentation."""
    from ava_detect.cli.doc_pages import doc_pages as shipped

    return _beginning(incomplete, (page.name for page in shipped()))


def tools(incomplete: str) -> list[str]:
    """Return the tools that ``hand-over`` writes for."""
    from ava_detect.results.export.hand_over import TOOLS

    return _beginning(incomplete, TOOLS)


def label_sources(incomplete: str) -> list[str]:
    """Return the tools whose labels ``import`` reads."""
    from ava_detect.results.importing.recognize import AUTO, SOURCES

    return _beginning(incomplete, [AUTO, *SOURCES])


def _beginning(incomplete: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]
