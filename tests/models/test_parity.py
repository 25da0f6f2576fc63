"""Our graph against PySlowFast's, run by its own code (commit 287ec007): every stage, logits and scores.

References are float64 runs of the peer, or fp32 ones for the probes; the peer's own fp32 differs from its float64 by
at most 1.9e-5 on logits, so 1e-4 is tight, and the smallest structural fault shifts a score by 1.4e-3.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ava_detect.models.action_detector import ActionClassifier, ActionDetector
from ava_detect.models.heads import ClassificationHead, ProjectionHead, clip_probabilities
from ava_detect.models.roi import RoIPool
from ava_detect.models.slowfast import STAGES, SlowFast
from ava_detect.models.weights import load_weights

DETECTION_CASES = [
    "psf_tiny_ava",
    "psf_tiny_ava_nln",
    "psf_ava_slowfast_32x2_r50_short",
    pytest.param("psf_ava_c2_slowfast_32x2_r101_50_50", marks=pytest.mark.slow),
]
CLASSIFICATION_CASES = ["psf_tiny_charades", "psf_kinetics_slowfast_4x16_r50"]
# The case files say how deep a "depth" is; 18 stands for bottlenecks in these cases, not for a basic-block ResNet.
DEPTHS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
PROBES_PER_STAGE = 64


def backbone_of(settings: dict) -> SlowFast:
    """The backbone that a case's own settings describe."""
    places = {}
    for p, pathway in enumerate(("slow", "fast")):
        blocks = [stage[p] for stage in settings["nonlocal_location"]]
        places[pathway] = dict(zip(STAGES, blocks, strict=True))
    return SlowFast(
        depths=DEPTHS[settings["depth"]],
        num_temporal=[stage[0] for stage in settings["num_block_temp_kernel"]],
        width=settings["width"],
        alpha=settings["alpha"],
        beta_inv=settings["beta_inv"],
        fusion_ratio=settings["fusion_ratio"],
        fusion_kernel=settings["fusion_kernel"],
        strides=[stage[0] for stage in settings["strides"]],
        dilations=[stage[0] for stage in settings["dilations"]],
        nonlocal_blocks=places,
        nonlocal_affinity=settings["nonlocal_kind"],
        nonlocal_pool=settings["nonlocal_pool"][0][0],
    )


def load_case_weights(model: torch.nn.Module, case, folder) -> None:
    """Through a checkpoint file in the family's own layout and the ordinary strict path."""
    state = {name: torch.from_numpy(np.array(array)) for name, array in case.weights().items()}
    path = folder / "checkpoint.pyth"
    torch.save({"epoch": 1, "model_state": state}, path)
    report = load_weights(model, path)
    assert len(report.loaded) == report.num_expected == case.meta["n_keys"]
    assert sum(p.numel() for p in model.parameters()) == case.meta["params"]


def record_stages(backbone: SlowFast) -> dict[str, torch.Tensor]:
    """The output of every stage of every pathway, by the reference's names, filled by the next forward."""
    outputs: dict[str, torch.Tensor] = {}

    def keep(name: str):
        return lambda module, inputs, output: outputs.__setitem__(name, output.detach().clone())

    for p, pathway in enumerate(backbone.pathways):
        backbone.stem[pathway].register_forward_hook(keep(f"s1.p{p}"))
        for stage in STAGES:
            backbone.get_submodule(f"res{stage}.{pathway}").register_forward_hook(keep(f"s{stage}.p{p}"))
    return outputs


def compare_stages(outputs: dict[str, torch.Tensor], variant) -> None:
    """The reference keeps 64 values a stage, at places that follow from the stage's name."""
    import fill

    assert len(outputs) == 10
    for name, features in outputs.items():
        values = features.numpy().ravel()
        places = fill.raw24(f"probe/{name}", PROBES_PER_STAGE) % values.size
        expected = variant.expected[f"probe/{name}"]
        scale = np.abs(expected).max()
        np.testing.assert_allclose(values[places] / scale, expected / scale, atol=1e-4, err_msg=name)
        mean, spread, *shape = variant.expected[f"stat/{name}"]
        assert list(features.shape) == shape
        statistics = [values.mean(dtype=np.float64), values.std(dtype=np.float64, ddof=1)]
        np.testing.assert_allclose(statistics, [mean, spread], rtol=1e-4)


@pytest.mark.parametrize("name", DETECTION_CASES)
def test_detection(parity_case, tmp_path, name):
    import check

    case = parity_case(name)
    settings = case.meta["model"]
    backbone = backbone_of(settings)
    pool = RoIPool(
        resolution=settings["roi_resolution"], feature_stride=settings["roi_scale"], aligned=settings["aligned"]
    )
    head = ProjectionHead(sum(backbone.out_channels), settings["num_classes"])
    model = ActionDetector(backbone, pool, head).eval()
    load_case_weights(model, case, tmp_path)
    outputs = record_stages(backbone)
    for variant in case.variants():
        rois = torch.from_numpy(variant.boxes)
        slow, fast = (torch.from_numpy(tensor) for tensor in variant.tensors)
        with torch.inference_mode():
            features = backbone.forward_pathways([slow, fast])
            pooled = pool(features, rois)
            logits = model(fast, rois)  # picks the slow frames itself
        compare_stages(outputs, variant)
        slow_channels = backbone.out_channels[0]
        got = {
            "logits": logits.numpy(),
            "scores": logits.sigmoid().numpy(),
            "pooled/slow": pooled[:, :slow_channels].numpy(),
            "pooled/fast": pooled[:, slow_channels:].numpy(),
            "roialign_first16/slow": pool.align(features[0], rois)[:, :16].numpy(),
            "roialign_first16/fast": pool.align(features[1], rois)[:, :16].numpy(),
        }
        check.compare(case, variant, got)


@pytest.mark.parametrize("name", CLASSIFICATION_CASES)
def test_classification(parity_case, tmp_path, name):
    import check

    case = parity_case(name)
    settings = case.meta["model"]
    backbone = backbone_of(settings)
    side = settings["train_crop"] // 32
    pools = [(settings["frames"] // settings["alpha"], side, side), (settings["frames"], side, side)]
    head = ClassificationHead(backbone.out_channels, settings["num_classes"], pool_sizes=pools)
    model = ActionClassifier(backbone, head).eval()
    load_case_weights(model, case, tmp_path)
    outputs = record_stages(backbone)
    for variant in case.variants():
        with torch.inference_mode():
            logits = model(torch.from_numpy(variant.tensors[1]))
        compare_stages(outputs, variant)
        scores = clip_probabilities(logits, settings["head_act"])
        check.compare(case, variant, {"logits": logits.numpy(), "scores": scores.numpy()})


def test_the_comparison_can_fail(parity_case, tmp_path):
    """The most forgiving fault known, BN eps 1e-3 for 1e-5, is seen."""
    import check

    case = parity_case("psf_tiny_ava")
    backbone = backbone_of(case.meta["model"])
    model = ActionDetector(backbone, RoIPool(), ProjectionHead(sum(backbone.out_channels), 80)).eval()
    load_case_weights(model, case, tmp_path)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.eps = 1e-3
    variant = next(case.variants())
    with torch.inference_mode():
        logits = model(torch.from_numpy(variant.tensors[1]), torch.from_numpy(variant.boxes))
    with pytest.raises(AssertionError):
        check.compare(case, variant, {"logits": logits.numpy()})
