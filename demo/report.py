"""The demo's HTML report: one file, no script, charts as inline SVG."""

import html

WIDTH, HEIGHT, PAD = 640, 220, 44


def scale_points(values, low, high):
    span = (high - low) or 1
    step = (WIDTH - 2 * PAD) / max(1, len(values) - 1)
    return [(PAD + i * step, HEIGHT - PAD - (v - low) / span * (HEIGHT - 2 * PAD))
            for i, v in enumerate(values)]


def line_chart(title, unit, series, low=0, places=None):
    """series: [(name, colour, values)], values one a round; `low` is where the axis begins; `places`: what the values are
    of, if not of the rounds from 1 on."""
    places = places or f"round 1 to {len(series[0][2])}"
    flat = [v for _, _, values in series for v in values]
    low, high = min(low, *flat), max(flat)
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">',
             f'<text x="{PAD}" y="18" class="t">{html.escape(title)}</text>']
    for i in range(5):
        value = low + (high - low) * i / 4
        y = HEIGHT - PAD - i / 4 * (HEIGHT - 2 * PAD)
        parts.append(f'<line x1="{PAD}" x2="{WIDTH - PAD}" y1="{y:.1f}" y2="{y:.1f}" class="g"/>'
                     f'<text x="{PAD - 6}" y="{y + 4:.1f}" class="a">{value:.3g}</text>')
    for number, (name, colour, values) in enumerate(series):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in scale_points(values, low, high))
        dash = ' stroke-dasharray="5 4"' if number else ""
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}"'
                     f' stroke-width="2"{dash}/>'
                     f'<text x="{WIDTH - PAD}" y="{18 + 14 * number}" class="l" fill="{colour}">'
                     f'{html.escape(name)}</text>')
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" class="x">{html.escape(places)}'
                 f' ({html.escape(unit)})</text></svg>')
    return "".join(parts)


STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:720px;margin:2em auto;padding:0 1em;color:#1c2330}
h1{font-size:1.5em}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.2em .6em;border-bottom:1px solid #dde2ea;text-align:right}th:first-child,td:first-child{text-align:left}
svg{width:100%;margin:1em 0}.t{font-size:14px;font-weight:600}.a{font-size:10px;text-anchor:end;fill:#667}
.l{font-size:12px;text-anchor:end}.x{font-size:11px;text-anchor:middle;fill:#667}.g{stroke:#e6eaf0}
.ok{color:#0a7d38}.no{color:#b3261e}"""


def write_report(path, summary, rounds):
    """rounds: dicts with round, joined, dropped, accuracy, plain_accuracy, bytes, publish_ms, match."""
    charts = [
        line_chart("Accuracy on the held-out digits", "share right", [
            ("secure", "#0b57d0", [r["accuracy"] for r in rounds]),
            ("plain float average", "#b3541e", [r["plain_accuracy"] for r in rounds])], low=0.5),
        line_chart("From quorum to published model", "milliseconds", [
            ("round time", "#0b57d0", [r["publish_ms"] for r in rounds])]),
        line_chart("Upload bytes that reached the lead", "kilobytes", [
            ("uploads", "#0b57d0", [r["bytes"] / 1000 for r in rounds])]),
    ]
    rows = "".join(
        f"<tr><td>{r['round']}</td><td>{r['joined']}</td><td>{r['dropped']}</td>"
        f"<td>{r['accuracy']:.4f}</td><td>{r['plain_accuracy']:.4f}</td><td>{r['bytes']:,}</td>"
        f"<td>{r['publish_ms']:.0f}</td>"
        f"<td class=\"{'ok' if r['match'] else 'no'}\">{'equal' if r['match'] else 'DIFFERS'}</td></tr>"
        for r in rounds)
    facts = "".join(f"<tr><td>{html.escape(k)}</td><td>{html.escape(str(v))}</td></tr>"
                    for k, v in summary.items())
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Millrace demo</title>
<style>{STYLE}</style><h1>Millrace: {summary['rounds']} rounds, {summary['devices']} devices,
{summary['hubs']} hubs</h1><p>Handwritten digits (UCI, CC BY 4.0), split unevenly over the devices. The hubs saw
masked shares only; in every round their sum was compared with the plain sum of the same vectors.</p>
{''.join(charts)}<table><tr><th>round</th><th>joined</th><th>dropped</th><th>accuracy</th><th>plain</th>
<th>bytes</th><th>ms to model</th><th>sum</th></tr>{rows}</table><h2>Summary</h2><table>{facts}</table></html>
""")
