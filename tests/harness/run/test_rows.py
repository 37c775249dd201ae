"""What the store's door lets in: every real fact, and of a changed row nothing but that fact."""

from __future__ import annotations

import copy
import json
import random
import sqlite3
from dataclasses import asdict, replace
from functools import partial

import pytest
from loops import each

from harness.measure.profile import Profiler
from harness.run.rows import pack, unpack, why_unfit
from harness.run.store import Store, StoreError
from harness.types import Measurement, Recipe

MADE = "2026-01-02T03:04:05+00:00"
COUNTED = {
    "images": 500, "top1": 380, "top5": 470, "unreadable": [["a.jpg", "no image"]],
    "not_finite": 0, "predictions": None, "decided_exactly": 2, "not_decided": None,
    "seconds": 1.5, "batch": 8,
    "not_kept": None, "entry": None, "others": [], "precision": "off",
}  # fmt: skip
TIMING = {
    "batch": 1, "best": False, "precision": "off", "amp": "off", "layout": "channels_last",
    "image_size": [224, 224], "compile": None, "compiled": False, "weights": "random",
    "graph_latency_ms": None, "compile_seconds": None, "peak_reserved": None,
    "joules_per_image": None, "contended": False,
    "agreement": {"images": 20, "same": 20}, "not_compared": None,
    "images_per_second": 9.5, "images_per_second_range": [9.0, 10],
    "latency_ms": {"p50": 1.0, "p90": 2.0, "p99": 3.0}, "passes": 9, "peak_memory": None,
    "environment": {
        "device": "cpu", "device_name": "c", "cpu": "c", "cores": 2, "threads": 1, "torch": "2",
        "python": "3", "platform": "p", "tf32": False,
    },
}  # fmt: skip
OPENED = {
    "refused": None, "tensors": 5, "fits": True, "misfit": None, "sentence": "the tensors are of",
    "notes": [], "half": None, "entry": None, "others": [], "reasons": [], "holds": [],
    "all_zero": False, "odd_layout": False,
}  # fmt: skip


def by_hand(kind, value, size=None, part=None):
    return Measurement(kind, "resnet18", "torchvision", value, size, "m", {}, "cpu", MADE, part)


@pytest.fixture(scope="module")
def facts() -> dict[str, Measurement]:
    """A fact of each kind, by kind."""
    made = Profiler().measure(
        Recipe("resnet18", "torchvision"),
        ("structure", "preprocess", "flops", "profile", "fvcore"),
        [(32, 48)],
    )
    made += [
        by_hand("checkpoint", OPENED),
        by_hand("accuracy", COUNTED, part="500-1000"),
        by_hand("speed", {"timings": [TIMING]}),
    ]
    return {fact.kind: unpack([c.encode() for c in pack("k", fact)]) for fact in made}


def unfit(fact):
    return partial(why_unfit, recipe=Recipe(fact.name, fact.builder), slot=fact.slot)


def test_every_kind_of_fact_comes_back(facts, tmp_path):
    store = Store.open(tmp_path / "s.sqlite")
    for kind, fact in facts.items():
        store.put(kind, fact)
        assert store.get(kind, unfit(fact)) == fact, why_unfit(fact)
    for value in (
        {**OPENED, "fits": False, "misfit": "names"},
        {**OPENED, "fits": False, "holds": ["resnet34"]},
        {"refused": "weights.unsafe", "why": "it runs os.system"},
        {**OPENED, "refused": "weights.not-finite", "why": "w holds NaN"},
    ):
        assert why_unfit(by_hand("checkpoint", value)) == ""
    conditions = ("batch", "best", "precision", "amp", "layout", "image_size", "compile")
    failed = {k: TIMING[k] for k in (*conditions, "compiled", "weights", "environment")}
    failed["failed"] = "none"
    assert why_unfit(by_hand("speed", {"timings": [TIMING, failed]})) == ""
    assert why_unfit(by_hand("of a third party", {"any": [{}]})) == ""
    assert store.failure is None
    assert store.check() == []


@pytest.mark.slow
@each(
    "builder, name",
    [
        ("zoo", "resnest14d"), ("zoo", "efficientnet_lite0"), ("torchvision", "inception_v3"),
        ("torchvision", "swin_t"), ("torchvision", "shufflenet_v2_x0_5"), ("timm", "levit_128s"),
        ("timm", "repvgg_a0"), ("timm", "vit_tiny_patch16_224"), ("timm", "convmixer_768_32"),
        ("timm", "mobilevit_xxs"), ("timm", "tf_efficientnet_lite0"),
    ],
)  # fmt: skip
def test_real_facts_are_let_in(builder, name):
    if builder == "timm":
        pytest.importorskip("timm", reason="timm, an extra, is not installed")
    kinds = ("structure", "preprocess", "flops", "profile")
    for fact in Profiler().measure(Recipe(name, builder), kinds, [(224, 224), (299, 299)]):
        if isinstance(fact, Measurement):
            read = unpack([c.encode() for c in pack("k", fact)])
            assert why_unfit(read, Recipe(name, builder), fact.slot) == "", fact.kind


