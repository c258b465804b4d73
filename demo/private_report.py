"""The private demo's report: an HTML file with charts, and the same as PNGs where gnuplot is there."""

import html
import os
import shutil
import subprocess

from report import STYLE, line_chart

BLUE, BROWN, GREEN, GREY = "#0b57d0", "#b3541e", "#0a7d38", "#667085"
HEAD = """set terminal pngcairo size 900,520 font 'sans,11' background '#ffffff'
set output '{output}'
set title '{title}' noenhanced
set xlabel '{x}' noenhanced
set ylabel '{y}' noenhanced
set border 3
set tics nomirror
set grid ytics lc rgb '#dddddd'
set key bottom right noenhanced
"""


def _gnuplot(path, title, x, y, blocks, plot):
    """`blocks`: {name: rows of numbers}."""
    data = "".join(f"${name} << END\n" + "\n".join(" ".join(f"{v:.6g}" for v in row) for row in rows)
                   + "\nEND\n" for name, rows in blocks.items())
    script = HEAD.format(output=path, title=title, x=x, y=y) + data + "plot " + ", \\\n  ".join(plot)
    subprocess.run(["gnuplot", "-"], input=script + "\n", text=True, check=True)


def _accuracy(path, title, x, places, rounds, found):
    """Accuracy over the numbers in `places`, one for each round."""
    central = found["central"]
    rows = [(place, row["accuracy"], plain, mean, low, high) for place, row, plain, mean, low, high
            in zip(places, rounds, found["plain"], central.mean(0), central.min(0), central.max(0))]
    _gnuplot(path, title, x, "accuracy on the held-out digits", {"rows": rows}, [
        f"$rows using 1:5:6 with filledcurves fc rgb '{BROWN}' fs transparent solid 0.15 noborder"
        " title 'a trusted server, its least and its most'",
        f"$rows using 1:3 with lines lw 2 dt 2 lc rgb '{GREY}' title 'no noise'",
        f"$rows using 1:4 with lines lw 2 lc rgb '{BROWN}' title 'a trusted server, mean'",
        f"$rows using 1:2 with linespoints pt 7 ps 0.6 lw 2 lc rgb '{BLUE}' title 'Millrace'"])


def _epsilon(path, title, rounds, budget):
    rows = [(row["round"], row["epsilon"], row["epsilon_eager"]) for row in rounds]
    _gnuplot(path, title, "round", "epsilon spent", {"rows": rows}, [
        f"{budget:g} with lines dt 2 lc rgb '{GREY}' title 'the budget'",
        f"$rows using 1:3 with linespoints pt 5 ps 0.6 lw 2 lc rgb '{GREEN}'"
        " title 'a device that was in the rehearsal'",
        f"$rows using 1:2 with linespoints pt 7 ps 0.6 lw 2 lc rgb '{BLUE}' title 'every other device'"])


def _pictures(stem, title, summary, rounds, found):
    if shutil.which("gnuplot") is None:
        return []
    paths = [f"{stem}-{name}.png" for name in ("accuracy", "epsilon", "accuracy-over-epsilon")]
    _accuracy(paths[0], title, "round", [row["round"] for row in rounds], rounds, found)
    _epsilon(paths[1], title, rounds, summary["epsilon"])
    _accuracy(paths[2], title, "epsilon spent", [row["epsilon"] for row in rounds], rounds, found)
    return paths


def write_private_report(path, summary, rounds, found):
    """Paths of what was written: the page, then the pictures."""
    path = os.path.abspath(path)
    title = f"{summary['devices']} devices, epsilon {summary['epsilon']:g} in {summary['rounds']} rounds"
    charts = [
        line_chart("Accuracy on the held-out digits", "share right", [
            ("Millrace", BLUE, [row["accuracy"] for row in rounds]),
            ("a trusted server's noise, mean", BROWN, list(found["central"].mean(0))),
            ("no noise", GREY, found["plain"])], low=0.5),
        line_chart("Epsilon spent", "by the hubs' ledgers", [
            ("every device of the training alone", BLUE, [row["epsilon"] for row in rounds]),
            ("one that was in the rehearsal", GREEN, [row["epsilon_eager"] for row in rounds])]),
    ]
    rows = "".join(
        f"<tr><td>{row['round']}</td><td>{len(row['members'])}</td><td>{row['epsilon']:.3f}</td>"
        f"<td>{row['epsilon_eager']:.3f}</td><td>{row['accuracy']:.4f}</td><td>{plain:.4f}</td>"
        f"<td>{central:.4f}</td></tr>"
        for row, plain, central in zip(rounds, found["plain"], found["central"].mean(0)))
    facts = "".join(f"<tr><td>{html.escape(k)}</td><td>{html.escape(str(v))}</td></tr>"
                    for k, v in summary.items())
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Millrace demo</title>
<style>{STYLE}</style><h1>Millrace: {html.escape(title)}</h1><p>Handwritten digits (UCI, CC BY 4.0), split unevenly
over the devices. Each hub adds noise to its part of the sum, of a scale that hides a device by itself. <i>A trusted
server</i> sees every update and adds that noise once.</p>{''.join(charts)}<table><tr><th>round</th><th>joined</th>
<th>&epsilon;</th><th>&epsilon;, rehearsed</th><th>accuracy</th><th>no noise</th><th>trusted server</th></tr>{rows}</table>
<h2>Summary</h2><table>{facts}</table></html>
""")
    return [path] + _pictures(os.path.splitext(path)[0], title, summary, rounds, found)
