"""Our synchronised batch norm is torch's batch norm; over several processes: ``test_train_processes.py``."""

import pytest
import torch
from torch import nn

from ava_detect.training.sync_batchnorm import CpuSyncBatchNorm, synchronise_batchnorm


@pytest.fixture
def alone(tmp_path):
    """A process group of one."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_alone_it_is_batch_norm(alone):
    torch.manual_seed(0)
    plain = nn.BatchNorm3d(3)
    nn.init.uniform_(plain.weight), nn.init.uniform_(plain.bias)
    ours = CpuSyncBatchNorm.from_batchnorm(nn.BatchNorm3d(3))
    ours.load_state_dict(plain.state_dict())
    for _ in range(2):
        x = 5 + 3 * torch.randn(2, 3, 2, 4, 4)
        inputs = [x.clone().requires_grad_(), x.clone().requires_grad_()]
        outputs = [norm(one) for norm, one in zip((plain, ours), inputs, strict=True)]
        for output in outputs:
            (output**3).sum().backward()
        # Float32 in another order; the gradients are of cubes, summed over 64 positions.
        torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(inputs[1].grad, inputs[0].grad, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(ours.weight.grad, plain.weight.grad, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(dict(ours.named_buffers()), dict(plain.named_buffers()))
    ours.eval(), plain.eval()
    torch.testing.assert_close(ours(x), plain(x))


def test_a_model_keeps_its_names_and_tensors():
    model = nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4, eps=1e-3, momentum=0.2))
    before = {name: value.data_ptr() for name, value in model.state_dict().items()}
    synchronise_batchnorm(model, torch.device("cpu"))
    assert isinstance(model[1], CpuSyncBatchNorm)
    assert (model[1].eps, model[1].momentum) == (1e-3, 0.2)
    assert {name: value.data_ptr() for name, value in model.state_dict().items()} == before
