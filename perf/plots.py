"""Pictures of a document, by gnuplot."""

import os
import re
import shutil
import subprocess

HEAD = """set terminal svg size {width},{height} font 'sans-serif,11' background '#ffffff'
set output '{output}'
set title '{title}' noenhanced
set style fill solid 0.6 border -1
set border 3
set xtics nomirror noenhanced rotate by -35
set ytics nomirror
set grid ytics lc rgb '#dddddd'
set key off
set bmargin 12
set rmargin 12
set lmargin 10
"""


TABLES_ALONE = {"cost"}  # benches of too many figures for bars: the page has a table of them


def _gnuplot(script):
    subprocess.run(["gnuplot", "-"], input=script, text=True, check=True)


def _quoted(text):
    return text.replace("'", "")


def _head(output, title, bars):
    return HEAD.format(width=max(420, 140 + 62 * bars), height=460, output=output,
                       title=_quoted(title))


def _bars(path, title, unit, rows):
    """rows: (label, median, low, high). Bars that differ by a factor of 100 stand on a logarithmic
    axis."""
    low, high = min(r[2] for r in rows), max(r[3] for r in rows)
    axis = (f"set logscale y\nset yrange [{low / 2:.6g}:*]" if 0 < 100 * low < high
            else "set yrange [0:*]" if low >= 0 else "set autoscale y")
    data = "\n".join(f"{i} {m:.6g} {low:.6g} {high:.6g} \"{label}\""
                     for i, (label, m, low, high) in enumerate(rows))
    _gnuplot(_head(path, title, len(rows)) + f"""set ylabel '{_quoted(unit)}'
{axis}
set xrange [-0.6:{len(rows) - 0.4}]
set boxwidth 0.6
$rows << END
{data}
END
plot $rows using 1:2:xtic(5) with boxes lc rgb '#4878a8', \\
     $rows using 1:2:3:4 with yerrorbars lc rgb '#202020' pt 0
""")


def _targets(path, figures):
    """Every figure that something is asked of: how much of the target it reaches."""
    rows = []
    for f in figures:
        low, high = min(f["samples"]), max(f["samples"])
        of = [x / f["target"] if f["better"] == "higher" else f["target"] / x
              for x in (f["median"], low, high)]
        rows.append((f["name"], of[0], min(of[1:]), max(of[1:])))
    data = "\n".join(f"{i} {m:.6g} {low:.6g} {high:.6g} \"{label}\""
                     for i, (label, m, low, high) in enumerate(rows))
    _gnuplot(_head(path, "How much of its target each figure reaches", len(rows)) + f"""
set ylabel 'of the target'
set yrange [0:*]
set xrange [-0.6:{len(rows) - 0.4}]
set boxwidth 0.6
$rows << END
{data}
END
plot $rows using 1:2:xtic(5) with boxes lc rgb '#58a066', \\
     $rows using 1:2:3:4 with yerrorbars lc rgb '#202020' pt 0, 1 with lines lc rgb '#c03030' lw 2
""")


# scaling.devices.ingest_at_100: a point of the curve `ingest` over devices.
POINT = re.compile(r"^\w+\.(\w+)\.(\w+)_at_(\d+)$")


def _curves(bench):
    """{over: {curve: [(x, median, low, high)]}} of the figures that are points, and their units."""
    found, units = {}, {}
    for f in bench["figures"]:
        match = POINT.match(f["name"])
        if match:
            over, curve, x = match.groups()
            units[over] = f["unit"]
            found.setdefault(over, {}).setdefault(curve, []).append(
                (int(x), f["median"], min(f["samples"]), max(f["samples"])))
    return found, units


def _lines(path, title, over, unit, curves):
    blocks = "".join(
        f"${name} << END\n" + "\n".join(" ".join(f"{v:.6g}" for v in p) for p in points) + "\nEND\n"
        for name, points in curves.items())
    plot = ", ".join(f"${name} using 1:2:3:4 with yerrorlines title '{name}' pt 7 ps 0.5"
                     for name in curves)
    _gnuplot(_head(path, title, 5) + f"""set key top left
set logscale x
set format x '10^{{%L}}'
set xtics enhanced norotate
set bmargin 4
set xlabel '{_quoted(over)}'
set ylabel '{_quoted(unit)}'
set yrange [0:*]
{blocks}plot {plot}
""")


