"""``ava-detect train``: what is refused before PyTorch is loaded."""

from __future__ import annotations

import pytest

from ava_detect.cli.app import main


def test_a_config_without_data_is_named(tmp_path, capsys):
    (tmp_path / "bare.yaml").write_text("train: {epochs: 1}\n")
    with pytest.raises(SystemExit) as end:
        main(["train", "--config", str(tmp_path / "bare.yaml"), "--out", str(tmp_path / "run")])
    assert end.value.code == 2
    message = f"{tmp_path / 'bare.yaml'}: the config has no data.train, so there is nothing to train on"
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
