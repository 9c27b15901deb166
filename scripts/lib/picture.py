# SPDX-License-Identifier: GPL-2.0-or-later
"""The picture of a demo run: latency over time with the events marked, both sides, as SVG."""

import math
from html import escape

import timeline

WIDTH = 1240
LEFT, RIGHT = 76, 24
PANEL_TOP, PANEL_HEIGHT, PANEL_GAP = 128, 208, 92
PHASE_GAP = 14
LOST_LANE = 26  # at the top of a panel
LOWEST_MS = 0.1
BIN_S = 0.1

INK, GREY, LIGHT, BAND = "#1f2933", "#66707a", "#d5dae0", "#f5f7f9"
BLUE, PALE_BLUE, RED, GREEN = "#1565a7", "#a9cdea", "#c62828", "#1b7f3b"
TITLES = {
    "hotstandby": "With hotstandby",
    "baseline": "Without: the same two instances, plain SO_REUSEPORT, the usual rolling restart",
}
LABELS = {
    "switchover": ("switchover", "restart by turns"),
    "restart": ("systemctl restart", "systemctl restart"),
    "crash": ("kill -9", "kill -9"),
    "manager": ("kill -9 of hsd", ""),  # there is no hsd to kill
}


class Bins:
    """One phase of one side, all services together, in steps of BIN_S."""

    def __init__(self, folder, side, phase):
        self.phase = phase
        self.answers, self.failures = {}, {}
        for service in timeline.services_of(folder, side, phase.name):
            for end, duration, outcome in timeline.read_records(folder, side, phase.name, service):
                if phase.start <= end < phase.end:
                    self.add(int((end - phase.start) / BIN_S), duration, outcome)

    def add(self, index, duration, outcome):
        if outcome == timeline.ANSWERED:
            self.answers.setdefault(index, []).append(duration)
        else:
            self.failures[index] = self.failures.get(index, 0) + 1

    def points(self):
        """(seconds, median, 99th percentile, maximum) in ms for each bin that has answers."""
        for index in sorted(self.answers):
            ordered = sorted(self.answers[index])
            yield ((index + 0.5) * BIN_S, ordered[len(ordered) // 2] / 1000,
                   ordered[int(len(ordered) * 0.99)] / 1000, ordered[-1] / 1000)


class Scale:
    """Where things stand: a phase has the same place in both panels, all have the same seconds per pixel."""

    def __init__(self, runs, worst_ms):
        self.decades = max(3, math.ceil(math.log10(worst_ms / LOWEST_MS)))
        lengths = {}
        for phases in runs.values():
            for phase in phases:
                lengths[phase.name] = max(lengths.get(phase.name, 0), phase.end - phase.start)
        room = WIDTH - LEFT - RIGHT - PHASE_GAP * (len(lengths) - 1)
        self.per_second = room / sum(lengths.values())
        self.left, self.width = {}, {}
        x = LEFT
        for name, length in lengths.items():
            self.left[name], self.width[name] = x, length * self.per_second
            x += self.width[name] + PHASE_GAP

    def x(self, phase, seconds):
        return self.left[phase.name] + seconds * self.per_second

    def y(self, top, ms):
        share = math.log10(max(ms, LOWEST_MS) / LOWEST_MS) / self.decades
        return top + PANEL_HEIGHT - share * (PANEL_HEIGHT - LOST_LANE)


def text(x, y, content, size=13, colour=INK, anchor="start", weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" '
            f'font-weight="{weight}">{escape(content)}</text>')


def line(x1, y1, x2, y2, colour, width=1.0, dash=""):
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width}"{dashes}/>')


def polyline(points, colour, width):
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def area(upper, lower, colour):
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in upper + lower[::-1])
    return f'<polygon points="{path}" fill="{colour}"/>'


def draw_axis(scale, top):
    parts = [text(LEFT - 10, top + LOST_LANE - 9, "lost", 11, RED, "end")]
    for decade in range(scale.decades + 1):
        ms = LOWEST_MS * 10 ** decade
        label = f"{ms:g} ms" if ms < 1000 else f"{ms / 1000:g} s"
        y = scale.y(top, ms)
        parts.append(line(LEFT, y, WIDTH - RIGHT, y, LIGHT, 0.7))
        parts.append(text(LEFT - 10, y + 4, label, 11, GREY, "end"))
    return parts


def label_of(phase, side):
    return LABELS.get(phase.name, (phase.name, phase.name))[timeline.SIDES.index(side)]


