"""The model card, from the figures of the build."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def write_card(path: Path, facts: dict[str, Any]) -> None:
    """Write the card for a build's ``facts``."""
    speedups = facts["speed"]["speedups"]
    shown = facts | {
        "options": facts["speed"]["options"],
        "phases": _phases(facts["training"]),
        "low": speedups[0],
        "high": speedups[-1],
        "sweep": sweep_tables(facts["sweep"]),
    }
    text = Path(__file__).with_name("card_template.md").read_text("utf-8").format_map(shown)
    path.write_text(text, "utf-8")


def _phases(log: list[dict[str, Any]]) -> str:
    return ", then ".join(
        "{steps:,} steps of {batch_size} x {sequence_length:,} tokens".format(**entry["phase"])
        for entry in log
    )


def sweep_tables(points: list[dict[str, Any]]) -> str:
    """Return one Markdown table per exit layer: steps down, thresholds across."""
    tables = []
    for layer in sorted({point["exit_layer"] for point in points}):
        mine = [point for point in points if point["exit_layer"] == layer]
        thresholds = sorted({point["threshold"] for point in mine})
        cells = {(point["steps"], point["threshold"]): point for point in mine}
        rows = [
            f"| exit layer {layer} | " + " | ".join(f"threshold {t}" for t in thresholds) + " |",
            "|---" * (len(thresholds) + 1) + "|",
        ]
        for steps in sorted({point["steps"] for point in mine}):
            found = [cells[steps, threshold] for threshold in thresholds]
            rows.append(
                f"| steps {steps} | "
                + " | ".join(
                    f"{point['speedup']:.2f}x / {point['mean_acceptance_length']:.2f}"
                    for point in found
                )
                + " |"
            )
        tables.append("\n".join(rows) + "\n")
    return "\n".join(tables)
