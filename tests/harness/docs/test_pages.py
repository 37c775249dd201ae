"""The pages of collections: what is on them, whose words do what, and when they are written."""

from __future__ import annotations

import re

import pytest
from cli import run_python, said
from hostile import MARKDOWN, MARKUP

from harness.cli import main
from harness.docs.markdown import slug
from zoo.index import load_index

HOSTILE = (*MARKDOWN, MARKUP[0], "{{ 7*7 }} {% raw %}", "\u202erev")


def quoted(text: str) -> str:
    """A YAML text of any characters."""
    inner = text.replace("\\", "\\\\").replace('"', '\\"').replace("\u202e", "\\u200b")
    return f'"{inner}"'


def index_of(*words: str) -> str:
    """A collection and a variant for each word, which is all that they say."""
    collections = models = ""
    for value in map(quoted, words):
        collections += (
            f"- Name: {value}\n  Description: {value}\n  Citation: {value}\n"
            f"  Paper: {{Title: {value}, URL: https://example.org/a?b&copy=1}}\n"
        )
        models += (
            f"- Name: {value}\n  In Collection: {value}\n"
            f"  Metadata:\n    Architecture: [{value}]\n    Training Time: {value}\n"
            f"    FLOPs: 5\n    FLOPs Convention: {value}\n    Image Size: {value}\n"
            f"  Weights: https://example.org/weights(1).pth?a|b\n  Code: https://example.org/x\n"
            f"  Results:\n  - Task: {value}\n    Dataset: {value}\n"
            f"    Metrics: {{Top 1 Accuracy: 5%, {value}: {value}}}\n"
        )
    return f"Collections:\n{collections}Models:\n{models}"


def test_hostile_text_shows_as_text(zoo, tmp_path, rendered):
    (tmp_path / "evil.yml").write_text(index_of(*HOSTILE))
    done = zoo("docs", "--index", "evil.yml", "--output", "out")
    assert done.returncode == 0, done.stderr
    pages = {path.name: rendered(path.read_text()) for path in (tmp_path / "out").iterdir()}
    assert len(pages) == len(HOSTILE)
    for word in HOSTILE:
        shows_as_text(word, pages[f"{slug(word.replace(chr(0x202E), chr(0x200B)))}.md"])


def shows_as_text(word, page):
    allowed = {"h1", "h2", "h3", "p", "ul", "li", "a", "code", "pre"}
    tags = [tag for tag, _ in page.tags]
    assert set(tags) <= allowed | {"table", "thead", "tbody", "tr", "th", "td"}
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert all(link.startswith("https://example.org/") for link in links)
    rows = [n for n, tag in enumerate(tags) if tag == "tr"]
    heads, cells = tags[: rows[1]].count("th"), tags[rows[1] :].count("td")
    assert heads == cells  # one variant: a bar in a cell would make more
    shown = " ".join(word.replace("\u202e", "\u200b").split()).replace("\u200b", "")
    seen = page.text.replace(r"\u200b", "")
    assert "".join(page.inside("h1")).replace(r"\u200b", "").replace("\u200b", "") == shown
    assert seen.count(shown) >= 6, seen
    blocks = [text.rstrip("\n").replace(r"\u200b", "") for text in page.inside("code")]
    assert word.replace("\u202e", "") in blocks  # the citation, letter by letter
    assert "Type: model-index" not in seen


def test_no_name_leaves_the_folder(zoo, tmp_path):
    names = ["../../etc/passwd", "..", "/", "a/b", ".hidden", "网络", "模型", "x" * 150, "C:\\d"]
    collections = "".join(f"- Name: '{name}'\n" for name in names)
    models = "".join(f"- Name: m{n}\n  In Collection: '{name}'\n" for n, name in enumerate(names))
    (tmp_path / "index.yml").write_text(f"Collections:\n{collections}Models:\n{models}")
    before = {path for path in tmp_path.parent.rglob("*") if path.is_file()}
    assert zoo("docs", "--index", "index.yml", "--output", "out").returncode == 0
    new = {path for path in tmp_path.parent.rglob("*") if path.is_file()} - before
    new = {path for path in new if "__pycache__" not in path.parts}
    assert len(new) == len(names)
    assert {path.parent for path in new} == {tmp_path / "out"}
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*\.md", path.name) for path in new)


def test_slugs():
    assert slug("EfficientNet-Lite") == "efficientnet-lite"
    assert slug("Big Transfer (BiT)") == "big-transfer-bit"
    assert slug("Réseau") == "reseau"
    assert slug("网络") != slug("模型")
    assert slug("x" * 100) != slug("x" * 101)


