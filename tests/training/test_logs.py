"""Logs that survive being killed."""

import pytest

from ava_detect.errors import TrainingError
from ava_detect.training.learner import Step
from ava_detect.training.logs import CsvLog, TrainingLog
from ava_detect.training.validation import Score


def test_rows_after_the_checkpoint_and_torn_ones_are_dropped(tmp_path):
    path = tmp_path / "log.csv"
    log = CsvLog(path, ["step", "loss"], done_steps=0)
    for step in (10, 20, 30):
        log.write({"step": step, "loss": 1 / step})
    with path.open("a") as file:
        file.write("40,0.0")  # killed in the middle of a row
    CsvLog(path, ["step", "loss"], done_steps=20).write({"step": 21, "loss": 0.5})
    assert path.read_text() == "step,loss\n10,0.1\n20,0.05\n21,0.5\n"


def test_a_new_training_starts_a_new_file(tmp_path):
    path = tmp_path / "log.csv"
    CsvLog(path, ["step"], done_steps=0).write({"step": 1})
    CsvLog(path, ["step"], done_steps=0)
    assert path.read_text() == "step\n"


def test_other_columns_are_refused(tmp_path):
    CsvLog(tmp_path / "log.csv", ["step", "other"], done_steps=0)
    with pytest.raises(TrainingError, match="has other columns"):
        CsvLog(tmp_path / "log.csv", ["step", "loss"], done_steps=5)


def rows(path):
    return [line.split(",") for line in path.read_text().splitlines()]


def test_a_row_is_the_mean_of_its_steps(tmp_path):
    log = TrainingLog(tmp_path, ["frame_mAP", "stand, or so"], done_steps=0, every=2, clips_per_step=4)
    for step, loss in enumerate([1.0, 3.0, 5.0], start=1):
        log.add(step, step / 3, Step(loss, 10 * loss), 0.1 * step, 0.0)
    log.end_interval()
    log.end_interval()  # nothing new: no row
    log.add_score(3, 1.0, Score(0.25, {"frame_mAP": 0.25, "stand, or so": 0.5}))
    log.close()
    header, first, second = rows(tmp_path / "log.csv")
    assert header == ["step", "epoch", "loss", "lr", "grad_norm", "clips_per_second", "data_wait", "memory_mib"]
    assert first[:5] == ["2", "0.6667", "2.0", "0.2", "20.0"]
    assert second[:3] == ["3", "1.0", "5.0"]
    assert float(first[5]) > 0
    assert 0 <= float(first[6]) <= 1
    assert int(first[7]) > 50
    assert (tmp_path / "validation.csv").read_text() == 'step,epoch,frame_mAP,"stand, or so"\n3,1.0,0.25,0.5\n'


def test_tensorboard_has_the_same_numbers(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = TrainingLog(tmp_path, ["frame_mAP"], done_steps=0, every=1, clips_per_step=4)
    log.add(1, 0.5, Step(2.5, 1.0), 0.1, 0.0)
    log.add_score(1, 0.5, Score(0.75, {"frame_mAP": 0.75}))
    log.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.value for event in events.Scalars("train/loss")] == [2.5]
    assert [event.value for event in events.Scalars("validation/frame_mAP")] == [0.75]


def test_layers_that_learn_at_their_own_rates_are_logged(tmp_path):
    log = TrainingLog(tmp_path, ["mAP"], done_steps=0, every=1, clips_per_step=4, layer_scales=[0.25, 0.5, 1.0])
    log.add(1, 0.5, Step(2.5, 1.0), 0.1, 0.0)
    log.close()
    header, row = rows(tmp_path / "log.csv")
    assert header == [*TrainingLog.COLUMNS, "lr_first_layer"]
    assert (row[3], row[-1]) == ("0.1", "0.025")
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    curves = [events.Scalars(f"learning_rate/layer_{i}")[0].value for i in range(3)]
    assert curves == pytest.approx([0.025, 0.05, 0.1])
