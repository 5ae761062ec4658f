"""The drawing: calls a second and p99 of every server, by calls in flight, on ipc and on tcp."""
import html
import math

from harness import quiet, spread

WIDTH, HEIGHT = 1080, 700
COLOURS = {"echo": "#b2bec3", "pack": "#636e72", "grpc_callback": "#e17055", "grpc_async": "#fdcb6e",
           "probed": "#00896f"}
NAMES = {"echo": "bare nng echo", "pack": "nng + protobuf-c", "grpc_callback": "gRPC C++ callback",
         "grpc_async": "gRPC C++ async", "probed": "probed, cached"}
STYLE = ("text{fill:#2d3436;font-size:13px}.small{font-size:12px;fill:#636e72}.title{font-size:20px;font-weight:bold}"
         ".head{font-size:14px;font-weight:bold}.end{text-anchor:end}.middle{text-anchor:middle}"
         ".grid{stroke:#dfe6e9}.spread{stroke:#2d3436;stroke-width:1}")


def text(x, y, words, kind=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{html.escape(words)}</text>'


def line(x1, y1, x2, y2, kind):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


class Scale:
    """From values to pixels, upwards; linear from 0, or logarithmic between powers of ten."""

    def __init__(self, values, bottom, top, logarithmic):
        self.bottom, self.top, self.logarithmic = bottom, top, logarithmic
        if logarithmic:
            self.low, self.high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
            self.high = max(self.high, self.low + 1)
            self.ticks = [10.0 ** power for power in range(self.low, self.high + 1)]
        else:
            step = 10 ** math.floor(math.log10(max(values)))
            step = step / 2 if max(values) / step < 3 else step
            count = math.ceil(max(values) / step)
            self.low, self.high = 0, step * count
            self.ticks = [step * i for i in range(count + 1)]

    def at(self, value):
        part = ((math.log10(value) if self.logarithmic else value) - self.low) / (self.high - self.low)
        return self.bottom - min(1, max(0, part)) * (self.bottom - self.top)


def tick_name(value, logarithmic):
    if logarithmic:
        for limit, scale, unit in ((1e3, 1, "µs"), (1e6, 1e3, "ms"), (1e12, 1e6, "s")):
            if value < limit:
                return f"{value / scale:.0f} {unit}"
    return f"{value / 1000:.0f} k" if value >= 1000 else f"{value:.0f}"


def panel(closed, transport, key, box, title, scale):
    """Groups of bars, one group a number in flight, with the least and the greatest of the rounds."""
    left, right = box
    groups = [name for name in closed["rows"] if name.startswith(transport + " ")]
    out = [text(left, scale.top - 14, title, "head")]
    for tick in scale.ticks:
        out += [line(left, scale.at(tick), right, scale.at(tick), "grid"),
                text(left - 8, scale.at(tick) + 4, tick_name(tick, scale.logarithmic), "small end")]
    for index, group in enumerate(groups):
        width = (right - left) / len(groups)
        names = [name for name in COLOURS if name in closed["rows"][group]]
        bar = width * 0.84 / len(names)
        for place, name in enumerate(names):
            found = spread([report[key] for report in closed["rows"][group][name]])
            x, y = left + index * width + width * 0.08 + place * bar, scale.at(found["median"])
            out += [f'<rect x="{x:.1f}" y="{y:.1f}" width="{bar - 2:.1f}" height="{scale.bottom - y:.1f}" '
                    f'fill="{COLOURS[name]}"/>',
                    line(x + bar / 2 - 1, scale.at(found["min"]), x + bar / 2 - 1, scale.at(found["max"]), "spread")]
        name = f"{group.split()[1]} in flight"
        out.append(text(left + (index + 0.5) * width, scale.bottom + 18, name, "small middle"))
    return out


def values_of(closed, key, transport):
    return [report[key] for group, variants in closed["rows"].items() if group.startswith(transport + " ")
            for name in COLOURS for report in variants.get(name, [])]


def draw(data):
    closed, about = data["closed_loop"], data["about"]
    transports = list(dict.fromkeys(name.split()[0] for name in closed["rows"]))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
           f'font-family="Helvetica, Arial, \'Liberation Sans\', sans-serif"><style>{STYLE}</style>',
           f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#ffffff"/>',
           text(36, 42, "A Probe answered at once, beside the transport alone and gRPC", "title"),
           text(36, 64, f"{about['machine']}; medians of {about['rounds']} interleaved rounds, "
                f"least to greatest as lines{'' if quiet(about) else '; the machine was not quiet: a draft'}",
                "small")]
    place = 36
    for name in COLOURS:
        if name in next(iter(closed["rows"].values())):
            out += [f'<rect x="{place}" y="82" width="14" height="12" fill="{COLOURS[name]}"/>',
                    text(place + 20, 92, NAMES[name])]
            place += 60 + 8 * len(NAMES[name])
    for index, transport in enumerate(transports):
        box = (96 + index * 506, 540 + index * 506) if len(transports) > 1 else (96, WIDTH - 36)
        out += panel(closed, transport, "rate", box, f"Calls a second, {transport} (more is better)",
                     Scale(values_of(closed, "rate", transport), 370, 146, False))
        out += panel(closed, transport, "p99", box, f"p99, {transport} (less is better)",
                     Scale(values_of(closed, "p99", transport), 660, 442, True))
    return "\n".join(out + ["</svg>"]) + "\n"
