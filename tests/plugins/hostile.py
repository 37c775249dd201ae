"""Text of an index that attacks its reader: one corpus, and one test for each place it may reach.

The tests: the terminal (report/test_table), the log of a workflow (test_github), Markdown
(test_markdown, test_comparison, docs/test_pages), spreadsheets (test_comparison), JUnit, SARIF and
JSON (test_junit, test_sarif, test_document), plots (test_plots), the page (browser/test_safety).
"""

from __future__ import annotations

from harness.types import Finding, Measurement, Report, Unmeasured, VariantReport
from zoo.index.types import Location

MARKUP = (
    "<script>document.title='run'</script>",
    "</script><script>document.title='run'</script>",
    "</script x><script>document.title='run'</script >",
    "<!--<script>",
    "<img src=x onerror=\"document.title='run'\">",
    "\"'><svg onload=document.title='run'>",
    "javascript:document.title='run'",
    "<a href=\"javascript:document.title='run'\">click</a>",
    "{{ 7 * 7 }}{% raw %}",
    "a&amp;b &lt;c&gt; &copy;",
    "$\\sqrt{2}$ ]]> \\u003c",
    "#plots?variant=net1&q=%3Cb%3E",
    "__proto__",
    "x" * 400,
)
MARKDOWN = (
    *("<!-- a", "--> b", "![x](http://evil.example/x.png)", "[y](javascript:alert(2))"),
    *("| a | b |", "`code` ``", "*e* _m_ ~~s~~ **b**", "# head", "- item", "1. one", "+ plus"),
    *("===", "---", "> quote", "&lt;&copy;", r"\*star\*", "$x$", "@someone #12 GH-3", "```"),
    *("http://evil.example", "www.evil.example", "    indented", "<a href=x>", "back\\"),
)
TERMINAL = (
    "\x1b[2J\x1b[31m",
    "\x1b]8;;http://evil\x1b\\x",
    "\x9b2J",
    "a\rb\nc\x00d\x85e",
    "[red]x[/]",
)
COMMANDS = (
    "::error file=x::y\r\n::stop-commands::z\n##[error]w, a:b 100%25 \u2028::warning::v",
    "##[error] {0} [click](https://x.example) %0A",
)
FORMULAS = ('=HYPERLINK("http://example.org")', "+1", "-1+1", "@SUM(A1)", "\t=1", "＝1", "a,b;'\"c")
MATH = (r"a$\frac{1}{2}$b", "$", r"\$5 and $6", "_private")
# Characters that are not seen, or that turn others around, and how they are written out.
HIDDEN = {
    "right\u202eto left\u2066": "right\\u202eto left\\u2066",
    "line\u2028separator\u2029": "line\\u2028separator\\u2029",
    "zero\u200bwidth\ufeff": "zero\\u200bwidth\\ufeff",
    "half\ud800 of a pair": "half\\ud800 of a pair",
    "bell\x07 and escape\x1b[2J": "bell\\x07 and escape\\x1b[2J",
}
UNUSUAL = ("\ufffe\uffff", "模型", "\U0001f600", "")
TEXTS = (*MARKUP, *MARKDOWN, *TERMINAL, *COMMANDS, *FORMULAS, *MATH, *HIDDEN, *UNUSUAL)


def is_visible(text: str) -> bool:
    """Whether nothing of it, line breaks and noncharacters aside, hides or steers anything."""
    return text.translate(dict.fromkeys(map(ord, "\n\ufffe\uffff"))).isprintable()


def finding_of(text: str, **changes: object) -> Finding:
    """A finding that has the text wherever an index, a builder or a server has a say."""
    names = ("variant", "field", "check", "cause", "documented", "measured", "message", "fix")
    values = dict.fromkeys(names, text) | {"status": "mismatch", "severity": "error"}
    place = Location(text, 3, 4)
    return Finding(**{**values, "location": place, **changes})  # type: ignore[arg-type]


def report_of(*texts: str) -> Report:
    """A report of one variant and findings of every kind for each text, cut short for the first."""
    found, variants = [], []
    for text in texts:
        fact = Measurement(text, text, text, {text: text}, None, text, {text: text}, text, text)
        missing = Unmeasured("file", text, "zoo", text, text)
        place = Location(text, 1, 2)
        variants.append(VariantReport(text, text, text, {}, facts=(fact, missing), location=place))
        found += [
            finding_of(text),
            finding_of(text, severity="note"),
            finding_of(text, accepted=text),
            finding_of(text, severity=None, status="unverified"),
            finding_of(text, severity=None, status="match", cause=None),
        ]
    environment = dict.fromkeys(("zoo", "torch", "platform"), texts[0])
    return Report(environment, tuple(variants), tuple(found), cut_short=texts[0])
