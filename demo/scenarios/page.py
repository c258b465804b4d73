"""A scenario's page: one HTML file with its figure, its checks, charts and tables; no script."""

import html
import os

from report import STYLE, line_chart

COLOURS = ("#0b57d0", "#b3541e", "#0a7d38", "#667085", "#7b3fa0")


def chart(title, unit, series, low=0, places=None):
    """series: {name: values}; `places` as line_chart has it."""
    return line_chart(title, unit, [(name, COLOURS[i % len(COLOURS)], values)
                                    for i, (name, values) in enumerate(series.items())], low, places)


def table(heads, rows):
    def line(cells, kind):
        return "<tr>" + "".join(f"<{kind}>{html.escape(str(cell))}</{kind}>" for cell in cells) + "</tr>"
    return "<table>" + line(heads, "th") + "".join(line(row, "td") for row in rows) + "</table>"


def write_page(path, title, about, figure, checks, parts):
    """`about`: what is real in it and what synthetic; `checks`: [(text, held)]; `parts`: HTML."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    held = "".join(f"<li class=\"{'ok' if good else 'no'}\">{html.escape(text)}{'' if good else ': NO'}</li>"
                   for text, good in checks)
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Millrace: {html.escape(title)}</title>
<style>{STYLE}</style><h1>{html.escape(title)}</h1><p>{html.escape(about)}</p><p><strong>{html.escape(figure)}</strong></p>
{''.join(parts)}<h2>Checked in this run</h2><ul>{held}</ul></html>
""")
