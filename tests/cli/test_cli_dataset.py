"""``ava-detect collect`` and ``status``: what is refused before any work."""

from __future__ import annotations

import pytest

from ava_detect.cli.app import main


@pytest.mark.parametrize("out", ["all.csv", "all.csv.gz", "-", "/dev/null"])
def test_a_csv_has_no_use_for_videos(out, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["collect", "results", "--out", out, "--videos", "films"])
    assert end.value.code == 2
    message = f"ava-detect: --videos is for the page, and --out, {out}, gets a csv; leave one of them out"
    assert message in capsys.readouterr().err
