"""Keys: metrics that are called as fields are, units in keys, and what a slip may have meant."""

from __future__ import annotations

from decimal import Decimal

NATIVE = "Models:\n- Name: m\n"
FOREIGN = "Models:\n- Name: m\n  Config: configs/m.py\n"
METRICS = {
    "Mean": "0.941", "mean": "94.1", "Std": "2.1", "NME": "3.2", "PKD": "0.5", "Location": "41.2",
    "Name": "7", "Weights": "0.3", "Parameters": "many", "Layers": "-1", "Epochs": "x", "mAP": "33",
    "FLOPs": "1.5", "GFLOPs": "4.1", "Params (M)": "25.6", "Image Size": "5", "In Collection": "9",
    "Metadata": "1", "Results": "2", "Paper": "3", "Tpo 1 Acuracy": "50", "Images": "4",
    "Code": "8",
}  # fmt: skip


def said(index):
    return {c.field: c.value for c in index.variants[0].claims}


def test_a_metric_may_be_called_as_a_field_is(read):
    listed = "".join(f"      {name}: {value}\n" for name, value in METRICS.items())
    flow = ", ".join(f"{name}: {value}" for name, value in METRICS.items())
    card = "---\nmodel-index:\n- name: m\n  results:\n  - task: {type: keypoint-detection}\n"
    card += "    dataset: {name: WFLW, type: wflw}\n    metrics:\n"
    card += "".join(f"    - {{type: {n}, value: {v}}}\n" for n, v in METRICS.items()) + "---\n"
    texts = {
        "native.yml": f"{NATIVE}  Results:\n  - Dataset: WFLW\n    Metrics:\n{listed}",
        "list.yml": f"{FOREIGN}  Results:\n  - Dataset: WFLW\n    Metrics:\n{listed}",
        "mapping.yml": f"{FOREIGN}  Results:\n    Dataset: WFLW\n    Metrics: {{{flow}}}\n",
        "metrics.yml": f"{FOREIGN}  Results:\n  - Dataset: WFLW\n    Metrics:\n    - {{{flow}}}\n",
        "README.md": card,
    }
    for name, text in texts.items():
        index = read(text, name)
        assert [str(p) for p in index.problems] == [], name
        (variant,) = index.variants
        kept = {c.field.removeprefix("Metrics."): c.raw for c in variant.claims if c.metric}
        assert kept == METRICS, name
        # None of them is mistaken for what the entry says of the model.
        for field in ("Mean", "Std", "Layers", "Parameters", "FLOPs", "Weights", "Image Size"):
            assert variant.claim(field) is None, (name, field)
        assert variant.name == "m"
        assert all(c.dataset == "WFLW" for c in variant.claims if c.metric), name


def test_accuracies_are_known_among_the_metrics(read):
    for task, name, known in (
        ("Image Classification", "acc", True),
        ("image-classification", "Accuracy", True),
        ("Image Classification", "Accuracy (%)", True),
        ("Image Classification", "top-1 (%)", True),
        ("Action Recognition", "Top-1", True),
        ("Action Recognition", "acc", False),
        ("Keypoint Detection", "Accuracy", False),
    ):
        text = f"{NATIVE}  Results:\n  - Task: {task}\n    Metrics: {{{name!r}: 80.1}}\n"
        index = read(text)
        assert not index.problems
        assert (said(index).get("Top 1 Accuracy") == Decimal("80.1")) is known, (task, name)