HUB_STAGES = ("close", "freeze", "expand", "open", "model", "store", "make", "sign")
DEVICE_STAGES = ("heard", "fetched", "verified", "kept", "installed")


def _stages(path, figures):
    """Of the bench `release`: the lead's stages one behind the other, and when the median and the last device had got so
    far, all since the quorum. False where one of them was not measured."""
    of = {f["name"]: f for f in figures}
    names = [f"release.hub.{stage}_ms" for stage in HUB_STAGES]
    names += [f"release.{who}.{stage}_ms" for stage in DEVICE_STAGES for who in ("device", "last_device")]
    if any(name not in of for name in names):
        return False
    hub, at = [], 0
    for name, stage in zip(names, HUB_STAGES):
        hub.append(f"{at:.6g} 7 {at:.6g} {at + of[name]['median']:.6g} 6.6 7.4 {len(hub) % 2}")
        at += of[name]["median"]
    labels = "\n".join(f"set label '{stage}' at {float(row.split()[0]):.6g},7.6 rotate by 35 font ',9'"
                       for row, stage in zip(hub, HUB_STAGES) if float(row.split()[3]) - float(row.split()[0]) > at / 8)
    points = []
    for place, stage in enumerate(DEVICE_STAGES):
        for who, shift in (("device", 0.15), ("last_device", -0.15)):
            f = of[f"release.{who}.{stage}_ms"]
            points.append(f"{f['median']:.6g} {5 - place + shift} {min(f['samples']):.6g} {max(f['samples']):.6g} {int(who == 'device')}")
    ticks = ", ".join(f"'{stage}' {5 - place}" for place, stage in enumerate(DEVICE_STAGES))
    data = "$hub << END\n" + "\n".join(hub) + "\nEND\n$points << END\n" + "\n".join(points) + "\nEND\n"
    _gnuplot(_head(path, "From the quorum to the last device: medians, and all that was measured", 9) + f"""{data}{labels}
set bmargin 4
set xtics norotate
set grid xtics lc rgb '#dddddd'
set xlabel 'ms since the quorum'
set xrange [0:*]
set yrange [0.4:9]
set ytics ('lead' 7, {ticks}) noenhanced
set key top right
plot $hub using 1:2:3:4:5:6:($7 == 0 ? 0x4878a8 : 0x88a8c8) with boxxyerror lc rgb variable notitle, \\
     $points using ($5 == 1 ? $1 : NaN):2:3:4 with xerrorbars pt 7 ps 0.7 lc rgb '#4878a8' title 'median device', \\
     $points using ($5 == 0 ? $1 : NaN):2:3:4 with xerrorbars pt 7 ps 0.7 lc rgb '#a04040' title 'last device'
""")
    return True


def draw(document, directory):
    """Writes the SVGs; their names in order. Empty where gnuplot is missing."""
    if shutil.which("gnuplot") is None:
        return []
    os.makedirs(directory, exist_ok=True)
    asked = [f for bench in document["benches"] for f in bench["figures"]
             if f.get("target") and f["median"] > 0 and min(f["samples"]) > 0]
    names = []
    if asked:
        _targets(os.path.join(directory, "targets.svg"), asked)
        names.append("targets.svg")
    for bench in document["benches"]:
        if bench["bench"] in TABLES_ALONE:
            continue
        for unit in dict.fromkeys(f["unit"] for f in bench["figures"]):
            rows = [(f["name"].removeprefix(bench["bench"] + "."), f["median"],
                     min(f["samples"]), max(f["samples"]))
                    for f in bench["figures"]
                    if f["unit"] == unit and not POINT.match(f["name"])]
            if len(rows) < 2:
                continue
            slug = re.sub(r"[^a-z0-9]+", "-", f"{bench['bench']}-{unit}".lower())
            _bars(os.path.join(directory, slug + ".svg"), f"{bench['bench']}: {unit}", unit, rows)
            names.append(slug + ".svg")
        if bench["bench"] == "release" and _stages(os.path.join(directory, "release-stages.svg"), bench["figures"]):
            names.append("release-stages.svg")
        found, units = _curves(bench)
        for over, curves in found.items():
            name = f"{bench['bench']}-over-{over}.svg"
            _lines(os.path.join(directory, name), f"{bench['bench']}: cost over {over}", over,
                   units[over], curves)
            names.append(name)
    return names
