"""The plot of the incident, as SVG text: a panel for each scene, over the same axes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite, log10

from scenes import AFTER, BEFORE, JOB, SHELL, Fate, Scene

WIDTH, HEIGHT, LEFT, TOP = 380, 130, 70, 76
BETWEEN, BELOW = 30, 34
RED, GREEN, BLUE, GREY = "#b3261e", "#1b7f3b", "#1f5fa8", "#6b6b6b"
COLOURS = {JOB: RED, SHELL: BLUE}
STEP = 5
"""Seconds between two marks of the time axis."""


@dataclass(frozen=True)
class Axis:
    """A measure from bottom to top of a row.

    Args:
        marks: Values that get a line and a label.
        place: A value -> 0 at the bottom to 1 at the top.
    """

    name: str
    marks: Sequence[float]
    place: Callable[[float], float]


def linear(name: str, top: float, marks: Sequence[float]) -> Axis:
    return Axis(name, marks, lambda value: min(max(value / top, 0.0), 1.0))


MEMORY = linear("free memory, GiB", 3.0, (0, 1, 2, 3))
PROCESSES = linear("processes", 180.0, (0, 60, 120, 180))
LATENCY = Axis(
    "latency, ms (log)", (1, 10, 100, 1000), lambda value: min(max(log10(max(value, 1.0)) / 3, 0.0), 1.0)
)


@dataclass(frozen=True)
class Frame:
    """One row of one panel; its top left corner in the picture."""

    x: float
    y: float
    axis: Axis

    def point(self, at: float, value: float) -> tuple[float, float]:
        across = (at + BEFORE) / (BEFORE + AFTER) * WIDTH
        return self.x + across, self.y + HEIGHT * (1 - self.axis.place(value))

    def drawn(self, labelled: bool) -> Iterator[str]:
        yield f'<rect x="{self.x}" y="{self.y}" width="{WIDTH}" height="{HEIGHT}" class="frame"/>'
        for mark in self.axis.marks:
            _, y = self.point(0, mark)
            yield f'<path d="M{self.x} {y:.1f}h{WIDTH}" class="grid"/>'
            if labelled:
                yield words(self.x - 6, y + 4, f"{mark:g}", "end")
        if labelled:
            x, y = self.x - 46, self.y + HEIGHT / 2
            yield f'<text x="{x}" y="{y}" text-anchor="middle" transform="rotate(-90 {x} {y})">'
            yield f"{self.axis.name}</text>"

    def line(self, points: Iterable[tuple[float, float]], colour: str) -> str:
        places = [self.point(at, value) for at, value in points if -BEFORE <= at <= AFTER]
        steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        return f'<path d="M{steps}" class="line" stroke="{colour}"/>'

    def dots(self, fate: Fate, colour: str) -> Iterator[str]:
        for one in fate.requests:
            if -BEFORE <= one.at <= AFTER and isfinite(one.milliseconds):
                x, y = self.point(one.at, one.milliseconds)
                yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.5" fill="{colour}"/>'


def words(x: float, y: float, text: str, anchor: str = "start", kind: str = "") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{text}</text>'


def panel(scene: Scene, x: float, title: str, event: tuple[float, str], first: bool) -> Iterator[str]:
    """One scene: its rows from top to bottom, and when what happened."""
    colour = GREEN if scene.told else RED
    memory, processes, latency = (
        Frame(x, TOP + row * (HEIGHT + BETWEEN), axis)
        for row, axis in enumerate((MEMORY, PROCESSES, LATENCY))
    )
    yield words(x, TOP - 40, title, kind="title")
    for frame in (memory, processes, latency):
        yield from frame.drawn(first)
    yield memory.line(((one.at - scene.began, one.free / (1 << 30)) for one in scene.looks), colour)
    yield processes.line(((one.at - scene.began, one.processes) for one in scene.looks), colour)
    for name, fate in scene.fates.items():
        yield from latency.dots(fate, COLOURS[name])
    bottom = latency.y + HEIGHT
    for (at, text), up in (((0.0, "the suite begins"), 8), (event, 8)):
        place, _ = memory.point(at, 0)
        yield f'<path d="M{place:.1f} {TOP - 4}V{bottom}" class="event"/>'
        yield words(place, TOP - up, text, "middle" if at else "end", "small")
    for at in range(0, int(AFTER) + 1, STEP):
        yield words(memory.point(at, 0)[0], bottom + 16, str(at), "middle")


def legend(y: float) -> Iterator[str]:
    x = float(LEFT)
    yield words(x, y, "seconds since the suite began; latency of:")
    for at, name in ((x + 270, JOB), (x + 470, SHELL)):
        yield f'<circle cx="{at}" cy="{y - 4}" r="4" fill="{COLOURS[name]}"/>'
        yield words(at + 9, y, name)


STYLE = (
    "text{font:12px sans-serif;fill:#222}.title{font-size:15px;font-weight:bold}.small{font-size:11px}"
    f".frame{{fill:none;stroke:{GREY}}}.grid{{stroke:#ddd;fill:none}}.line{{fill:none;stroke-width:1.6}}"
    f".event{{stroke:{GREY};stroke-dasharray:4 3;fill:none}}"
)


def plot(without: Scene, within: Scene) -> str:
    """The picture."""
    second = LEFT + WIDTH + BETWEEN
    width, height = second + WIDTH + BETWEEN, TOP + 3 * (HEIGHT + BETWEEN) + BELOW
    fell = without.fates[JOB].ended
    killed = (fell, "the kernel kills the job") if fell is not None else (AFTER, "the job lives")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        "<title>Free memory, processes and latency on a host of 3 GiB, without and with stackctl</title>",
        f'<style>{STYLE}</style><rect width="100%" height="100%" fill="#fff"/>',
        *panel(without, LEFT, "without limits", killed, first=True),
        *panel(within, second, "with stackctl", (within.gone, "the suite is gone"), first=False),
        *legend(height - 14),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"