def test_the_unit_in_a_key_is_the_values(read):
    for key, value, field, meant, step in (
        ("Params (M)", "25.56", "Parameters", 25_560_000, 10_000),
        ("Params(M)", "25.560", "Parameters", 25_560_000, 1_000),
        ("Parameters (M)", "'25.6'", "Parameters", 25_600_000, 100_000),
        ("#Params (M)", "25.6 M", "Parameters", 25_600_000, 100_000),
        ("Params_K", "1,255", "Parameters", 1_255_000, 1_000),
        ("Parameters (millions)", "0.5", "Parameters", 500_000, 100_000),
        ("Flops(G)", "4.12", "FLOPs", 4_120_000_000, 10_000_000),
        ("GFLOPs", "4.1", "FLOPs", 4_100_000_000, 100_000_000),
        ("GMACs", "0.303", "FLOPs", 303_000_000, 1_000_000),
        ("MACs (G)", "4.089", "FLOPs", 4_089_000_000, 1_000_000),
        ("Mult-Adds (M)", "569", "FLOPs", 569_000_000, 1_000_000),
        ("FLOPs (10^9)", "1.5", "FLOPs", 1_500_000_000, 100_000_000),
        ("MACs", "4089284608", "FLOPs", 4_089_284_608, 1),
        ("File Size (MB)", "97.8", "File Size", 97_800_000, 100_000),
        ("Filesize (KiB)", "2", "File Size", 2048, 1024),
        ("Image Size (px)", "224", "Image Size", (224, 224), None),
    ):
        for head in (NATIVE, FOREIGN):
            index = read(f"{head}  Metadata:\n    {key!r}: {value}\n")
            claim = index.variants[0].claim(field)
            assert claim is not None, key
            assert claim.value == meant, key
            assert step is None or claim.step == step, key
            causes = [p.cause for p in index.problems]
            assert causes == (["schema.quoted-number"] if "'" in value else []), key


def test_a_key_that_says_more_than_a_unit_is_noted_as_unread(read):
    for key in (
        "FLOPs(Backbone)", "Params (trainable)", "FLOPs (224x224)", "Backbone FLOPs", "param_count",
        "GFLOPs (G, fwd)", "Model Size (MB)", "MFLOPs (G)",
    ):  # fmt: skip
        for head in (NATIVE, FOREIGN):
            index = read(f"{head}  Metadata:\n    {key}: 4.1\n")
            (problem,) = index.problems
            assert (problem.cause, problem.severity) == ("schema.unknown-key", "note"), key
            assert "is not read as" in problem.message
            assert not {"FLOPs", "Parameters", "File Size"} & said(index).keys()


def test_a_slip_in_an_accuracys_name_is_noted_and_other_metrics_are_free(read):
    def noted(name, *more, task="Image Classification", value="74.83"):
        lines = "".join(f"      {each}: {value}\n" for each in (name, *more))
        result = f"  Results:\n  - Task: {task}\n    Dataset: ImageNet\n    Metrics:\n{lines}"
        return [(p.cause, p.field, p.message + p.remedy) for p in read(NATIVE + result).problems]

    for name, meant in (
        ("Top 1 Accurracy", "Top 1"), ("top-5 acuracy (%)", "Top 5"), ("Tpo 1 Accuracy", "Top 1"),
        ("top1_accruacy", "Top 1"), ("Acurracy", "Top 1"),
    ):  # fmt: skip
        ((cause, field, text),) = noted(name)
        assert (cause, field) == ("schema.unknown-key", name)
        assert f"did you mean {meant} Accuracy?" in text
    for name in (
        "Top 3 Accuracy", "Top 1 Accuracy R", "Top 1 Error", "mAccuracy", "Top 10 Accuracy", "mAP",
        "Top 1 Accuracy+", "Accuracies of five", "top1map", "Precision",
    ):  # fmt: skip
        assert not noted(name), name
    assert not noted("Acurracy", task="Object Detection")
    assert not noted("Top 1 Accurracy", "Top 1 Accuracy")
    assert not noted("Top 1 Accurracy", value="a table")


def test_one_quantity_in_two_units_is_no_duplicate(read):
    text = f"{NATIVE}  Metadata:\n    FLOPs: 8.2G\n    MACs: 4.1G\n    Params: 25557032\n"
    index = read(f"{text}    Params (M): 25.56\n")
    assert not index.problems
    assert [c.value for c in index.variants[0].claims_of("Parameters")] == [25557032, 25560000]
    assert [c.macs for c in index.variants[0].claims_of("FLOPs")] == [False, True]
    assert [p.cause for p in read(f"{text}    Parameters: 1\n").problems] == [
        "schema.duplicate-key"
    ]
    (problem,) = read(f"{NATIVE}  Params (M): 25.6K\n").problems
    assert "its key says M" in problem.message


