"""Links by their text: their form, and sites that have closed."""

from __future__ import annotations

from harness.check.links import find

GONE = """
Collections:
- Name: Net
  Paper:
    Title: 'Net: A Network'
    URL: https://www.paperswithcode.com/paper/net
  Citation: |
    @misc{{a, title = {{{{Net}}: {title}}}, eprint = {{{eprint}}}}}
Models:
- Name: a
  In Collection: Net
- Name: b
  In Collection: Net
"""


def told(index):
    return [(f.variant, f.field, f.cause, f.severity) for f in find(index, index.variants)]


def test_a_closed_site_is_one_note_with_the_remedy_that_is_certain(load):
    for title, eprint, remedy in (
        ("A Network", "2004.08955", "write https://arxiv.org/abs/2004.08955"),
        ("Another One", "2004.08955", "write the address of the page itself"),
        ("A Network", "unknown", "write the address of the page itself"),
    ):
        index = load(GONE.format(title=title, eprint=eprint))
        assert told(index) == [(None, "Paper.URL", "links.site-gone", "note")]
        (found,) = find(index, index.variants)
        assert remedy in found.message
        assert found.edits == ()


def test_the_form_of_links_is_checked_and_paths_and_titles_are_not_links(load):
    lines = {
        "README: htps://example.org/README.md": True,
        "README: https:/example.org/README.md": True,
        "Config: www.example.org/config.py": True,
        "Paper: 'https://exa mple.org'": False,  # a citation may begin so
        "Paper: https://": True,
        "README: https://example.org:65536/a.md": True,
        "README: configs/net/README.md": False,
        "Config: configs/net.py": False,
        "Paper: 'Net: A Network, CVPR 2020'": False,
        "Code: https://github.com/o/n/blob/main/net.py#L12": False,
        "README: http://[::1]:8000/a": False,
    }
    for line, wrong in lines.items():
        index = load(f"Models:\n- Name: a\n  {line}\n")
        field = line.partition(":")[0]
        assert told(index) == [("a", field, "links.form", "warning")] * wrong, line
