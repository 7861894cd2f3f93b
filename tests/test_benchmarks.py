"""The benchmarks run and print their tables; what the numbers are is looked at by hand."""

import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parent / "benchmarks"


def test_overhead_compares_each_way_with_the_bare_loop() -> None:
    printed = run("overhead.py", "--rounds", "1", "--steps", "4")
    ways = [cells[:2] for cells in table(printed)]
    assert ways == [
        [f"{model}, 4 steps", way]
        for model in ("mlp", "lenet", "resnet")
        for way in ("blocking", "background", "widget")
    ]
    assert "1 thread(s)" in printed


def test_busy_compares_the_finder_with_the_bare_loop_and_the_cell_with_itself() -> None:
    printed = run("busy.py", "--rounds", "1", "--models", "lenet")
    ((model, *cells),) = table(printed)
    assert model == "lenet"
    assert len(cells) == 4


def test_snapshot_is_compared_with_plain_copies_and_writes_no_file() -> None:
    printed = run("snapshot.py", "--rounds", "1", "--megabytes", "3")
    assert [cells[0] for cells in table(printed)] == [
        "snapshot and restore",
        "two copies, memory at hand",
        "two copies, fresh memory",
    ]
    assert "extra memory at the peak" in printed
    assert "files opened for writing: 0;" in printed


def test_regret_judges_every_rule_on_both_halves(tmp_path: Path) -> None:
    printed = run("regret.py", "--quick", "--cache", str(tmp_path / "truth.json"))
    rules = ["default", "minimum/10", "steepest", "valley", "slide", "divergence", "then trials"]
    names = [*(f"ours, {rule}" for rule in rules), "fixed default"]
    development, judging = printed.split("| judging")
    assert [cells[0] for cells in table(development)] == names
    assert [cells[0] for cells in table("| judging" + judging)] == names
    assert (tmp_path / "truth.json").exists()


def run(script: str, *arguments: str) -> str:
    return subprocess.check_output(
        [sys.executable, BENCHMARKS / script, *arguments], text=True, timeout=110
    )


def table(printed: str) -> list[list[str]]:
    """The cells of a Markdown table below its head."""
    lines = [line for line in printed.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