def test_two_names_for_one_file_are_told(zoo, tmp_path):
    (tmp_path / "index.yml").write_text(
        "Collections:\n- Name: Net A\n- Name: net-a\n"
        "Models:\n- {Name: a, In Collection: Net A}\n- {Name: b, In Collection: net-a}\n"
    )
    done = zoo("docs", "--index", "index.yml")
    assert done.returncode == 2
    assert said(done.stderr).startswith(
        "index.yml:3:9: collection 'net-a' would be written to net-a.md"
    )
    assert "index.yml:2:9" in said(done.stderr)
    assert not (tmp_path / "docs").exists()


def test_the_committed_pages_are_those_of_the_index(zoo, repository):
    done = zoo("docs", "--check", folder=repository)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


OWN = "Collections:\n- Name: Net\nModels:\n- Name: a\n  In Collection: Net\n  Layers: 5\n"


def test_check_names_each_page_that_differs(zoo, tmp_path):
    index = tmp_path / "index.yml"
    index.write_text(OWN)
    arguments = ("docs", "--index", "index.yml")
    missing = zoo(*arguments, "--check")
    assert (missing.returncode, missing.stdout.splitlines()) == (
        1,
        ["docs/models/net.md: is missing; run zoo docs --index index.yml"],
    )
    assert not (tmp_path / "docs").exists()
    assert zoo(*arguments).stdout == "docs/models/net.md\n"
    assert zoo(*arguments, "--check").returncode == 0
    index.write_text(OWN.replace("Layers: 5", "Layers: 6"))
    page = tmp_path / "docs" / "models" / "net.md"
    before = page.read_bytes()
    changed = zoo(*arguments, "--check")
    assert changed.returncode == 1
    lines = changed.stdout.splitlines()
    what = "differs from what the index says; run zoo docs --index index.yml"
    assert lines[0] == f"docs/models/net.md: {what}"
    assert "-  Layers: 5" in lines
    assert "+  Layers: 6" in lines
    assert page.read_bytes() == before
    assert zoo(*arguments).stdout == "docs/models/net.md\n"
    assert zoo(*arguments, "--check").returncode == 0
    assert zoo(*arguments).stdout == ""


def test_the_diff_of_another_page_is_short(zoo, tmp_path):
    (tmp_path / "index.yml").write_text(OWN)
    zoo("docs", "--index", "index.yml")
    page = tmp_path / "docs" / "models" / "net.md"
    page.write_text(page.read_text().splitlines()[0] + "\n" + "x\n" * 1000)
    done = zoo("docs", "--index", "index.yml", "--check")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) < 20
    assert re.match(r"\.\.\. and \d+ more lines", done.stdout.splitlines()[-1])


def test_ends_of_lines_do_not_count(zoo, tmp_path):
    """Git may check files out with those of Windows."""
    (tmp_path / "index.yml").write_text(OWN)
    zoo("docs", "--index", "index.yml")
    page = tmp_path / "docs" / "models" / "net.md"
    page.write_bytes(page.read_bytes().replace(b"\n", b"\r\n"))
    assert zoo("docs", "--index", "index.yml", "--check").returncode == 0


def test_pages_of_nothing_are_told(zoo, tmp_path):
    (tmp_path / "index.yml").write_text(OWN)
    zoo("docs", "--index", "index.yml")
    (tmp_path / "docs" / "models" / "hand.md").write_text("# By hand\n")
    (tmp_path / "index.yml").write_text(OWN.replace("Net", "Web"))
    written = zoo("docs", "--index", "index.yml")
    assert (written.returncode, written.stdout) == (0, "docs/models/web.md\n")
    line = "docs/models/net.md: no collection of the index has this page; remove it"
    assert line in said(written.stderr).splitlines()
    checked = zoo("docs", "--index", "index.yml", "--check")
    assert (checked.returncode, checked.stdout) == (1, line + "\n")


def test_what_somebody_wrote_by_hand_stays(zoo, tmp_path):
    (tmp_path / "index.yml").write_text(OWN.replace("- Name: Net", "- Name: A\n- Name: Net")
                                        + "- {Name: b, In Collection: A}\n")  # fmt: skip
    (tmp_path / "net.md").write_text("# By hand\n")
    done = zoo("docs", "--index", "index.yml", "--output", ".")
    assert done.returncode == 2
    assert said(done.stderr).splitlines()[-1].startswith("net.md: was not written by zoo docs")
    assert (tmp_path / "net.md").read_text() == "# By hand\n"
    assert not (tmp_path / "a.md").exists()