def leaves(value, path=()):
    """The places in JSON data, those of mappings and lists as well."""
    if path:
        yield path
    for key, inner in (
        value.items() if isinstance(value, dict)
        else enumerate(value[:2]) if isinstance(value, list)
        else ()
    ):  # fmt: skip
        yield from leaves(inner, (*path, key))


def changed(body, path, new):
    body = copy.deepcopy(body)
    at = body
    for key in path[:-1]:
        at = at[key]
    if new is DELETE:
        del at[path[-1]]
    else:
        at[path[-1]] = new
    return body


DELETE = object()
DEEP: object = []
for _ in range(500):
    DEEP = [DEEP]


def sealed(key, body) -> tuple[str, ...]:
    """A row of these contents with a digest that is right."""
    from harness.run import rows

    found = (body.get(name) for name in rows.COLUMNS[1:-1])
    texts = [text if isinstance(text, str) else "" for text in found]
    row = (key, *texts, json.dumps(body))
    return (*row, rows._digest(row))


# What no check computes with: words for people, and what a page only shows.
FREE = {
    *("method", "device", "made", "versions", "notes", "reasons", "sentence", "built_as"),
    *(
        "no_forms",
        "left_out",
        "name",
        "entry",
        "precision",
        "others",
        "holds",
        "half",
        "seconds",
        "batch",
    ),
    *("decided_exactly", "not_decided", "not_kept", "environment", "class", "path", "weights"),
    *("interpolation", "num_classes", "convention", "variation", "forms", "by_operator"),
    *("unreadable", "url", "not_compared", "compile"),
}
NOWHERE = (10**400, -(10**400), float("nan"), float("inf"), DEEP)
NO_FIGURE = (DELETE, {"a": []}, "no such thing", [1, {}])


def test_no_change_of_a_sealed_fact_is_let_in_that_a_check_stumbles_over(facts):
    """A digest is no secret: what it is right of is held against the shape of its kind."""
    for kind, fact in facts.items():
        body = json.loads(json.dumps(asdict(fact)))
        for path in leaves(body):
            # Of a list that is one entry shorter nothing tells.
            some = NO_FIGURE[isinstance(path[-1], int) :]
            for new in (*NOWHERE, *some):
                try:
                    read = unpack([c.encode() for c in sealed("k", changed(body, path, new))])
                except ValueError:
                    continue
                if not unfit(fact)(read):
                    assert new is DELETE or new in NO_FIGURE, (kind, path)
                    assert FREE.intersection(path), (kind, path, new)


@pytest.fixture
def kept(tmp_path, facts):
    """A store of all the facts, in one file."""
    path = tmp_path / "s.sqlite"
    store = Store.open(path)
    for kind, fact in facts.items():
        store.put(f"key of {kind}", fact)
    store.close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode=DELETE")
    return path


def read_all(path, facts):
    """The facts that are let in of a changed file; any other is the test's failure."""
    try:
        store = Store.open(path)
    except StoreError:
        return {}
    read = {}
    for kind, fact in facts.items():
        found = store.get(f"key of {kind}", unfit(fact))
        assert found in (None, fact), kind
        if found is not None:
            read[kind] = found
        assert "\n" not in (store.failure or "")
        store.put(f"key of {kind}", fact)
    store.close()
    return read


BODY = "UPDATE measurements SET body="
STATEMENTS = (
    f"{BODY}replace(body, '32', '33')",
    f"{BODY}'null'",
    f"{BODY}'NaN'",
    f"{BODY}'{{}}'",
    f"{BODY}'[]'",
    f"{BODY}5",
    f"{BODY}-1.5",
    f"{BODY}x'80ff00'",
    f"{BODY}CAST(x'7b80ff7d' AS TEXT)",
    f"{BODY}''",
    f"{BODY}'1' || printf('%.*c', 5000, '0')",
    f"{BODY}printf('%.*c', 200000, '[')",
    f"{BODY}'{{\"a\":' || printf('%.*c', 100000, '[') || printf('%.*c', 100000, ']') || '}}'",
    f"{BODY}substr(body, 1, length(body) / 2)",
    f"{BODY}body || ' '",
    f"{BODY}body || char(0) || body",
    f"{BODY}upper(body)",
    f"{BODY}(SELECT b.body FROM measurements b WHERE b.key > measurements.key LIMIT 1) "
    "WHERE key < (SELECT max(key) FROM measurements)",
    "UPDATE measurements SET body=(SELECT b.body FROM measurements b WHERE b.kind='flops'), "
    "digest=(SELECT b.digest FROM measurements b WHERE b.kind='flops'), kind='flops'",
    "UPDATE measurements SET digest=''",
    "UPDATE measurements SET digest=NULL",
    "UPDATE measurements SET digest=upper(digest)",
    "UPDATE measurements SET kind='structure'",
    "UPDATE measurements SET kind=CASE kind WHEN 'flops' THEN 'profile' ELSE 'flops' END",
    "UPDATE measurements SET name='resnet34'",
    "UPDATE measurements SET builder='timm'",
    "UPDATE measurements SET made='yesterday'",
    "UPDATE measurements SET key='key of flops' WHERE key='key of profile' "
    "AND 0 = (SELECT count(*) FROM measurements WHERE key='nobody')",
)