def test_weights_may_be_several_files_or_none(read):
    for word in ("none", "None", "N/A", "TBD", "'-'", "null", "", "~", "'n/a'", "tba", "[]"):
        for head in (NATIVE, FOREIGN):
            index = read(f"{head}  Weights: {word}\n")
            assert not index.problems, word
            assert index.variants[0].claim("Weights") is None, word
    urls = [f"https://example.org/{part}.pth" for part in "abc"]
    for head in (NATIVE, FOREIGN):
        index = read(f"{head}  Weights:\n" + "".join(f"  - {url}\n" for url in urls))
        assert not index.problems
        assert [c.value for c in index.variants[0].claims_of("Weights")] == urls
        index = read(f"{head}  Weights: [{urls[0]}, gopher]\n")
        assert [(p.cause, p.location.line) for p in index.problems] == [
            ("schema.wrong-type", 3 + head.count("Config"))
        ]


def test_a_hint_needs_a_missing_key_that_takes_such_a_value(read):
    for key, value, rest, hint in (
        ("Paramters", "5", "", "Parameters"),
        ("Paramters", "5", "\n  Parameters: 5", None),
        ("Paramters", "many", "", None),
        ("PARAMTERS", "5", "", "Parameters"),
        ("BatchSize", "256", "", "Batch Size"),
        ("Location", "Berlin", "", None),
        ("NME", "3.2", "", None),
        ("configs", "[a, b]", "", None),
        ("Metdata", "{LR: 1}", "", "Metadata"),
        ("Metdata", "5", "", None),
        ("Weigths", "https://example.org/a.pth", "", "Weights"),
        ("Weigths", "7", "", None),
        ("crop_pct", "0.9", "", "Crop Pct"),
    ):
        (problem,) = read(f"{NATIVE}  {key}: {value}{rest}\n").problems
        hinted = problem.remedy.startswith("did you mean")
        assert hinted is (hint is not None), (key, problem.remedy)
        assert hint is None or f"did you mean {hint}?" in problem.remedy


def test_an_accuracy_of_at_most_one_percent_is_noted(read):
    for value, ways in (
        ("0.7915", ("79.15", "20.85")),
        ("0.2085", ("20.85", "79.15")),
        ("0.79%", ("99.21",)),
        ("1", ("100",)),
    ):
        text = (
            f"{NATIVE}  Results:\n  - {{Dataset: ImageNet, Metrics: {{Top 1 Accuracy: {value}}}}}\n"
        )
        index = read(text)
        (problem,) = index.problems
        assert (problem.cause, problem.severity) == ("schema.fraction", "note")
        assert all(
            f"write {way} " in problem.remedy or f"or {way} " in problem.remedy for way in ways
        )
        assert index.variants[0].claim("Top 1 Accuracy") is not None
    assert not read(f"{NATIVE}  Top 1 Accuracy: 1.2\n").problems


def test_a_cards_metric_without_a_data_set_is_noted(read):
    card = "---\nmodel-index:\n- name: m\n  results:\n  - task: {type: image-classification}\n"
    metric = "    metrics:\n    - {type: accuracy, value: 0.812}\n---\n"
    (problem,) = read(card + metric, "README.md").problems
    assert (problem.cause, problem.severity) == ("schema.missing-dataset", "note")
    named = card + "    dataset: {name: ImageNet, type: imagenet-1k}\n" + metric
    assert not read(named, "README.md").problems


def test_a_comma_before_decimals_is_told_as_a_point(read):
    for key, value, right in (
        ("Crop Pct", "0,875", "0.875"),
        ("LR", "0,1", "0.1"),
        ("FLOPs", "4,1 G", "4.1 G"),
        ("Parameters", "25,6M", "25.6M"),
        ("File Size", "97,8 MB", "97.8 MB"),
        ("Top 1 Accuracy", "82,88%", "82.88%"),
        ("Params (M)", "25,56", "25.56 M"),
    ):
        (problem,) = read(f"{NATIVE}  {key}: {value}\n").problems
        assert (problem.cause, problem.remedy) == ("schema.wrong-type", f"write {right}"), key
    # What has a comma and no such meaning is told by an example.
    (problem,) = read(f"{NATIVE}  Parameters: 25,56\n").problems
    assert "such as" in problem.remedy
