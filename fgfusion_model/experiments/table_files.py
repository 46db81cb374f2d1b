"""Tables as Markdown, CSV and LaTeX, and a summary of all of them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from fgfusion_model.experiments.charts import draw_chart
from fgfusion_model.experiments.claims import shown_p, verdict
from fgfusion_model.experiments.tables import Entry, Table
from vircraft.files import encode_png, write_atomically

SUMMARY_NAME = "tables.md"
ABSENT = "–"
CSV_COLUMNS = (
    *("table", "method", "score", "mean", "std", "seeds", "values", "place", "paper"),
    *("compared_with", "difference", "low", "high", "p", "p_holm", "clips", "pictures", "verdict"),
)
_LATEX = {
    "\\": r"\textbackslash{}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "–": "--",
    ">": "$>$",
    "<": "$<$",
}


def write_all(name: str, tables: Sequence[Table], folder: Path) -> list[Path]:
    """Write every table in every form, the charts, and the summary; return the files, the summary first.

    Raises:
        DatasetError: the folder cannot be written.
    """
    files: dict[str, bytes] = {SUMMARY_NAME: summary(name, tables).encode()}
    for table in tables:
        files[f"{table.file}.md"] = markdown(table).encode()
        files[f"{table.file}.csv"] = table_csv(table).encode()
        files[f"{table.file}.tex"] = latex(table).encode()
        if _has_chart(table):
            files[f"{table.file}.png"] = encode_png(draw_chart(table))
    for file, content in files.items():
        write_atomically(folder / file, content)
    return [folder / file for file in files]


def summary(name: str, tables: Sequence[Table]) -> str:
    """Return all tables as one Markdown page."""
    parts = [f"# {name}\n"]
    for table in tables:
        pictures = [f"{table.file}.png"] if _has_chart(table) else []
        pictures += [table.examples] if table.examples else []
        parts.append(markdown(table, 2) + "".join(f"\n![{table.title}]({name})\n" for name in pictures))
    return "\n".join(parts)


def markdown(table: Table, level: int = 1) -> str:
    """Return a table with its notes and comparisons as Markdown."""
    lines = [
        f"{'#' * level} Tab. {table.number}: {table.title}",
        "",
        f"| | {' | '.join(map(_cell, table.columns))} |",
        f"|---|{'---|' * len(table.columns)}",
    ]
    for row in table.rows:
        entries = " | ".join(_marked(entry, "**", "**", "<u>", "</u>") for entry in row.entries)
        lines.append(f"| {_cell(row.name)} | {entries} |")
        if any(entry.published is not None for entry in row.entries):
            entries = " | ".join(_percent(entry.published) for entry in row.entries)
            lines.append(f"| *{_cell(row.name)}, paper* | {entries} |")
    for note in _notes(table):
        lines += ["", note]
    return "\n".join([*lines, *_comparisons(table)]) + "\n"


def latex(table: Table) -> str:
    """Return a table for LaTeX with the package `booktabs`; notes stand in comments."""
    lines = [f"% {note}" for note in _notes(table)]
    lines += [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_escaped(table.title)}}}",
        rf"\begin{{tabular}}{{l{'c' * len(table.columns)}}}",
        r"\toprule",
        f" & {' & '.join(map(_escaped, table.columns))} \\\\",
        r"\midrule",
    ]
    for row in table.rows:
        entries = " & ".join(
            _in_latex(_marked(entry, r"\textbf{", "}", r"\underline{", "}")) for entry in row.entries
        )
        lines.append(f"{_escaped(row.name)} & {entries} \\\\")
        if any(entry.published is not None for entry in row.entries):
            entries = " & ".join(_in_latex(_percent(entry.published)) for entry in row.entries)
            lines.append(rf"\textit{{{_escaped(row.name)}, paper}} & {entries} \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


def table_csv(table: Table) -> str:
    """Return a line for every method and score, as shares 0..1; comparisons stand beside the main score's."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in table.rows:
        for column, (score, entry) in enumerate(zip(table.columns, row.entries, strict=True)):
            writer.writerow(
                [
                    *(table.number, row.name, score, _number(entry.mean), _number(entry.std)),
                    *(len(entry.values), " ".join(map(repr, entry.values)), entry.place or ""),
                    _number(entry.published),
                    *_compared(table, row.name, column),
                ]
            )
    return text.getvalue()


def _compared(table: Table, method: str, column: int) -> list[object]:
    """Return the comparison of the reference with a method, for the column that it belongs to."""
    for tested in table.comparisons:
        c = tested.comparison
        if c.second == method and tested.column == column:
            numbers = map(_number, (c.difference, c.low, c.high, c.p, c.p_holm))
            return [c.first, *numbers, c.clips, c.pictures, verdict(c)]
    return [""] * 9


def _comparisons(table: Table) -> list[str]:
    if not table.comparisons:
        return []
    lines = [
        "",
        f"{table.comparisons[0].comparison.first} against each: difference of the picture values' means by "
        "clip (points), its 95 % interval (bootstrap over clips), p of the sign-flip test over clips, the "
        "same with Holm's correction over the comparisons of a task; lead in the main score, and the larger "
        "spread over seeds of the two; all on the seeds that both have. Better or worse: beyond the spread, "
        "and p (Holm) below 0.05.",
        "",
        "| against | of | difference | 95 % interval | clips | p | p (Holm) | lead | spread | |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for tested in table.comparisons:
        c = tested.comparison
        lines.append(
            f"| {_cell(c.second)} | {_cell(tested.of)} | {_points(c.difference)} | {_points(c.low)} to "
            f"{_points(c.high)} | {c.clips} | {shown_p(c.p)} | {shown_p(c.p_holm)} | {_points(c.lead)} | "
            f"{_percent(c.spread)} | {verdict(c)} |"
        )
    return lines


def _notes(table: Table) -> list[str]:
    """Return what stands below a table, each on one line: messages of errors may have several."""
    listed = [f"{row.name}, {text}" for row in table.rows for text in row.missing]
    missing = [f"Missing: {'; '.join(listed)}."] if listed else []
    return [" ".join(note.split()) for note in (*table.notes, *missing)]


def _has_chart(table: Table) -> bool:
    return table.main >= 0 and any(row.entries[table.main].values for row in table.rows)


def _marked(entry: Entry, bold: str, bold_end: str, line: str, line_end: str) -> str:
    """Return `64.71 ± 0.35`, the best and the second best between their marks."""
    text = _percent(entry.mean)
    if not math.isnan(entry.std):
        text += f" ± {100 * entry.std:.2f}"
    if entry.place == 1:
        return f"{bold}{text}{bold_end}"
    return f"{line}{text}{line_end}" if entry.place == 2 else text


def _percent(value: float | None) -> str:
    return ABSENT if value is None or math.isnan(value) else f"{100 * value:.2f}"


def _points(value: float) -> str:
    return ABSENT if math.isnan(value) else f"{100 * value:+.2f}"


def _number(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else repr(float(value))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _in_latex(number: str) -> str:
    return number.replace(" ± ", r" $\pm$ ").replace(ABSENT, "--")


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(c, c) for c in text)
