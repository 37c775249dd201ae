"""What changed between two reports, for a reader: a table, Markdown, annotations.

Each takes the document of `harness.diff.diff`, whose schema is beside this module.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.report import Options
from harness.report.github import command
from harness.report.sentences import in_repository
from zoo._util.text import bounded, few, for_markdown, for_workflow_log, foreign, plural

SCHEMA = 1
# So many rows of a section are shown, unless all are asked for; no comment may be much longer.
_MOST = 40
_MOST_BYTES = 60_000
_NAMED = 3
_LONG = 100  # Two texts as long are not shown.
_NAMES = {
    **{"parameters": "parameters", "layers": "layers", "image_size": "input", "sha256": "SHA-256"},
    **{"file_size": "file size", "flops.macs": "MACs", "checkpoint.tensors": "tensors"},
}
_KINDS = {
    **{"index": "index edited", "weights": "weights changed", "library": "library changed"},
    **{"images": "other images", "builder": "builder changed", "code": "code changed"},
    **{"baseline": "baseline", "unknown": "not known"},
}
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DiffSection:
    """Changes of one kind.

    Attributes:
        title: what they are of.
        rows: what changed, how, and why; of each its place in the index, if it has one.
        total: how many changes these are.
    """

    title: str
    rows: Sequence[tuple[str, str, str]]
    total: int


# -- the formats ----------------------------------------------------------------------------


def table(document: Document, options: Options) -> str:
    """For a terminal: a line for each change, its cause indented below."""
    lines = [_head(document), *_before(document)]
    for section in sections(document, whole=options.verbose):
        lines += ["", f"{section.title} ({section.total:,})"]
        rows = section.rows if options.verbose else section.rows[:_MOST]
        for what, how, why in rows:
            lines += [f"  {what}: {how}" if how else f"  {what}", *([f"    {why}"] if why else [])]
        lines += _rest(section, rows)
    lines += ["", *_after(document)]
    return "".join(f"{_wrapped(bounded(line), options.width)}\n" for line in lines)


def _wrapped(line: str, width: int | None) -> str:
    """The line, as wide as the terminal, its rest indented below its beginning."""
    if width is None or len(line) <= width:
        return line
    indent = " " * (len(line) - len(line.lstrip()))
    return textwrap.fill(
        line.strip(),
        max(width, 20),
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def markdown(document: Document, options: Options) -> str:
    """For a comment or a summary: a table for each kind of change."""
    lines = ["## Model zoo changes", "", f"**{for_markdown(_head(document))}**"]
    lines += [f"\n{for_markdown(line)}" for line in _before(document)]
    tail = [f"\n{for_markdown(line)}" for line in _after(document)]
    size = sum(len(line.encode()) for line in (*lines, *tail))
    for section in sections(document, whole=options.verbose):
        part = [f"\n### {section.title} ({section.total:,})", "", "| what | change | cause |"]
        part += ["| --- | --- | --- |"]
        rows = section.rows if options.verbose else section.rows[:_MOST]
        part += [f"| {' | '.join(map(for_markdown, row))} |" for row in rows]
        part += [f"\n{line.strip()}" for line in _rest(section, rows)]
        size += len("\n".join(part).encode())
        if size > _MOST_BYTES:
            lines.append(f"\n{section.title}: {plural(section.total, 'change')}, not shown here.")
            size -= len("\n".join(part).encode())
        else:
            lines += part
    return "\n".join((*lines, *tail)) + "\n"


def github(document: Document, options: Options) -> str:
    """For a step of GitHub Actions: new errors and warnings on their lines, the rest in plain."""
    lines = []
    for each in document["findings"]["new"]:
        about = ": ".join(filter(None, (each["variant"], each["field"])))
        text = f"{about}: {each['message']} ({_why(each)})"
        named = {"error": "error", "warning": "warning"}.get(each["severity"] or "")
        if named is None or each.get("accepted") is not None:
            lines.append(for_workflow_log(f"new: {bounded(text)}"))
            continue
        at, place = each["location"], {}
        if at is not None:
            file = in_repository(at["file"], options)
            place = {"file": file, "line": str(at["line"]), "col": str(at["column"])}
        lines.append(command(named, bounded(text), **place, title=f"new: {each['cause']}"))
    for section in sections(document, whole=options.verbose):
        if section.title != _NEW:
            for what, how, why in section.rows:
                text = ": ".join(filter(None, (section.title, what, how)))
                lines.append(for_workflow_log(bounded(f"{text} ({why})" if why else text)))
    lines += [for_workflow_log(f"zoo: {line}") for line in (*_after(document), _head(document))]
    return "".join(f"{line}\n" for line in lines)


FORMATS: Mapping[str, Callable[[Document, Options], str]] = {
    "table": table,
    "markdown": markdown,
    "github": github,
}


def _head(document: Document) -> str:
    summary = document["summary"]
    names = " -> ".join(foreign(document[side]["name"]) for side in ("old", "new"))
    if not summary["changes"]:
        return f"{names}: nothing changed"
    number = summary["regressions"]
    worse = plural(number, "regression") if number else "no regression"
    return f"{names}: {plural(summary['changes'], 'change')}, {worse}"


def _before(document: Document) -> Iterator[str]:
    if document["versions"]:
        yield "versions: " + ", ".join(
            f"{each['name']} {foreign(each['old'])} -> {foreign(each['new'])}"
            for each in document["versions"]
        )


def _after(document: Document) -> Iterator[str]:
    summary = document["summary"]
    counted = ", ".join(f"{summary[name]} {name}" for name in ("new", "mended", "unchanged"))
    yield f"findings: {counted}"
    if summary["unseen"]:
        yield (
            f"{plural(summary['unseen'], 'finding')} not compared, as one of the two did not look "
            "for it, or on other images"
        )


def _rest(section: DiffSection, rows: Sequence[object]) -> list[str]:
    more = len(section.rows) - len(rows)
    return [f"  and {more:,} more; --verbose shows all"] if more > 0 else []


# -- the rows -------------------------------------------------------------------------------

_NEW = "New findings"


def sections(document: Document, *, whole: bool = False) -> list[DiffSection]:
    """All kinds of change that there are, what is worst first.

    Args:
        document: of the comparison.
        whole: show every count of operations, and what is unchanged, too.
    """
    variants, findings = document["variants"], document["findings"]
    moved = [(each["name"], each) for each in variants["changed"]]
    parts = {
        _NEW: [_finding(each) for each in findings["new"]],
        "Changed findings": [_finding(each) for each in findings["changed"]],
        "Mended findings": [_finding(each) for each in findings["mended"]],
        "Accuracies": [_accuracy(each) for each in document["accuracies"]],
        "Measurements": _measurements(document["measurements"], whole=whole),
        "Speeds": [_speed(each) for each in document["speeds"]],
        "Claims": _together((_claimed(each), each) for each in document["claims"]),
        "Variants": [
            *((foreign(name), "added", "") for name in variants["added"]),
            *((foreign(name), "removed", "") for name in variants["removed"]),
            *_together((f"{name}", each) for name, each in moved),
        ],
        **({"Unchanged findings": [_finding(e) for e in findings["unchanged"]]} if whole else {}),
    }
    counts = {"Measurements": len(document["measurements"]), "Claims": len(document["claims"])}
    return [DiffSection(t, rows, counts.get(t, len(rows))) for t, rows in parts.items() if rows]


def _finding(each: Document) -> tuple[str, str, str]:
    about = ": ".join(foreign(e) for e in (each["variant"], each["field"]) if e)
    label = _label(each)
    was = each.get("was")
    before = f"; it was {_label(was)}" if was and _label(was) != label else ""
    at = each["location"]
    place = f" ({foreign(at['file'])}:{at['line']})" if at else ""
    return f"{label} {about}{place}", f"{bounded(each['message'])}{before}", _why(each)


def _label(finding: Document) -> str:
    word = finding["severity"] or finding["status"]
    accepted = "accepted " if finding.get("accepted") is not None else ""
    return f"{accepted}{word} {finding['cause']}" if finding["cause"] else f"{accepted}{word}"


def _why(each: Document) -> str:
    """The causes in words, each kind named once."""
    kinds: dict[str, list[str]] = {}
    for cause in each.get("causes", ()):
        kinds.setdefault(cause["kind"], []).append(foreign(cause["text"]))
    said = []
    for kind, texts in kinds.items():
        more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
        said.append(f"{_KINDS[kind]}: {'; '.join(texts[:_NAMED])}{more}")
    return "; ".join(said)


def _claimed(each: Document) -> str:
    result = f" ({foreign(each['result'])})" if each.get("result") else ""
    was = f", before of {foreign(each['was_result'])}" if "was_result" in each else ""
    return f"{foreign(each['field'])}{result}{was}"


def _measurements(changes: Sequence[Document], *, whole: bool) -> list[tuple[str, str, str]]:
    """Those of several variants that changed alike in one row, and of all counts MACs alone."""
    counted = {each["variant"]: 0 for each in changes if each["name"] == "flops.macs"}
    shown = []
    for each in changes:
        folded = each["name"].startswith("flops.") and each["name"] != "flops.macs"
        if folded and not whole and each["variant"] in counted:
            counted[each["variant"]] += 1
        else:
            shown.append(each)

    def name(each: Document) -> str:
        known = _NAMES.get(each["name"]) or each["name"].replace("flops.", "FLOPs by ")
        more = counted.get(each["variant"], 0) if each["name"] == "flops.macs" else 0
        more_words = f" (and {plural(more, 'other count')})" if more else ""
        return foreign(known.replace(".", ": ").replace("_", " ")) + more_words

    return _together((name(each), each) for each in shown)


def _together(changes: Iterable[tuple[str, Document]]) -> list[tuple[str, str, str]]:
    """A row for each change, with all the variants that it is the change of."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for what, each in changes:
        values = [_value(each.get("name", ""), each[side]) for side in ("old", "new")]
        how = "another text" if min(map(len, values)) > _LONG else " -> ".join(values)
        why = _why(each) if each.get("name") else ""
        rows.setdefault((what, how, why), []).append(foreign(each["variant"]))
    return [(f"{few(names, _NAMED)}: {what}", how, why) for (what, how, why), names in rows.items()]


