"""The report in a real browser: it fits a phone, its tables sort, it says nothing on the console and loads nothing."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from report_data import SMALL_MAP, filled_metric

from ava_detect.evaluation.compare import compare
from ava_detect.structures.labels import LabelMap
from ava_detect.visualization.report.write_report import write_report

# A window cannot be as narrow as a phone, a frame can.
PHONE = """<!DOCTYPE html><title></title><iframe src="probed.html" width="390" height="844" style="border: 0"></iframe>
<script>addEventListener("message", event => { document.title = event.data; });</script>"""
PROBE = """<script>
const seen = [];
addEventListener("securitypolicyviolation", event => seen.push(event.blockedURI));
addEventListener("error", event => seen.push(event.message));
addEventListener("load", () => {
  const table = document.querySelector("table.sortable");
  const button = [...table.querySelectorAll("thead button")].find(button => button.textContent === "AP");
  const orders = [0, 1].map(() => {
    button.click();
    return [button.closest("th").ariaSort, [...table.tBodies[0].rows].map(row => row.cells[0].textContent)];
  });
  parent.postMessage(JSON.stringify({
    seen, orders, width: innerWidth, contentWidth: document.documentElement.scrollWidth,
    requests: performance.getEntriesByType("resource").length,
  }), "*");
});
</script></head>"""
FLAGS = (
    "--headless --no-sandbox --hide-scrollbars --enable-logging=stderr --no-first-run --disable-gpu --disable-sync "
    "--disable-background-networking --disable-component-update"
)


@pytest.mark.parametrize("num_classes", [3, 60])
def test_in_a_browser_it_fits_a_phone_sorts_and_loads_nothing(num_classes: int, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no chromium to load the page in")
    metric = filled_metric(SMALL_MAP if num_classes == 3 else LabelMap.ava_evaluated())
    path = write_report(tmp_path, metric, comparison=compare(metric, metric, num_resamples=5), num_resamples=5)
    (tmp_path / "probed.html").write_text(path.read_text().replace("</head>", PROBE, 1))
    (tmp_path / "phone.html").write_text(PHONE)
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [browser, *FLAGS.split(), profile, "--dump-dom", (tmp_path / "phone.html").as_uri()]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    title = re.search("<title>(.*?)</title>", run.stdout, re.DOTALL)
    assert title
    probe = json.loads(html.unescape(title[1]))
    assert "CONSOLE" not in run.stderr
    assert probe["seen"] == []
    assert probe["requests"] == 0
    assert (probe["width"], probe["contentWidth"]) == (390, 390)
    (first, falling), (second, rising) = probe["orders"]
    assert (first, second) == ("descending", "ascending")
    without = metric.label_map.actions[-1].name
    assert falling[-1] == rising[-1] == without  # no ground truth, no value: last either way
    assert rising[:-1] != falling[:-1]
    assert sorted(rising) == sorted(falling)
    per_class = {c.name: c.ap for c in metric.compute().per_class.values()}
    known = [per_class[name] for name in rising if per_class[name] == per_class[name]]
    assert known == sorted(known)