def test_a_folder_that_cannot_be_is_one_line(zoo, tmp_path):
    (tmp_path / "index.yml").write_text(OWN)
    (tmp_path / "file").write_text("")
    done = zoo("docs", "--index", "index.yml", "--output", "file/pages")
    assert done.returncode == 3
    assert said(done.stderr).splitlines()[-1].startswith("file/pages/net.md: can't be ")


def test_the_same_index_gives_the_same_bytes_anywhere(zoo, repository, tmp_path):
    texts = []
    for number, (folder, index) in enumerate(
        [
            (repository, "model-index"),
            (tmp_path, str(repository / "model-index")),
            (repository / "model-index", "."),
        ]
    ):
        output = tmp_path / f"out{number}"
        zone = {"TZ": ("UTC", "Asia/Tokyo", "America/Lima")[number], "PYTHONHASHSEED": str(number)}
        done = zoo(
            "docs", "--index", index, "--output", output, folder=folder, HOME=str(output), **zone
        )
        assert done.returncode == 0
        texts.append({path.name: path.read_bytes() for path in output.iterdir()})
    assert texts[1] == texts[2]
    assert set(texts[0]) == {"efficientnet-lite.md", "resnest.md"}


def test_variants_of_another_zoo_get_no_calls(zoo, tmp_path):
    """Nor does one that has the name of ours and weights of its own."""
    weights = "  Weights: https://example.org/resnest14d.pth\n"
    (tmp_path / "index.yml").write_text(OWN.replace("Name: a\n", "Name: resnest14d\n") + weights)
    assert zoo("docs", "--index", "index.yml").returncode == 0
    text = (tmp_path / "docs" / "models" / "net.md").read_text()
    assert "create_model" not in text
    assert "```python" not in text
    assert "This package does not build these variants" in text


def test_variants_of_this_zoo_get_calls_in_any_index(zoo, tmp_path, repository):
    own = next(
        v
        for v in load_index([repository / "model-index"]).variants
        if v.name == "efficientnet_lite1"
    )
    weights = own.effective("Weights")
    assert weights is not None
    model = OWN.replace("Name: a\n", f"Name: {own.name}\n") + f"  Weights: {weights.raw}\n"
    (tmp_path / "index.yml").write_text(model + "- {Name: other, In Collection: Net}\n")
    assert zoo("docs", "--index", "index.yml").returncode == 0
    text = (tmp_path / "docs" / "models" / "net.md").read_text()
    assert 'zoo.create_model("efficientnet_lite1", pretrained=True)' in text
    assert "does not build `other`" in text


def test_variants_with_a_base_of_ours_get_commands(zoo, tmp_path):
    """Which build what no call of the library builds by its name."""
    weights = "  Base: resnest14d\n  Classes: 3\n  Weights: a.pth\n"
    odd = "- {Name: a b, In Collection: Net, Metadata: {Base: resnest14d}, Weights: b.pth}\n"
    (tmp_path / "index.yml").write_text(OWN + weights + odd)
    done = zoo("docs", "--index", "index.yml")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "docs" / "models" / "net.md").read_text()
    assert "zoo classify a image.jpg --index index.yml\n" in text
    assert "`a`, which has the architecture of `resnest14d`" in text
    assert "create_model" not in text
    assert "does not build" not in text


def test_what_no_source_declares_gets_no_calls(repository, monkeypatch):
    """An index may be ahead of the library."""
    from harness.docs.pages import is_native

    index = load_index([repository / "model-index"])
    chosen = next(v for v in index.variants if v.name == "resnest50d")
    assert is_native(chosen)
    monkeypatch.setattr("zoo.registry.is_model", lambda name: False)
    assert not is_native(chosen)


def test_the_table_shows_what_the_index_says(repository, rendered):
    text = (repository / "docs" / "models" / "efficientnet-lite.md").read_text("utf-8")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `eff")]
    shown = [[cell.strip("| `") for cell in row] for row in rows]
    assert [row[:2] + row[2:3] + row[5:7] for row in shown] == [
        ["efficientnet_lite0", "224x224", "4.652 M", "74.83%", "92.17%"],
        ["efficientnet_lite1", "240x240", "5.417 M", "76.67%", "93.24%"],
        ["efficientnet_lite2", "260x260", "6.092 M", "77.48%", "93.75%"],
    ]
    assert "table" in [tag for tag, _ in rendered(text).tags]


def test_a_file_on_the_hub_is_linked_by_the_page_of_its_repository(zoo, tmp_path, rendered):
    text = "Collections: [{Name: Net}]\nModels:\n- Name: a\n  In Collection: Net\n"
    (tmp_path / "model-index.yml").write_text(text + "  Weights: hf-hub:org/net@v1/a.pt\n")
    zoo("docs")
    page = (tmp_path / "docs" / "models" / "net.md").read_text("utf-8")
    links = [attributes.get("href") for tag, attributes in rendered(page).tags if tag == "a"]
    assert "https://huggingface.co/org/net" in links


