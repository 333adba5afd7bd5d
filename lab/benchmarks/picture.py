"""The load test as one picture: what it replaces, how it grows, what it costs, how it treats the loop."""

import statistics
from pathlib import Path
from typing import Any

_OURS, _OTHERS, _LIMIT, _INK = "#1f6f8b", "#b8b8b8", "#c0392b", "#333333"


def draw(results: dict[str, Any], path: Path) -> None:
    """Write the picture of one run's results, as `lab.benchmarks.load.measure` gives them."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    with plt.rc_context(
        {
            "font.size": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 11,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "text.color": _INK,
            "axes.edgecolor": _INK,
        }
    ):
        figure, axes = plt.subplots(2, 2, figsize=(11.5, 7.6), layout="constrained")
        _against_the_sketch(axes[0, 0], results)
        _wall_time(axes[0, 1], results)
        _cost(axes[1, 0], results)
        _loop_lag(axes[1, 1], results)
        settings, machine = results["settings"], results["machine"]
        figure.suptitle(
            f"One frame from each camera: digest login, {1000 * settings['latency']:.0f} ms a snapshot, "
            f"{min(results['frames_kb'])} to {max(results['frames_kb'])} kB a frame, {machine['cores']} cores "
            f"that the cameras share, {results['made_at'][:10]}",
            fontsize=10,
            x=0.01,
            ha="left",
        )
        figure.savefig(path, dpi=110)
        plt.close(figure)


def _against_the_sketch(axes: Any, results: dict[str, Any]) -> None:
    from lab.benchmarks.load import loop_seconds

    few = str(results["settings"]["sizes"][0])
    known = statistics.median(one["wall_s"] for one in results["known"][few]["captures"])
    cold = statistics.median(one["wall_s"] for one in results["cold"])
    names = ["the specification's loop", "this, cold process", "this, addresses known"]
    seconds = [loop_seconds(results), cold, known]
    bars = axes.barh(names, seconds, color=[_OTHERS, _OURS, _OURS], height=0.6)
    axes.bar_label(bars, [f"{one:.2f} s" for one in seconds], padding=4)
    slowest = max(results["latency"][few]["seconds"].values())
    axes.axvline(slowest, color=_LIMIT, lw=1)
    axes.annotate(
        f"slowest camera alone, {slowest:.2f} s",
        (slowest, 1),
        xycoords=("data", "axes fraction"),
        xytext=(4, -2),
        textcoords="offset points",
        color=_LIMIT,
        fontsize=9,
        va="top",
    )
    axes.set_xlim(0, 1.18 * max(seconds))
    axes.invert_yaxis()
    axes.margins(y=0.25)
    axes.set_xlabel("seconds")
    axes.set_title(f"{few} cameras")


def _wall_time(axes: Any, results: dict[str, Any]) -> None:
    sizes = results["settings"]["sizes"]
    _dots(axes, results, "wall_s", 1.0)
    slowest = [max(results["latency"][str(size)]["seconds"].values()) for size in sizes]
    axes.plot(sizes, slowest, color=_LIMIT, lw=1)
    axes.annotate(
        "slowest camera alone",
        (sizes[-1], slowest[-1]),
        xytext=(0, -6),
        textcoords="offset points",
        color=_LIMIT,
        fontsize=9,
        ha="right",
        va="top",
    )
    axes.set_ylim(bottom=0)
    axes.set_ylabel("seconds")
    axes.set_xlabel("cameras at once, addresses known")
    axes.set_title("Until the last frame is there")


def _cost(axes: Any, results: dict[str, Any]) -> None:
    limit = results["settings"]["minute"]
    sizes = [str(size) for size in results["settings"]["sizes"]]
    names, cpu = [], []
    for case, name in (("sequential", "the specification's loop"), ("pool", "its loop in threads")):
        finished = results[case]["finished_s"]
        names.append(f"{name}\n({sum(one <= limit for one in finished)} cameras in {limit:g} s)")
        cpu.append(1000 * results[case]["cpu_s"] / max(1, len(finished)))
    for size in sizes:
        names.append(f"this, {size} cameras")
        captures = results["known"][size]["captures"]
        cpu.append(1000 * statistics.median(one["cpu_s"] / one["frames"] for one in captures))
    bars = axes.barh(names, cpu, color=[_OTHERS] * 2 + [_OURS] * len(sizes), height=0.6)
    axes.bar_label(bars, [f"{one:.3g} ms" for one in cpu], padding=4)
    axes.set_xscale("log")
    axes.set_xlim(0.1, 12 * max(cpu))
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds of CPU per image, the client's alone (logarithmic)")
    axes.set_title("What an image costs")


def _loop_lag(axes: Any, results: dict[str, Any]) -> None:
    largest = max(_dots(axes, results, "lag_s", 1000.0))
    lags = [1000 * one["lag_s"] for one in results["resolving"]]
    new = results["resolving"][0]["frames"]
    axes.scatter([new] * len(lags), lags, s=26, facecolors="none", edgecolors=_OURS)
    axes.annotate(
        f"{new} new cameras,\nresolved by zeep",
        (new, max(lags)),
        xytext=(-8, 0),
        textcoords="offset points",
        fontsize=9,
        ha="right",
        va="center",
    )
    axes.axhline(100, color=_LIMIT, lw=1)
    axes.annotate(
        "bar: 100 ms",
        (0, 100),
        xycoords=("axes fraction", "data"),
        xytext=(4, 3),
        textcoords="offset points",
        color=_LIMIT,
        fontsize=9,
    )
    axes.set_ylim(0, 1.15 * max(100, largest, *lags))
    axes.set_ylabel("milliseconds")
    axes.set_xlabel("cameras at once, addresses known unless said otherwise")
    axes.set_title("Longest time that the event loop was blocked")


def _dots(axes: Any, results: dict[str, Any], name: str, factor: float) -> list[float]:
    """Every capture as a dot, the medians joined; all values."""
    sizes = results["settings"]["sizes"]
    medians, everything = [], []
    for size in sizes:
        values = [factor * one[name] for one in results["known"][str(size)]["captures"]]
        axes.scatter([size] * len(values), values, s=16, color=_OURS, alpha=0.5, lw=0)
        medians.append(statistics.median(values))
        everything += values
    axes.plot(sizes, medians, color=_OURS, lw=1.5)
    axes.set_xscale("log")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    return everything
