"""The same plan as tasks of a Ray cluster: the same documents, also when a node dies."""

from __future__ import annotations

import os
import signal
import time
from json import loads

import pytest

pytest.importorskip("ray", reason="ray is not installed (extra: ray)")

CLAIM = {"Top 1 Accuracy": "80.00%", "Top 5 Accuracy": "88%"}


@pytest.fixture(scope="module")
def local(new_zoo, many, tmp_path_factory):
    zoo = new_zoo(tmp_path_factory.mktemp("local"))
    return zoo.validate(zoo.index(CLAIM), many.place)


def without_environment(document):
    """The document without where and when; the index lies in another folder, too."""
    body = {key: value for key, value in document.items() if key != "environment"}
    for finding in body["findings"]:
        finding["location"] = {**finding["location"], "file": "index.yml"}
    return body


def test_ray_on_this_machine_gives_the_same_document(zoo, local, many, ray_folder):
    outcome = zoo.validate(zoo.index(CLAIM), many.place, "--engine", "ray", RAY_TMPDIR=ray_folder)
    assert outcome.status == local.status == 0, outcome.err
    assert outcome.counts[2] == len(many.names)
    assert without_environment(outcome.document) == without_environment(local.document)


def test_a_node_that_dies_in_the_middle_costs_no_image(zoo, local, many, ray_cluster, tiled):
    cluster = ray_cluster(zoo.environment)
    index = zoo.index(CLAIM)
    command = ("validate", "efficientnet_*", "--index", index, "--data", many.place)
    run = zoo.start(*command, "--format", "json", "--engine", "ray", "--address", cluster.address)
    try:
        end = time.monotonic() + 300
        while not zoo.parts() and run.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        before = dict(zoo.parts())
        assert run.poll() is None
        assert before, "nothing was counted"
        cluster.kill()
        assert tiled(list(dict(zoo.parts()))) < len(many.names), "it was over before the kill"
        out, err = run.communicate(timeout=600)
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode == 0, err
    assert without_environment(loads(out)) == without_environment(local.document)
    after = dict(zoo.parts())
    assert tiled(list(after)) == len(many.names)
    assert {part: after[part] for part in before} == before
