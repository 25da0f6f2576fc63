"""Which clips a step takes: the same whatever the number of processes, parts and interruptions."""

import socket
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ava_detect.datasets.samples import Sample
from ava_detect.errors import ConfigError, VideoError
from ava_detect.training import batches
from ava_detect.training.batches import StepSampler, samples_in_order, training_batches


def keys_of(steps: range, *, num_clips=23, batch_size=8, seed=3, **cut):
    return list(StepSampler(num_clips, batch_size=batch_size, seed=seed, **cut).over(steps))


@given(st.sampled_from([1, 2, 4]), st.sampled_from([1, 2]), st.integers(8, 40), st.integers(0, 5))
def test_processes_and_parts_cut_the_same_batches(num_processes, accumulate, num_clips, first):
    steps = range(first, first + 4)
    whole = keys_of(steps, num_clips=num_clips)
    parts = [
        keys_of(steps, num_clips=num_clips, accumulate=accumulate, process=process, num_processes=num_processes)
        for process in range(num_processes)
    ]
    for number, batch in enumerate(whole):
        mine = [
            key
            for part in range(accumulate)
            for process in range(num_processes)
            for key in parts[process][number * accumulate + part]
        ]
        assert mine == batch


def test_a_resumed_training_goes_on_where_it_was():
    assert keys_of(range(7))[4:] == keys_of(range(4, 7))


def test_an_epoch_takes_no_clip_twice_and_leaves_out_less_than_a_batch():
    steps = keys_of(range(6))  # 23 clips in batches of 8: 2 steps an epoch
    for epoch in range(3):
        keys = [key for batch in steps[2 * epoch : 2 * epoch + 2] for key in batch]
        assert {e for e, _ in keys} == {epoch}
        assert len({clip for _, clip in keys}) == 16
    assert steps[0] != [(0, clip) for _, clip in steps[2]]  # another order in each epoch


def test_seeds_give_other_orders():
    assert keys_of(range(1)) != keys_of(range(1), seed=4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"batch_size": 6, "accumulate": 2, "num_processes": 2},
            "train.batch_size 6 does not divide by 2 processes x train.accumulate 2; choose a multiple of 4",
        ),
        ({"batch_size": 24}, "train.batch_size is 24, but the training set has 23 clips"),
    ],
)
def test_batches_that_cannot_be(settings, words):
    with pytest.raises(ConfigError, match=words):
        keys_of(range(1), **settings)


class Clips:
    """``num`` clips whose pixels are their number; one of them may be broken."""

    def __init__(self, num: int, broken: int | None = None) -> None:
        self.num, self.broken = num, broken

    def __len__(self) -> int:
        return self.num

    def __getitem__(self, key):
        number = key if isinstance(key, int) else key[1]
        if number == self.broken:
            raise VideoError("movie.mp4: cannot be read")
        frames = torch.full((2, 4, 4 + number % 2, 3), number, dtype=torch.uint8)
        return Sample(frames, torch.zeros(1, 2), torch.zeros(1, 4), "movie", float(number))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_come_in_order_and_ragged_ones_are_padded(num_workers):
    sampler = StepSampler(8, batch_size=4, seed=0).over(range(4))
    batches = list(training_batches(Clips(8), sampler, num_workers=num_workers, pin_memory=False))
    assert [[int(second) for _, second in batch.keys] for batch in batches] == [
        [clip for _, clip in keys] for keys in StepSampler(8, batch_size=4, seed=0).over(range(4))
    ]
    assert {tuple(batch.frames.shape[1:]) for batch in batches} <= {(2, 4, 4, 3), (2, 4, 5, 3)}


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_broken_video_is_named_in_one_sentence(num_workers):
    sampler = StepSampler(8, batch_size=4, seed=0).over(range(2))
    with pytest.raises(VideoError) as error:
        list(training_batches(Clips(8, broken=5), sampler, num_workers=num_workers, pin_memory=False))
    assert str(error.value) == "movie.mp4: cannot be read"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other bounds")
def test_a_temporary_folder_whose_sockets_would_have_too_long_names_is_refused(tmp_path, monkeypatch):
    """PyTorch would wait for ever; so the bound must be the system's own."""
    sampler = StepSampler(8, batch_size=4, seed=0).over(range(2))
    for length, fits in ((75, True), (76, False)):
        with tempfile.TemporaryDirectory(dir="/tmp") as short:
            folder = Path(short) / ("x" * (length - len(short) - 1))
            folder.mkdir()
            monkeypatch.setattr(tempfile, "tempdir", str(folder))
            with nullcontext() if fits else pytest.raises(OSError, match="AF_UNIX path too long"):
                name = Path(tempfile.mkdtemp(prefix="pymp-")) / ("listener-" + "x" * 8)
                socket.socket(socket.AF_UNIX).bind(str(name))
            if not fits:  # A loader that was started all the same would hang this test, not fail it.
                monkeypatch.setattr(batches, "DataLoader", None)
            with nullcontext() if fits else pytest.raises(ConfigError, match=r"of 76 bytes; .* at most 75: set TMPDIR"):
                assert len(list(training_batches(Clips(8), sampler, num_workers=1, pin_memory=False))) == 2
            with nullcontext() if fits else pytest.raises(ConfigError, match="set TMPDIR to a shorter one"):
                assert len(list(samples_in_order(Clips(8), [6, 1, 3], num_workers=1, size=2))) == 2


def test_loading_draws_no_random_number_of_the_loop():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(
        training_batches(Clips(8), StepSampler(8, batch_size=4, seed=0).over(range(2)), num_workers=1, pin_memory=False)
    )
    list(samples_in_order(Clips(8), [1, 2, 3], num_workers=0, size=2))
    assert torch.equal(torch.get_rng_state(), before)


def test_an_evaluation_reads_in_order():
    samples = list(samples_in_order(Clips(8), [6, 1, 3], num_workers=0, size=2))
    assert [[int(s.timestamp_seconds) for s in part] for part in samples] == [[6, 1], [3]]
