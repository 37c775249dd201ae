"""Where weights may lie: packages, the index's own folder, and elsewhere where that is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest
from loops import each
from shipped import real_weights

ROOT = Path(__file__).parents[3]
PUBLISHED = {
    # As the packages' own file names and the registry's metadata have them.
    "efficientnet_lite0": (18_826_032, "57934424"),
    "efficientnet_lite1": (21_946_926, "77cc7160"),
    "efficientnet_lite2": (24_666_229, "9656183e"),
}


@pytest.fixture(scope="module")
def _sample_is_installed():
    for name in PUBLISHED:
        real_weights(name)


@pytest.mark.usefixtures("_sample_is_installed")
def test_real_checkpoints_of_packages_match_in_size_hash_and_every_tensor(place):
    index = str(ROOT / "model-index")
    run = place.verify(*PUBLISHED, "--index", index)
    for variant, (size, head) in PUBLISHED.items():
        findings = [f for f in run.document["findings"] if f["variant"] == variant]
        assert {f["status"] for f in findings} == {"match"}
        assert {f["field"] for f in findings} == {"Weights", "SHA256", "File Size"}
        (measured,) = [v for v in run.document["variants"] if v["name"] == variant]
        assert measured["measurements"]["file_size"] == size
        assert measured["measurements"]["sha256"].startswith(head)
    # The packages' files are read where they are.
    assert place.held() == {}


@pytest.fixture(scope="module")
def scattered(new_place):
    """Files inside the index's folder, outside it, and links between the two."""
    place = new_place()
    (place.index / "deep").mkdir()
    for path in (place.index / "in.pth", place.index / "deep" / "in.pth", place.folder / "out.pth"):
        path.write_text("not a checkpoint, but a file that was opened")
    (place.index / "link-in.pth").symlink_to(place.index / "in.pth")
    (place.index / "link-out.pth").symlink_to(place.folder / "out.pth")
    (place.index / "link-folder").symlink_to(place.folder)
    outside = place.folder / "out.pth"
    for case, url in {
        "inside": "in.pth",
        "deeper": "deep/in.pth",
        "url-inside": (place.index / "in.pth").as_uri(),
        "link-inside": "link-in.pth",
        "not-there": "nowhere.pth",
        "outside": "../out.pth",
        "url-outside": outside.as_uri(),
        "link-outside": "link-out.pth",
        "link-to-folder": "link-folder/out.pth",
        "up-and-down": "deep/../../out.pth",
        "no-package": "package://no_such_package_here/models/net.pth",
        "no-such-file": "package://pytest/models/net.pth",
        "out-of-package": "package://pytest/../../out.pth",
    }.items():
        place.add(case, "efficientnet_lite0", url)
    return place


@pytest.fixture(scope="module")
def kept_in(scattered):
    return scattered.verify()


@pytest.fixture(scope="module")
def let_out(scattered):
    return scattered.verify("--allow-local")


@each("case", ["inside", "deeper", "url-inside", "link-inside"])
def test_files_in_the_indexs_folder_are_opened(kept_in, case):
    assert kept_in.verdicts(case, "Weights") == [("mismatch", "weights.unreadable")]


@each("case", ["outside", "url-outside", "link-outside", "link-to-folder", "up-and-down"])
def test_files_elsewhere_are_opened_only_where_that_is_allowed(kept_in, let_out, case):
    (finding,) = kept_in.of(case, "Weights")
    assert (finding["status"], finding["cause"]) == ("mismatch", "weights.unsafe")
    assert "out" in finding["message"]
    assert let_out.verdicts(case, "Weights") == [("mismatch", "weights.unreadable")]


def test_what_is_not_there_is_said_by_its_kind(kept_in):
    assert kept_in.verdicts("not-there", "Weights") == [("mismatch", "weights.missing")]
    assert kept_in.verdicts("no-such-file", "Weights") == [("mismatch", "weights.missing")]
    (finding,) = kept_in.of("no-package", "Weights")
    assert (finding["status"], finding["cause"]) == ("unverified", "weights.not-installed")
    assert "no_such_package_here" in finding["message"]


def test_a_package_has_no_way_out(kept_in, let_out):
    for run in (kept_in, let_out):
        assert run.verdicts("out-of-package", "Weights") == [("mismatch", "weights.unsafe")]


def test_a_missing_package_alone_is_no_error(place):
    place.add("alone", "efficientnet_lite0", "package://no_such_package_here/models/net.pth")
    assert place.verify().status == 0
    fetched = place.zoo("fetch", "--all")
    assert fetched.status == 3
    assert "[weights.not-installed]" in fetched.err