@pytest.mark.slow
def test_a_changed_row_is_made_anew(kept, facts, tmp_path):
    for statement in STATEMENTS:
        path = tmp_path / "one.sqlite"
        path.write_bytes(kept.read_bytes())
        with sqlite3.connect(path, isolation_level=None) as db:
            db.create_collation("nocase", lambda a, b: (a > b) - (a < b))
            try:
                db.execute(statement)
            except sqlite3.IntegrityError:  # The table itself refuses it.
                continue
        with sqlite3.connect(path) as db:
            same = "SELECT count(*) FROM measurements"
            count = db.execute(same).fetchone()[0]
        read = read_all(path, facts)
        assert len(read) < len(facts), statement
        # What was put again is whole, and a second look finds nothing.
        store = Store.open(path)
        assert store.check() == [], statement
        assert store.info()["measurements"] >= count - 1
        store.close()


def test_the_row_of_another_key_is_not_this_one(kept, facts):
    """Two facts of one kind, each sealed under its key, in each other's place."""
    store = Store.open(kept)
    flops = facts["flops"]
    other = replace(flops, name="resnet34")
    for key, fact in (("key of flops", other), ("b", replace(flops, image_size=(64, 64)))):
        store.put(key, fact)
    assert store.get("key of flops", unfit(flops)) is None
    assert store.get("b", unfit(flops)) is None
    assert "2 stored measurements removed" in store.failure
    store.put("key of flops", flops)
    with sqlite3.connect(kept) as db:
        db.execute("DELETE FROM measurements WHERE key='key of profile'")
        db.execute("UPDATE measurements SET key='key of profile' WHERE key='key of flops'")
    assert store.get("key of profile", unfit(flops)) is None


@pytest.mark.slow
def test_flipped_bits_of_the_file_give_no_other_fact(kept, facts, tmp_path):
    data, chance = kept.read_bytes(), random.Random(14)
    path = tmp_path / "one.sqlite"
    for _ in range(150):
        flipped = bytearray(data)
        for _ in range(chance.choice((1, 3, 200))):
            flipped[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        for name in (path, f"{path}-wal", f"{path}-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        path.write_bytes(flipped[: chance.choice((len(data), len(data), len(data) // 2, 50))])
        if chance.random() < 0.1:
            (tmp_path / "one.sqlite-wal").write_bytes(chance.randbytes(5000))
        read_all(path, facts)


FOREIGN = (
    "CREATE TABLE measurements (a, b)",
    "CREATE TABLE MEASUREMENTS (a, b)",
    "CREATE TABLE measurements (key TEXT PRIMARY KEY, kind TEXT NOT NULL, builder TEXT NOT NULL, "
    "name TEXT NOT NULL, made TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE old (key, kind, builder, name, made, body, digest); "
    "CREATE VIEW measurements AS SELECT * FROM old",
    "CREATE VIRTUAL TABLE measurements USING fts5(key, body)",
    "CREATE TABLE other (a); CREATE INDEX measurements ON other(a)",
    "CREATE TABLE people (name); INSERT INTO people VALUES ('ada'); PRAGMA user_version=9",
)


def test_a_file_of_another_schema_is_made_ours_or_left(tmp_path, facts):
    for n, script in enumerate(FOREIGN):
        path = tmp_path / f"{n}.sqlite"
        with sqlite3.connect(path) as db:
            db.executescript(script)
        assert read_all(path, facts) == {}
        again = read_all(path, facts)
        assert again == facts or "INDEX" in script
    with sqlite3.connect(path) as db:  # What is nobody's business stays.
        assert db.execute("SELECT * FROM people").fetchall() == [("ada",)]


def test_triggers_change_nothing_that_is_believed(kept, facts):
    with sqlite3.connect(kept) as db:
        db.execute(
            "CREATE TRIGGER t AFTER INSERT ON measurements BEGIN "
            "UPDATE measurements SET body=replace(body, '1', '2'); END"
        )
    assert read_all(kept, facts) == {}
    assert read_all(kept, facts) == facts
