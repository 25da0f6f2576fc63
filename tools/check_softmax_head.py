"""Compare single-label heads with mmaction2's ``BBoxHeadAVA``: scores, loss and gradients, on random people.

    python tools/check_softmax_head.py MMACTION2 [--sets 200]

MMACTION2 is a folder with a copy of open-mmlab/mmaction2; none of its code is part of this project. Its head is loaded
alone, without mmdet and mmengine, of which it needs names only.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from ava_detect.models.heads import ProjectionHead, ScoreRule, detection_scores
from ava_detect.training.losses import build_loss

_NAMES_ONLY = {
    "mmdet.models.task_modules.samplers": ("SamplingResult",),
    "mmengine.config": ("ConfigDict",),
    "mmaction.utils": ("InstanceList",),
}
_HEAD = "mmaction/models/roi_heads/bbox_heads/bbox_head.py"
_TARGETS = "mmaction/structures/bbox/bbox_target.py"


class _InstanceData(SimpleNamespace):
    """What the head fills: boxes and scores."""


def load_head(folder: Path) -> Any:
    """Return mmaction2's class ``BBoxHeadAVA`` of a copy of the repository."""
    stand_ins = {name: ModuleType(name) for name in (*_NAMES_ONLY, "mmengine", "mmengine.structures")}
    for module, names in _NAMES_ONLY.items():
        for name in names:
            setattr(stand_ins[module], name, Any)
    stand_ins["mmengine"].ConfigDict = dict  # type: ignore[attr-defined]
    stand_ins["mmengine.structures"].InstanceData = _InstanceData  # type: ignore[attr-defined]
    sys.modules.update(stand_ins)
    targets = ModuleType("mmaction.structures.bbox")
    sys.modules["mmaction.structures.bbox"] = targets
    exec(compile((folder / _TARGETS).read_text(), _TARGETS, "exec"), targets.__dict__)
    head = ModuleType("bbox_head")
    exec(compile((folder / _HEAD).read_text(), _HEAD, "exec"), head.__dict__)
    return head.BBoxHeadAVA


def random_people(seed: int, num_classes: int, most_labels: int) -> tuple[Tensor, Tensor]:
    """Features ``[M, C]`` of people and their labels ``[M, K]``; those without a label come last."""
    generator = torch.Generator().manual_seed(seed)
    num_people = int(torch.randint(2, 12, (1,), generator=generator))
    labels = torch.zeros(num_people, num_classes)
    for row in labels[: max(1, num_people * 2 // 3)]:
        count = int(torch.randint(1, most_labels + 1, (1,), generator=generator))
        row[torch.randperm(num_classes, generator=generator)[:count]] = 1
    return torch.randn(num_people, 16, generator=generator), labels


def compare(head: Any, seed: int, *, background: bool) -> float:
    """The largest difference of a score, the loss, or a gradient of a weight."""
    num_classes = 7
    features, labels = random_people(seed, num_classes, 1 if background else 2)
    torch.manual_seed(seed)
    theirs = head(background, in_channels=16, num_classes=num_classes + background, multilabel=False)
    rule: ScoreRule = "softmax_with_background" if background else "softmax"
    ours = ProjectionHead(16, num_classes, dropout=0.0, background_class=background, score=rule)
    # mmaction2 leaves the row of the background out of the loss, but not of the scores.
    learning = ProjectionHead(16, num_classes, dropout=0.0, background_class=background, score="softmax")
    for own in (ours, learning):
        own.projection.load_state_dict(theirs.fc_cls.state_dict())
    logits = theirs(features[:, :, None, None, None])
    boxes = torch.zeros(len(features), 5)
    of_theirs = theirs._predict_by_feat_single(boxes, logits, {"img_shape": (10, 10)}).scores[:, int(background) :]
    worst = float((detection_scores(ours(features), boxes[:, 0], rule) - of_theirs).abs().max().detach())

    with_label = labels.any(dim=1)
    targets = torch.nn.functional.pad(labels, (int(background), 0))
    sampled = SimpleNamespace(
        pos_priors=boxes[with_label], neg_priors=boxes[~with_label], pos_gt_labels=targets[with_label]
    )
    losses = theirs.loss_and_target(logits, boxes, [sampled], SimpleNamespace(pos_weight=1.0))
    loss_of_theirs = losses["loss_bbox"]["loss_action_cls"]
    own_logits = learning(features[with_label])
    loss = build_loss("cross_entropy")(own_logits, labels[with_label]) / int(with_label.sum())
    loss.backward()
    loss_of_theirs.backward()
    gradient = learning.projection.weight.grad
    assert gradient is not None
    return max(
        worst,
        float((loss - loss_of_theirs).abs().detach()),
        float((gradient - theirs.fc_cls.weight.grad).abs().max()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mmaction2", type=Path, help="a copy of the repository")
    parser.add_argument("--sets", type=int, default=200)
    arguments = parser.parse_args()
    head = load_head(arguments.mmaction2)
    for background in (False, True):
        worst = max(compare(head, seed, background=background) for seed in range(arguments.sets))
        name = "with" if background else "without"
        print(f"softmax {name} background: {arguments.sets} sets, largest difference {worst:.2g}")


if __name__ == "__main__":
    main()
