"""The recipes of ``docs/trackers.md``, run with the real packages; each is read back by its own.

    python tests/works_with/trackers.py

Nothing leaves this machine: what they write lies in a temporary folder.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import ROOT, ensure

PAGE = ROOT / "docs" / "trackers.md"
PACKAGES = {"TensorBoard": "tensorboard", "MLflow": "mlflow", "Trackio": "trackio"}
Names = dict[str, Any]
Points = list[tuple[float, float]]


def main(arguments: list[str]) -> int:
    ensure(PACKAGES.values(), __file__, arguments)
    bad = 0
    for heading, recipe in recipes().items():
        if len(recipe.splitlines()) > 10:
            raise AssertionError(f"the recipe for {heading} has more than ten lines")
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            private(folder)
            names = setting()
            exec(compile(recipe, f"{PAGE.name}: {heading}", "exec"), names)
            points, report = READ[heading](names)
        curve = names["curve"]
        right = points == list(zip(curve.lrs.tolist(), curve.losses.tolist(), strict=True))
        right &= "# LR range test" in report and curve.suggestion.reason[:40] in report
        print(f"{heading}: {len(points)} points, a report of {len(report)} characters: {right}")
        bad += not right
    return bad


def recipes() -> dict[str, str]:
    found = re.findall(
        r"^## (.+?)\n\n```python\n(.*?)^```", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE
    )
    assert [heading for heading, _ in found] == list(PACKAGES)
    return {heading: recipe.replace("\n\n", "\n") for heading, recipe in found}


def private(folder: str) -> None:
    """Keep what the packages write in a folder, and have them tell nobody."""
    os.environ |= {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "TRACKIO_DIR": f"{folder}/trackio",
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_OFFLINE": "1",
        "MPLBACKEND": "agg",
    }


def setting() -> Names:
    """What the recipes take for granted, as small as it can be."""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    import lrfinder_widget

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    inputs = torch.randn(128, 4)
    loader = DataLoader(TensorDataset(inputs, inputs[:, :3].argmax(1)), batch_size=16, shuffle=True)
    return {
        "range_test": lrfinder_widget.range_test,
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
        "criterion": nn.CrossEntropyLoss(),
        "loader": loader,
    }


def in_tensorboard(names: Names) -> tuple[Points, str]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    events = EventAccumulator("runs/lr-range-test", size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    lrs, losses = (
        [event.value for event in events.Scalars(f"lr_range_test/{name}")]
        for name in ("lr", "loss")
    )
    assert events.Images("lr_range_test/curve")
    text = make_ndarray(events.Tensors("lr_range_test/report/text_summary")[0].tensor_proto)
    curve = names["curve"]
    # It keeps single precision.
    expected = zip(curve.lrs.astype("f4"), curve.losses.astype("f4"), strict=True)
    same = list(zip(lrs, losses, strict=True)) == [
        (float(lr), float(loss)) for lr, loss in expected
    ]
    points = list(zip(curve.lrs.tolist(), curve.losses.tolist(), strict=True)) if same else []
    return points, str(text[0].decode())


def in_mlflow(names: Names) -> tuple[Points, str]:
    import mlflow

    client = mlflow.MlflowClient()
    (run,) = client.search_runs(["0"])
    lrs, losses = (
        [m.value for m in sorted(client.get_metric_history(run.info.run_id, name), key=_step)]
        for name in ("lr", "loss")
    )
    assert float(run.data.params["suggested_lr"]) == names["curve"].suggestion.lr
    root = run.info.artifact_uri
    assert mlflow.artifacts.load_dict(f"{root}/lr_range_test.json") == names["curve"].report()
    return list(zip(lrs, losses, strict=True)), mlflow.artifacts.load_text(
        f"{root}/lr_range_test.md"
    )


def _step(metric: Any) -> int:
    return int(metric.step)


def in_trackio(names: Names) -> tuple[Points, str]:
    from trackio import SQLiteStorage

    (run,) = SQLiteStorage.get_runs("lr-range-test")
    assert SQLiteStorage.get_run_config("lr-range-test", run)["lr"] == names["curve"].suggestion.lr
    *logs, last = SQLiteStorage.get_logs("lr-range-test", run)
    return [(log["lr"], log["loss"]) for log in logs], last["report"]["_value"]


READ: dict[str, Callable[[Names], tuple[Points, str]]] = {
    "TensorBoard": in_tensorboard,
    "MLflow": in_mlflow,
    "Trackio": in_trackio,
}

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main(sys.argv[1:]))