REPORT = '{"variants": [{"name": "a", "collection": "Net"}, {"name": "z", "collection": null}]}'


def test_what_can_not_be_right_is_marked(tmp_path, rendered, monkeypatch, capsys):
    """In the cell of each kind, and on standard error; what is right beside it stays bare."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model-index.yml").write_text(
        "Collections:\n- Name: Net\n  Metadata: {Epochs: many}\nModels:\n"
        "- Name: a\n  In Collection: Net\n"
        "  Metadata: {FLOPs: -3, Parameters: 10610000, Image Size: 0, File Size: tiny}\n"
        "  Results:\n  - Task: Image Classification\n    Dataset: ImageNet\n"
        "    Metrics: {Top 1 Accuracy: 103%, Top 5 Accuracy: 93.1%, Robustness: 104}\n"
    )
    assert main(["docs"]) == 0
    told = capsys.readouterr().err
    page = rendered((tmp_path / "docs" / "models" / "net.md").read_text())
    cells = page.inside("td")
    for wrong in ("-3", "0", "tiny", "103%"):
        assert f"{wrong} (can't be right)" in cells, cells
        assert f"is {wrong}, which can't be right, and the page says so" in told
    assert "Epochs: many (can't be right)" in page.text
    assert {"10.61 M", "93.1%", "104"} <= set(cells)
    assert told.count("can't be right") == 5


def test_a_report_of_these_variants_is_linked(zoo, tmp_path, rendered):
    (tmp_path / "index.yml").write_text(OWN)
    (tmp_path / "reports").mkdir()
    for name in ("pareto-macs.svg", "comparison.md"):
        (tmp_path / "reports" / name).write_text("")
    page = tmp_path / "docs" / "models" / "net.md"

    def links() -> list[str]:
        assert zoo("docs", "--index", "index.yml").returncode == 0
        tags = rendered(page.read_text()).tags
        return [a.get("href") or a["src"] for tag, a in tags if tag in ("a", "img")]

    assert links() == []
    for document in ("{", "[]", '{"variants": 5}', '{"variants": [{"name": []}]}', "[" * 10**5):
        (tmp_path / "reports" / "report.json").write_text(document)
        assert links() == []
    (tmp_path / "reports" / "report.json").write_text(REPORT.replace('"a"', '"b"'))
    assert links() == []
    (tmp_path / "reports" / "report.json").write_text(REPORT)
    found = links()
    assert found == ["../../reports/comparison.md", "../../reports/pareto-macs.svg"]
    assert all((page.parent / link).is_file() for link in found)


def test_every_link_of_the_committed_documentation_leads_somewhere(repository, rendered):
    pages = [repository / "README.md", *sorted((repository / "docs").rglob("*.md"))]
    checked = 0
    for page in pages:
        tags = rendered(page.read_text("utf-8")).tags
        targets = [a.get("href") or a.get("src") for tag, a in tags if tag in ("a", "img")]
        for target in targets:
            path, _, anchor = target.partition("#")
            if "://" in target:
                continue
            there = page.parent / path if path else page
            assert there.exists(), f"{page.name}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.*)$", there.read_text("utf-8"), re.M)
                assert anchor in [h.lower().replace(" ", "-") for h in headings], target
            checked += 1
    assert checked > 10


def test_variants_and_collections_without_a_page_are_told(zoo, tmp_path):
    (tmp_path / "index.yml").write_text(OWN.replace("Models", "- Name: Empty\nModels")
                                        + "- Name: alone\n")  # fmt: skip
    done = zoo("docs", "--index", "index.yml")
    assert (done.returncode, done.stdout) == (0, "docs/models/net.md\n")
    assert "1 variant in no collection" in said(done.stderr)
    assert "index.yml:3:9: collection 'Empty' has no variant" in said(done.stderr)


SCRIPT = """
import sys
from harness.cli import main
status = main(sys.argv[1:])
heavy = {"torch", "pandas", "httpx", "matplotlib", "torchvision", "numpy"}
print(status, sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize(
    "arguments", [("docs", "--check"), ("cite", "resnest50d"), ("docs", "--output", "{folder}")]
)
def test_writing_documentation_imports_nothing_heavy(repository, tmp_path, arguments):
    done = run_python(
        ["-c", SCRIPT, *(a.format(folder=tmp_path / "out") for a in arguments)],
        cwd=repository,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "0 []"