def _value(name: str, value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return foreign(
            ("x" if name.endswith("image_size") else ", ").join(map(str, value)) or "none"
        )
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,}" + " bytes" * (name == "file_size")
    return str(value)[:16] if name == "sha256" else foreign(value)


def _accuracy(each: Document) -> tuple[str, str, str]:
    on = foreign(each["dataset"] or "images of no known dataset")
    way = [foreign(each[key]) for key in ("setting", "precision") if each.get(key)]
    what = f"{foreign(each['variant'])}: top-{each['metric'][3:]} on {', '.join((on, *way))}"
    how = f"{each['old']:.2f} % -> {each['new']:.2f} %"
    if each["verdict"] == "other images":
        return what, f"{how}, of other images, so not compared", _why(each)
    low, high = each["interval"]
    images = plural(each.get("compared") or each["images"]["new"], "image")
    basis = {"paired": f"paired on {images}", "intervals": f"by the intervals of {images}"}
    if each["basis"] == "paired":
        flips = f", {each['only_new']} right now alone and {each['only_old']} before alone"
    else:
        flips = ""
    verdict = {
        **{"better": "certainly better", "worse": "certainly worse"},
        **{"alike": "certainly within 0.1 points"},
        **{"open": "no certain difference"},
    }[each["verdict"]]
    points = f"{each['points']:+.2f} points ({low:+.2f} to {high:+.2f} of all {each['of']:,})"
    return what, f"{how}: {points}, {basis[each['basis']]}{flips}; {verdict}", _why(each)


def _speed(each: Document) -> tuple[str, str, str]:
    setting = ", ".join(filter(None, (f"batch {each['batch']}", foreign(each["setting"]))))
    what = f"{foreign(each['variant'])}: {setting} on {foreign(each['environment'])}"
    how = f"{each['old']:,.1f} -> {each['new']:,.1f} images/s, {each['verdict']}"
    return what, how, _why(each)