def draw_band(scale, top, phase, side, figures):
    """The background of a phase and what it says about it."""
    left, width = scale.left[phase.name], scale.width[phase.name]
    label = label_of(phase, side)
    losses = sum(figures[kind] for kind in ("refused", "reset", "timed_out", "wrong"))
    requests = f"{figures['requests']:,}".replace(",", " ")
    return [
        f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{PANEL_HEIGHT}" fill="{BAND}"/>',
        text(left, top - 24, f"{len(phase.events)} × {label}" if label else "nothing happens", 12.5, weight="bold"),
        text(left, top - 8, f"{losses} of {requests} lost", 12, RED if losses else GREEN, weight="bold"),
    ]


def draw_latency(scale, top, bins):
    points = list(bins.points())
    parts = []
    if points:
        median = [(scale.x(bins.phase, s), scale.y(top, p50)) for s, p50, _, _ in points]
        high = [(scale.x(bins.phase, s), scale.y(top, p99)) for s, _, p99, _ in points]
        parts += [area(high, median, PALE_BLUE), polyline(median, BLUE, 1.6)]
    for seconds, _, _, worst in points:
        x, y = scale.x(bins.phase, seconds), scale.y(top, worst)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.3" fill="{GREY}"/>')
    return parts


def draw_failures(scale, top, bins):
    parts = []
    for index, count in sorted(bins.failures.items()):
        x = scale.x(bins.phase, (index + 0.5) * BIN_S)
        height = min(LOST_LANE - 2, 5 + 6 * math.log2(count))
        parts.append(line(x, top + LOST_LANE, x, top + LOST_LANE - height, RED, 2.4))
    return parts


def draw_events(scale, top, phase):
    parts = []
    for time, _ in phase.events:
        x = scale.x(phase, time - phase.start)
        bottom = top + PANEL_HEIGHT
        parts.append(line(x, top + LOST_LANE, x, bottom, GREY, 0.8, "2,3"))
        parts.append(f'<path d="M{x:.1f} {bottom} l-4 7 h8 z" fill="{INK}"/>')
    return parts


def draw_panel(folder, side, phases, figures, scale, top):
    parts = [text(LEFT, top - 46, TITLES[side], 15, INK, weight="bold")]
    bands = [draw_band(scale, top, phase, side, figures[phase.name][side]) for phase in phases]
    parts += [part for band in bands for part in band] + draw_axis(scale, top)
    for phase in phases:
        bins = Bins(folder, side, phase)
        if label_of(phase, side):
            parts += draw_events(scale, top, phase)
        parts += draw_latency(scale, top, bins) + draw_failures(scale, top, bins)
    return parts


def draw_legend(y, scale):
    x = LEFT
    parts = [line(x, y - 4, x + 26, y - 4, BLUE, 1.8), text(x + 32, y, "median", 12)]
    x += 100
    parts += [f'<rect x="{x}" y="{y - 11}" width="26" height="12" fill="{PALE_BLUE}"/>',
              text(x + 32, y, "median to 99th percentile", 12)]
    x += 210
    parts += [f'<circle cx="{x + 6}" cy="{y - 4}" r="2" fill="{GREY}"/>', text(x + 16, y, "slowest", 12)]
    x += 84
    parts += [line(x + 4, y + 1, x + 4, y - 12, RED, 2.4), text(x + 14, y, "lost requests", 12)]
    x += 116
    parts += [f'<path d="M{x + 4} {y - 10} l-4 7 h8 z" fill="{INK}"/>', text(x + 14, y, "event", 12)]
    second = scale.per_second * 5
    x = WIDTH - RIGHT - second
    parts += [line(x, y - 4, x + second, y - 4, INK, 1.5), text(x - 8, y, "5 s", 12, INK, "end")]
    return parts


def draw(folder, report, sentence):
    """Returns the SVG text."""
    figures = {phase["name"]: phase for phase in report["phases"]}
    runs = {side: timeline.read_phases(folder, side) for side in timeline.SIDES}
    runs = {side: phases for side, phases in runs.items() if phases}
    worst_us = max(phase[side]["max_us"] for phase in figures.values() for side in runs)
    scale = Scale(runs, worst_us / 1000)
    parts = [text(LEFT, 32, "What the clients saw", 21, INK, weight="bold"),
             text(LEFT, 54, sentence, 14, INK)]
    top = PANEL_TOP
    for side, phases in runs.items():
        parts += draw_panel(folder, side, phases, figures, scale, top)
        top += PANEL_HEIGHT + PANEL_GAP
    bottom = top - PANEL_GAP + 44
    parts += draw_legend(bottom, scale)
    parts.append(text(LEFT, bottom + 26, "Time until the answer, connecting included, of nginx and the example server "
                      "under load; a new connection for every request; steps of 0.1 s.", 12, GREY))
    height = bottom + 44
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            f'font-family="Helvetica, Arial, sans-serif">\n<rect width="100%" height="100%" fill="white"/>\n'
            + "\n".join(parts) + "\n</svg>\n")
