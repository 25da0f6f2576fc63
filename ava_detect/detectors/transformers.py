"""Detection models of Hugging Face transformers: RT-DETR, D-FINE, DETR, YOLOS. Only this module imports the library."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import torch

from ava_detect.detectors.base import BatchDetector, Converters, Image
from ava_detect.detectors.classes import Wanted, chosen_classes, names_by_index, read_classes, select_actors
from ava_detect.detectors.libraries import not_importable
from ava_detect.errors import DetectorError, MissingDependencyError, shown
from ava_detect.structures import PersonBoxes

# OWNER/NAME on the hub; a few of its oldest models have no owner, none of them a detector.
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


class TransformersDetector(BatchDetector):
    """Finds persons with any model of ``AutoModelForObjectDetection``, prepared and read by its own image processor.

    Frames of one size go through the network together, at most 8 at a time.
    """

    spec_options: ClassVar[Converters] = {"classes": read_classes, "revision": str}

    def __init__(
        self,
        model: str,
        *,
        classes: Wanted | None = None,
        revision: str | None = None,
        min_score: float = 0.5,
        device: str = "cpu",
    ) -> None:
        """Load the model and its image processor: from a folder, the library's cache, or the hub.

        Args:
            model: A folder that ``save_pretrained`` wrote, or OWNER/NAME on the hub (``PekingU/rtdetr_r50vd``).
            classes: The model's classes that are the actors, by number or name; by default its person class.
            revision: Branch, tag or commit on the hub.
            min_score: Lowest score of a person, 0..1.
            device: Device of the model.

        Raises:
            MissingDependencyError: transformers, or a library that this model needs, cannot be imported.
            DetectorError: The model cannot be had, is no detection model, or has no such class.
        """
        self.name = f"transformers:{model}" + (f" ({revision})" if revision else "")
        self._min_score = min_score
        self._device = torch.device(device)
        loaded, self._processor = _load(model, {} if revision is None else {"revision": revision})
        self._model = loaded.float().eval().to(self._device)
        self._classes = chosen_classes(classes, names_by_index(self._model.config.id2label), self.name)

    @torch.inference_mode()
    def _run(self, images: Sequence[Image]) -> list[PersonBoxes]:
        """The persons on images of one size."""
        inputs = self._processor(images=list(images), return_tensors="pt", input_data_format="channels_last")
        outputs = self._model(**inputs.to(self._device))
        found = self._processor.post_process_object_detection(
            outputs, threshold=self._min_score, target_sizes=[image.shape[:2] for image in images]
        )
        return [self._people(objects, image) for objects, image in zip(found, images, strict=True)]

    def _people(self, found: dict[str, torch.Tensor], image: Image) -> PersonBoxes:
        boxes_xyxy, scores, labels = (found[key].cpu().numpy() for key in ("boxes", "scores", "labels"))
        return select_actors((boxes_xyxy, scores, labels), self._classes, self._min_score, image)


def _load(name: str, settings: dict[str, Any]) -> tuple[Any, Any]:
    """The model and its image processor."""
    try:
        from transformers import AutoImageProcessor, AutoModelForObjectDetection
    except ImportError as error:
        raise not_importable("transformers", error) from error
    if not Path(name).is_dir() and not _HUB_NAME.fullmatch(name):
        raise DetectorError(
            f"transformers:{shown(name)}: there is no such folder, and a model on the hub is called OWNER/NAME, such "
            "as PekingU/rtdetr_r50vd"
        )
    loaders = (AutoModelForObjectDetection, AutoImageProcessor)
    try:
        model, processor = _from_cache_or_hub(name, {**settings, "trust_remote_code": False}, loaders)
    except DetectorError:
        raise
    except ImportError as error:
        raise MissingDependencyError(
            f"transformers:{shown(name)} needs a further library: {_one_line(error)}"
        ) from error
    except Exception as error:  # a broken file or hub can fail in any way
        raise DetectorError(
            f"transformers:{shown(name)} cannot be loaded ({_one_line(error)}); {_advice(name)}"
        ) from error
    if not hasattr(processor, "post_process_object_detection"):
        raise DetectorError(
            f"transformers:{shown(name)}: its image processor {type(processor).__name__} gives no boxes; give a "
            "detection model, such as PekingU/rtdetr_r50vd"
        )
    return model, processor


def _from_cache_or_hub(name: str, settings: dict[str, Any], loaders: tuple[Any, Any]) -> tuple[Any, Any]:
    """The model and its image processor; the hub is asked only for what the cache lacks.

    Without a network the library asks the hub again and again for files that the cache has, 20 seconds for each.
    """
    try:
        with _no_bars():
            return _checked(name, loaders, {**settings, "local_files_only": True})
    except OSError:
        if Path(name).is_dir():
            raise
    return _checked(name, loaders, settings)


@contextmanager
def _no_bars() -> Iterator[None]:
    """Show no progress of reading files of this machine, which takes a moment."""
    from transformers.utils import logging

    were_shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if were_shown:
            logging.enable_progress_bar()


def _checked(name: str, loaders: tuple[Any, Any], settings: dict[str, Any]) -> tuple[Any, Any]:
    """The model and its image processor; ``DetectorError`` where weights are missing, which would be random ones."""
    # The model first: its errors tell a missing network from a wrong name.
    model, report = loaders[0].from_pretrained(name, output_loading_info=True, **settings)
    processor = loaders[1].from_pretrained(name, **settings)
    missing = sorted({name for name, _ in model.named_parameters()} & set(report["missing_keys"]))
    if missing:
        raise DetectorError(
            f"transformers:{shown(name)}: {len(missing)} weights of {type(model).__name__} are not in it, such as "
            f"{shown(missing[0])}; give a model that was trained to detect"
        )
    return model, processor


def _advice(name: str) -> str:
    """What to try for a model that cannot be loaded."""
    if Path(name).is_dir():
        return "give a folder that save_pretrained of a detection model and of its image processor wrote"
    return (
        "check the name on huggingface.co; without a network load it once on another machine and copy the hub's cache "
        "(HF_HOME), or save model and image processor into a folder and give that"
    )


def _one_line(error: Exception) -> str:
    return shown(" ".join(str(error).split()))
