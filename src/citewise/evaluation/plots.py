"""Small plots as inline SVG, written by hand so that a report needs nothing but itself.

Each takes numbers and gives one ``<svg>`` element. Colours are the page's CSS classes, so that a
plot follows its light or dark theme. All text is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 12, 40
_WIDTH, _HEIGHT = 420, 280
_ROW = 24
_LABELS = 132
_FAR = 8
"""How many times longer than the median the slowest answer is, for its axis to be logarithmic."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A value from 0 to 1 with its interval."""

    label: str
    value: float
    low: float | None
    high: float | None
    n: int


def interval_bars(bars: Sequence[Bar], title: str) -> str:
    """One horizontal bar a value, with its interval as a line across its end."""
    height = _TOP + _ROW * len(bars) + _BOTTOM
    left, right = _LABELS, 64
    span = _WIDTH - left - right

    def x(value: float) -> float:
        return left + span * min(1.0, max(0.0, value))

    parts = [_vertical(x(tick / 4), _TOP, height - _BOTTOM) for tick in range(5)]
    parts += [
        _text(x(tick / 4), height - _BOTTOM + 16, f"{tick / 4:g}", "middle") for tick in range(5)
    ]
    for at, bar in enumerate(bars):
        y = _TOP + _ROW * at + _ROW / 2
        parts.append(_text(left - 8, y + 4, bar.label, "end"))
        parts.append(
            f'<rect class="bar" x="{left}" y="{y - 7:.1f}" width="{x(bar.value) - left:.1f}" '
            'height="14" rx="2"/>'
        )
        if bar.low is not None and bar.high is not None:
            parts.append(
                f'<path class="interval" d="M{x(bar.low):.1f} {y:.1f}H{x(bar.high):.1f}'
                f'M{x(bar.low):.1f} {y - 4:.1f}v8M{x(bar.high):.1f} {y - 4:.1f}v8"/>'
            )
        parts.append(_text(_WIDTH - 4, y + 4, f"{bar.value:.2f} ({bar.n})", "end", "small"))
    return _svg(parts, title, height)


def interval_line(value: float, low: float | None, high: float | None) -> str:
    """A tiny plot of one value from 0 to 1 and its interval, to stand in a table cell."""
    width = 120

    def x(number: float) -> float:
        return 4 + (width - 8) * min(1.0, max(0.0, number))

    parts = [f'<path class="grid" d="M4 8H{width - 4}"/>']
    if low is not None and high is not None:
        parts.append(f'<path class="thick" d="M{x(low):.1f} 8H{x(high):.1f}"/>')
    parts.append(f'<circle class="dot" cx="{x(value):.1f}" cy="8" r="3.5"/>')
    return (
        f'<svg class="inline" viewBox="0 0 {width} 16" width="{width}" height="16" '
        f'aria-hidden="true">{"".join(parts)}</svg>'
    )


def risk_coverage(risk: Sequence[float]) -> str:
    """Risk (share not correct) over coverage, from the surest answer to all questions."""
    parts = _axes("coverage: share of questions, surest first", "risk: share not correct")
    count = len(risk)
    points = [(_x((at + 1) / count), _y(value)) for at, value in enumerate(risk)]
    parts.append(_line(points))
    if count:
        parts.append(_text(_x(1) - 2, _y(risk[-1]) - 8, f"{risk[-1]:.2f} at all", "end", "small"))
    return _svg(parts, "Risk over coverage")


def reliability(bins: Sequence[tuple[float, float, int]]) -> str:
    """Share correct over mean confidence, one dot a bin, larger with its number of answers.

    ``bins``: mean confidence, share correct, answers. On the diagonal the confidence is true.
    """
    parts = _axes("confidence", "share correct")
    parts.append(f'<path class="diagonal" d="M{_x(0):.1f} {_y(0):.1f}L{_x(1):.1f} {_y(1):.1f}"/>')
    most = max((count for *_, count in bins), default=1)
    drawn = [(_x(sure), _y(right)) for sure, right, _ in bins]
    parts.append(_line(drawn))
    for (px, py), (sure, right, count) in zip(drawn, bins, strict=True):
        radius = 3 + 7 * math.sqrt(count / most)
        hint = f"{count} answers: confidence {sure:.2f}, correct {right:.2f}"
        parts.append(
            f'<circle class="dot" cx="{px:.1f}" cy="{py:.1f}" r="{radius:.1f}">'
            f"<title>{escape(hint)}</title></circle>"
        )
        parts.append(_text(px, py - radius - 3, str(count), "middle", "small"))
    return _svg(parts, "Calibration: share correct over confidence")


def latency(times: Sequence[float]) -> str:
    """Share of the questions answered within a time in ms, with the median and the 95th percentile.

    The empirical distribution: no bin has to be chosen, and the tail can be read.
    """
    ordered = sorted(times)
    count = len(ordered)
    # An axis shorter than a microsecond would only show rounding.
    most = max(0.001, _round_up(ordered[-1])) if ordered else 1.0
    least = 10 ** math.floor(math.log10(max(ordered[0], 0.001))) if ordered else 1.0
    # Beside one slow answer all others would stand in the first column.
    far = bool(ordered) and ordered[-1] > _FAR * ordered[count // 2]
    most = max(most, least * 10)
    if far:
        ratio = most / least
        ticks = [least * ratio ** (k / 4) for k in range(5)]
        ticks = [float(f"{tick:.2g}") for tick in ticks]
    else:
        ticks = [most * k / 4 for k in range(5)]

    def across(ms: float) -> float:
        if far:
            return max(0.0, math.log(max(ms, least) / least) / math.log(most / least))
        return ms / most

    parts = _axes(
        "milliseconds, each step as many times longer" if far else "milliseconds",
        "share answered within",
        ticks=ticks,
    )
    points = [(_x(0), _y(0))]
    for at, ms in enumerate(ordered):
        points += [(_x(across(ms)), _y(at / count)), (_x(across(ms)), _y((at + 1) / count))]
    parts.append(_line(points))
    for share in (0.5, 0.95) if ordered else ():
        ms = ordered[min(count - 1, math.ceil(share * count) - 1)]
        parts.append(_vertical(_x(across(ms)), _y(share), _y(0), "diagonal"))
        anchor = "start" if across(ms) < 0.7 else "end"
        shift = 6 if anchor == "start" else -6
        parts.append(
            _text(_x(across(ms)) + shift, _y(share) + 14, f"p{share * 100:.0f} {ms:.0f} ms", anchor,
                  "small")
        )  # fmt: skip
    return _svg(parts, "Latency")


def _round_up(value: float) -> float:
    if value <= 0:
        return 1.0
    step: float = 10 ** math.floor(math.log10(value))
    return next((step * k for k in (1, 2, 4, 6, 8) if step * k >= value), step * 10)


def _x(share: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * share


def _y(share: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share


def _axes(across: str, up: str, ticks: Sequence[float] | None = None) -> list[str]:
    marks = ticks or [k / 4 for k in range(5)]
    parts = []
    for k in range(5):
        parts.append(_vertical(_x(k / 4), _y(1), _y(0)))
        parts.append(f'<path class="grid" d="M{_x(0):.1f} {_y(k / 4):.1f}H{_x(1):.1f}"/>')
        parts.append(_text(_x(k / 4), _y(0) + 16, f"{marks[k]:g}", "middle"))
        parts.append(_text(_x(0) - 6, _y(k / 4) + 4, f"{k / 4:g}", "end"))
    parts.append(_text((_x(0) + _x(1)) / 2, _HEIGHT - 6, across, "middle"))
    middle = (_y(0) + _y(1)) / 2
    parts.append(
        f'<text x="12" y="{middle:.1f}" text-anchor="middle" '
        f'transform="rotate(-90 12 {middle:.1f})">{escape(up)}</text>'
    )
    return parts


def _vertical(x: float, top: float, bottom: float, kind: str = "grid") -> str:
    return f'<path class="{kind}" d="M{x:.1f} {top:.1f}V{bottom:.1f}"/>'


def _line(points: Sequence[tuple[float, float]]) -> str:
    if not points:
        return ""
    return f'<polyline class="line" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(parts: Sequence[str], title: str, height: float = _HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
