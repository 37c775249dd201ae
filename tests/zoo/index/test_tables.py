"""Tables as an index: every cell with its place, and what is wrong with a table in one line."""

from __future__ import annotations

import csv
from decimal import Decimal

import pytest

from zoo.index import load_index

HEADER = "model,img_size,top1,top1_err,param_count\n"
DATASETS = {
    "results-imagenet.csv": "imagenet-1k",
    "results-imagenet-real.csv": "imagenet-real",
    "results-imagenet-a.csv": "imagenet-a",
    "results-imagenet-a-clean.csv": "imagenet-a-clean",
    "results-imagenet-r.csv": "imagenet-r",
    "results-sketch.csv": "imagenet-sketch",
    "results-imagenetv2-matched-frequency.csv": "imagenet-v2-matched-frequency",
    "results-tiny-imagenet.csv": None,
    "results-imagenet-21k.csv": None,
    "mine.csv": None,
}


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def loaded(text: str, name: str = "table.csv"):
        (tmp_path / name).write_bytes(text.encode())
        return load_index([name])

    return loaded


def said(index):
    return [str(problem) for problem in index.problems]


def test_every_cell_is_a_claim_at_its_place(shared_corpus, tmp_path):
    number = {"param_count": "Parameters", "top1": "Top 1 Accuracy", "top5": "Top 5 Accuracy"}
    number |= {"crop_pct": "Crop Pct", "infer_gmacs": "FLOPs", "infer_macts": "Activations"}
    scale = {"param_count": 10**6, "infer_gmacs": 10**9, "infer_macts": 10**6}
    for path in sorted((shared_corpus / "timm-tables").glob("*.csv")):
        lines = path.read_text().splitlines()[:300]
        (tmp_path / path.name).write_text("\n".join(lines))
        index = load_index([tmp_path / path.name])
        rows = list(csv.DictReader(lines))
        assert not said(index)
        assert [v.name for v in index.variants] == [row["model"] for row in rows]
        for row, variant in zip(rows, index.variants, strict=True):
            side = int(row.get("img_size") or row["infer_img_size"])
            field = "Image Size" if "img_size" in row else "FLOPs Input"
            assert variant.stated(field) == (side, side)
            for column, field in number.items():
                claim = variant.claim(field)
                assert (claim is not None) == bool(row.get(column)), (path, row)
                if claim is None:
                    continue
                cell = Decimal(row[column].replace(",", ""))
                assert claim.value == cell * scale.get(column, 1)
                exponent = int(cell.as_tuple().exponent)
                assert claim.step == Decimal(scale.get(column, 1)).scaleb(exponent)
                place = claim.location
                assert lines[place.line - 1][place.column - 1 :].lstrip('"').startswith(row[column])


def test_a_result_is_of_the_dataset_that_the_file_is_named_after(load):
    for name, dataset in DATASETS.items():
        index = load(HEADER + "a,224,80.1,19.9,25.56\n", name)
        assert index.variants[0].claim("Top 1 Accuracy").dataset == dataset, name


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_bytes_around_the_cells_do_not_matter(load, ending):
    for mark in ("", "\ufeff"):
        for separator, name in ((",", "a.csv"), (";", "a.csv"), ("\t", "a.tsv")):
            text = '"model",param_count\n\n"res""net", "1,014.45"\n'.replace(",p", f"{separator}p")
            text = text.replace('"res""net", ', f'"res""net"{separator} ').replace("\n", ending)
            (variant,) = load(mark + text, name).variants
            assert variant.name == 'res"net'
            assert variant.stated("Parameters") == 1_014_450_000


def test_what_is_wrong_with_a_table_is_one_line_each(load):
    wrong = {
        HEADER + "a,224,80.1,19.9,1,014.45\n": "2:1: a: Name: is a row of 6 cells",
        HEADER + "a,224,80.1,19.9\n": "2:1: a: Name: is a row of 4 cells",
        HEADER + "a,224,80.1,19.9,1\na,224,80.2,19.8,1\n": "3:1: a: Name: is a second row",
        HEADER + "a,224,80.1,18.9,1\n": "2:12: a: Top 1 Error: is 18.9, where",
        HEADER + "a,224,80.1,19.9,many\n": "2:17: a: Parameters (M): is 'many', which",
        HEADER + f"a,224,80.1,19.9,{'9' * 200_000}\n": "2:17: a: Parameters (M): is 9",
        HEADER + "a\0b,224,80.1,19.9,1\n": "2:1: a\\x00b: Name: is",
        HEADER + 'a,224,80.1,19.9,"1\n': "2:17: a quote is not closed",
        HEADER + ",224,80.1,19.9,1\n": "2:1: Name: ",
        "a,224,80.1\nb,224,80.1\n": "1:1: has no column for the model's name",
        "model,param_count,x\na,1.5,2\n": "1:19: x: is a column of no known meaning",
        "model,flops,top1\na,4.1,80\n": "1:7: flops: gives no unit",
        "model,param_count\n" + "a,1\n" * 30_001: "has more than 30,000 rows",
        HEADER: "documents no variant",
        "": "holds no model-index",
    }
    for text, line in wrong.items():
        found = said(load(text))
        assert len(found) == 1, (text[:80], found)
        assert line in found[0]
        assert len(found[0]) < 400


def test_one_model_at_two_sizes_is_no_duplicate_and_no_file_is_another(load, tmp_path):
    load(HEADER + "a,224,80.1,19.9,1\na,288,80.2,19.8,1\n")
    load("model,infer_gmacs\na,1.5\n", "benchmark.csv")
    index = load_index(["table.csv", "benchmark.csv"])
    assert not said(index)
    assert len(index.variants) == 3


def test_accuracies_of_at_most_one_are_fractions_and_errors_the_rest(load):
    for text in ("0.801", "80.1"):
        claim = load(f"model,top1\na,{text}\n").variants[0].claim("Top 1 Accuracy")
        assert (claim.value, claim.step, claim.raw) == (Decimal("80.1"), Decimal("0.1"), text)
    for text in ("0.199", "19.9"):
        claim = load(f"model,Top-1 error\na,{text}\n").variants[0].claim("Top 1 Accuracy")
        assert (claim.value, claim.raw) == (Decimal("80.1"), text)
    assert not said(load(HEADER + "a,224,0.801,0.199,1\n"))
    assert "top1: is -3, which is out of range" in said(load("model,top1\na,-3\n"))[0]


def test_marks_of_footnotes_are_no_part_of_a_name_or_number(load):
    for name in ("a.csv", "a.md"):
        head = "model,params (M),top1,GMACs\n"
        for mark in ("\u2020", " [^1]", " (ours)", "[2]", "<sup>1</sup>", "\u00b9", " \\*"):
            text = f"{head}net{mark},25.56{mark},80.1%{mark},4.1{mark}\nnet,25.56,79.2,4.1\n"
            if name == "a.md":
                rows = [f"| {row.replace(',', ' | ')} |" for row in text.splitlines()]
                text = "\n".join([rows[0], "|---|---|---|---|", *rows[1:]]) + "\n"
            index = load(text, name)
            assert not said(index), (name, mark, said(index))
            assert [v.name for v in index.variants] == ["net", "net"]
            first = index.variants[0]
            assert first.stated("Parameters") == 25_560_000
            assert first.stated("Top 1 Accuracy") == Decimal("80.1")
            assert first.claim("FLOPs").raw == "4.1 G"


def page(*rows: str) -> str:
    """A Markdown table of rows whose cells are parted by bars."""
    head, *rest = (f"| {row} |" for row in rows)
    return "\n".join([head, "|---" * rows[0].count("|") + "|---|", *rest]) + "\n"


def test_a_number_is_read_however_tables_write_it(load):
    for params, macs in (
        ("25,557,032", "4.09e9"),
        ("25 557 032", "4.09 G"),
        ("25\u202f557\u202f032", "4.09\u00d710\u2079"),
        ("25'557'032", "4.09 x 10^9"),
        ("25.557.032", r"$4.09\times10^{9}$"),
        ("$25557032$", "4,090,000,000"),
        ("**25557032**", "__4.09 G__"),
        ("<b>25557032</b>", "<ins>4.09 G</ins>\u2020"),
        (r"\textbf{25557032}", r"$\mathbf{4.09}$ G"),
    ):
        index = load(page("Model | Params | MACs", f"a | {params} | {macs}"), "t.md")
        assert not said(index), (params, said(index))
        (variant,) = index.variants
        assert variant.stated("Parameters") == 25_557_032, params
        assert variant.stated("FLOPs") == 4_090_000_000, macs
    assert (
        load(page("Model | Checkpoint size", "a | 97.8M"), "t.md").variants[0].stated("File Size")
        == 97_800_000
    )
    for size in ("384^2", "384$^2$", "384\u00b2", "384<sup>2</sup>", "384 \u00d7 384"):
        (variant,) = load(page("Model | Resolution", f"a | {size}"), "t.md").variants
        assert variant.stated("Image Size") == (384, 384), size
    for head in (r"\#Params ($\times 10^6$)", "Params (\u00d710\u2076)", "Parameters (Mio.)"):
        (variant,) = load(page(f"Model | {head}", "**a** (Ours) | 25.6"), "t.md").variants
        assert (variant.name, variant.stated("Parameters")) == ("a", 25_600_000)


def test_decimal_commas_are_those_of_a_whole_table(load):
    text = "Model;Params;GMACs;top1\na;25.557.032;4,09;76,13 %\nb;11.689.512;1,814;69,7\n"
    index = load(text)
    assert not said(index)
    first, second = index.variants
    assert first.stated("Parameters") == 25_557_032
    assert first.stated("FLOPs") == 4_090_000_000
    assert first.stated("Top 1 Accuracy") == Decimal("76.13")
    assert second.stated("FLOPs") == 1_814_000_000
    # Beside thousands a slip, or what is no number, makes no other table of it either.
    rows = "".join(f"m{n};{n + 1},689;5\n" for n in range(5))
    index = load(f"Model;Params (K);layers_x\nz;4,09;16,32 heads\n{rows}")
    assert index.variants[1].stated("Parameters") == 1_689_000
    # One slip beside decimal points makes no other table of it.
    index = load("Model;GMACs;top1\na;4,09;76.130\nb;1.814;69.758\nc;1.2;70.001\n")
    assert [p.severity for p in index.problems] == ["error"]
    assert index.variants[1].stated("FLOPs") == 1_814_000_000


def test_a_header_may_name_an_input_a_dataset_or_two_accuracies(load):
    text = page(
        "Model | FLOPs @ 224 (G) | GMACs @288 | Acc@1 / Acc@5 | ImageNet-V2 top-1 | Top-1 @ 288",
        "a | 4.1 | 6.8 | **76.1** / 92.9 | 63.1 | 77.2",
    )
    index = load(text, "t.md")
    assert not said(index)
    first, second = index.variants
    found = [(v.stated("FLOPs"), v.stated("FLOPs Input")) for v in (first, second)]
    assert found == [(4_100_000_000, (224, 224)), (6_800_000_000, (288, 288))]
    claims = [c for c in first.claims if c.metric]
    assert [(c.field[:5], str(c.value), c.dataset, dict(c.settings)) for c in claims] == [
        ("Top 1", "76.1", None, {}),
        ("Top 5", "92.9", None, {}),
        ("Top 1", "63.1", "imagenet-v2-matched-frequency", {}),
        ("Top 1", "77.2", None, {"Image Size": (288, 288)}),
    ]
    rows = ("a | 92.9 / 76.1", "b | - / 92.9", "c | 76.1 / -", "d | 76.1", "e | 1 / 2 / 3")
    index = load(page("Model | Acc@1 / Acc@5", *rows), "t.md")
    assert {p.variant for p in index.problems} == {"a", "e"}
    values = [[str(c.value) for c in v.claims if c.metric] for v in index.variants]
    assert values[1:4] == [["92.9"], ["76.1"], ["76.1"]]
    assert not any(load(page("Model / Params (M) | GMACs", "a | 4.1"), "t.md").variants)


def test_the_cells_say_what_a_header_alone_does_not(load):
    """A Size is of files or of images, a Method a model, as far as the cells settle it."""
    for head, cell, field, value in (
        ("Size (MB)", "98", "File Size", 98_000_000),
        ("Model size (MiB)", "97.8", "File Size", 102_550_733),
        ("Size", "97.8 MB", "File Size", 97_800_000),
        ("Size", "224", "Image Size", (224, 224)),
        ("Model size, MB", "98", "File Size", 98_000_000),
        ("Size", "$224^2$", "Image Size", (224, 224)),
        ("Size", "224x288", "Image Size", (224, 288)),
        ("GMACs (224)", "4.1", "FLOPs", 4_100_000_000),
        ("FLOPs (G) (288px)", "6.8", "FLOPs", 6_800_000_000),
    ):
        index = load(
            page(f"Model | Params (M) | {head}", *[f"m{n} | 5 | {cell}" for n in "abc"]), "t.md"
        )
        assert not said(index), head
        assert [v.stated(field) for v in index.variants] == [value] * 3, head
    for head, cell, size in (
        ("Params / FLOPs", "25.6M / 4.1G", None),
        ("FLOPs (224) | Params", "4.1 GFLOPs | 25.6M", (224, 224)),
    ):
        (variant,) = load(page(f"Model | {head}", f"a | {cell}"), "t.md").variants
        stated = [variant.stated(key) for key in ("Parameters", "FLOPs", "FLOPs Input")]
        assert stated == [25_600_000, 4_100_000_000, size], head
    for cell in ("0.485 0.456 0.406", "(0.485; 0.456; 0.406)", "$0.485$ / 0.456/ 0.406", "0.5"):
        (variant,) = load(page("Model | Params (M) | Mean", f"a | 5 | {cell}"), "t.md").variants
        mean = (0.5,) * 3 if cell == "0.5" else (0.485, 0.456, 0.406)
        assert variant.stated("Mean") == mean, cell
    for head, *cells in (
        ("Size", "98", "528", "14"),  # of files, by the look of it
        ("Size", "97.8 MB", "14", "31 MB"),
        ("Size", "224", "-", "256"),
        ("Size", "24.8 MB", "int8: 3.5 MB", "4 MB"),
        ("Size (M)", "25.6", "138", "3.5"),  # Parameters, or a file
        ("Top-1 (300)", "79.1", "78", "77"),  # of so many epochs
    ):
        rows = [f"m{n} | 5 | {cell}" for n, cell in zip("abc", cells, strict=True)]
        (problem,) = load(page(f"Model | Params (M) | {head}", *rows), "t.md").problems
        assert "is a column of no known meaning" in str(problem), head
    text = page("Model | Params (M) | Size (MB)", "a | 25.6 | 24.8")
    for name, read in (("", 1), ("## Quantized\n\n", 0), ("# 8 bit\n\n", 0), ("# A bitter\n\n", 1)):
        (variant,) = load(f"{name}{text}", "t.md").variants
        assert (variant.claim("File Size") is not None) == read, name
    names = "Method | Params (M)", "resnet50 | 25.6", "swin_t | 28.3"
    assert [v.name for v in load(page(*names), "t.md").variants] == ["resnet50", "swin_t"]
    for head, *rows in (
        ("Method | Params (M)", "MoCo v3 | 25.6", "resnet50 | 25.6"),
        ("Method | Top-1 (%)", "mocov2 | 71.1", "mocov3 | 74.6"),
    ):
        assert not load(page(head, *rows), "t.md").variants
    both = load(page("Method | Model | Params (M)", "mocov3 | resnet50 | 25.6"), "t.md")
    assert [v.name for v in both.variants] == ["resnet50"]


def test_rows_that_a_column_tells_apart_are_no_duplicates(load):
    for text in (
        "model,recipe,params (M)\na,V1,1.5\na,V2,1.5\n",
        "model,epochs_x,params (M)\na,100,1.5\na,300,1.5\n",
        "model,batch size,img/s\na,1,1.5\na,256,1.5\n",
        "model,params (M),weights_url\na,1.5,https://x.org/a.pth\na,1.5,https://x.org/b.pth\n",
    ):
        assert not [line for line in said(load(text)) if "second row" in line], text
    (line,) = said(load("model,params (M),GMACs\na,1.5,2.5\na,1.6,2.5\n"))
    assert "second row" in line


def test_merged_cells_are_those_above(load):
    text = page(
        "Model | Size | Params (M) | GMACs",
        "**Family** | | |",
        "a | 224 | 1.5 | 2.5",
        " | 288 | ^ | 4.1",
        "^ | 320 | | 5.1",
        "b | 224 | 3.5 | 4.5",
    ).replace("Size", "Resolution")
    index = load(text, "t.md")
    assert not said(index)
    assert [(v.name, v.stated("Image Size"), v.stated("FLOPs")) for v in index.variants] == [
        ("a", (224, 224), 2_500_000_000),
        ("a", (288, 288), 4_100_000_000),
        ("a", (320, 320), 5_100_000_000),
        ("b", (224, 224), 4_500_000_000),
    ]
    for text in (page("Model | GMACs", " | 2.5"), page("Model | GMACs", "**F** |", " | 2.5")):
        assert any("Name" in line for line in said(load(text, "t.md"))), text


def test_more_than_one_number_is_a_note_and_no_claim(load):
    plain = ("80.1 \u00b1 0.1", "80.1+-.1", "80.1-80.4", "80 to 81", ">80", "80.1 (95.2)")
    for text in (*plain, "80.1 (\u00b1.2)", "80.1 [79; 81]", "80.1<br>(95.2)", "80.1 (avg)"):
        for header in ("top1", "params (M)", "top1 err", "GMACs", "images/s"):
            index = load(f"model,{header},layers\na,{text},50\n")
            (line,) = said(index)
            assert "is not one number" in line, line
            assert not [p for p in index.problems if p.severity == "error"]
            values = [claim.value for claim in index.variants[0].claims]
            assert Decimal("80.1") not in values
    # What is one number, written wrongly, stays an error.
    for text in ("80,1", "80.1.2", "80 dogs", "many"):
        index = load(f"model,top1\na,{text}\n")
        assert [p.severity for p in index.problems] == ["error"], text


def test_a_count_with_its_input_in_one_cell_is_a_note(load):
    for text in ("13.1 (at 384)", "13.1 @ 384", "13.1 G at 384"):
        index = load(
            f"| model | GMACs | Params (M) |\n|---|---|---|\n| a | {text} | 1.2 |\n", "t.md"
        )
        assert [(p.severity, p.field) for p in index.problems] == [("note", "GMACs")], text


def test_no_column_is_left_out_without_a_word(load):
    (line,) = said(load("model,GMACs,FLOPs (G)\na,4.1,8.2\n"))
    assert "1:13: FLOPs (G): is a second column of FLOPs" in line
    page = "| name | params | model |\n|---|---|---|\n| a | 5M | [model](https://x.org/a.pth) |\n"
    (variant,) = load(page, "a.md").variants
    assert variant.stated("Weights") == "https://x.org/a.pth"
    host = "https://huggingface.co/o/n"
    for link, url in (
        ("hf-hub:o/n@v1", "hf-hub:o/n@v1"),
        ("[a](hf-hub:o/n)", "hf-hub:o/n"),
        (f"[a]({host}/resolve/main/a.pth)", f"{host}/resolve/main/a.pth"),
        (f"[a]({host}/blob/main/a.pth)", f"{host}/resolve/main/a.pth"),
        (f"[a]({host})", None),
    ):
        index = load(f"| name | params | weights |\n|---|---|---|\n| a | 5M | {link} |\n", "a.md")
        index = index if "](" in link else load(f"name,params,weights\na,5M,{link}\n")
        assert not said(index), link
        claim = index.variants[0].claim("Weights")
        assert (claim and claim.value) == url
    page = "| Model<br>name | Params<br>(M) |\n|---|---|\n| a | 5.5 |\n"
    assert load(page, "b.md").variants[0].stated("Parameters") == 5_500_000
    # A unit that the header has is no part of the number to write.
    (line,) = said(load("model,params (M)\na,86567656\n"))
    assert "write the number in M" in line


def test_models_that_get_nothing_right_are_believed(load):
    for text in (HEADER + "a,224,0.000,100.000,1\nb,224,0.213,99.787,1\nc,224,40.1,59.9,1\n",):
        index = load(text, "results-imagenet-real.csv")
        assert not said(index)
        values = [v.claim("Top 1 Accuracy").value for v in index.variants]
        assert values == [0, Decimal("0.213"), Decimal("40.1")]
    few = "model,top1\na,0.00\nb,0.21\nc,9.1\n"
    assert not said(load(few, "results-imagenet-a.csv"))
    assert ["out of range" in line for line in said(load(few, "table.csv"))] == [True, False]


def test_a_speed_is_of_the_machine_that_the_file_is_named_after(load):
    text = "model,infer_img_size,infer_samples_per_sec,infer_step_time,infer_batch_size\n"
    text += "a,160,103646.76,9.87,1024\n"
    at = {"batch size": 1024, "image size": (160, 160), "backend": "torch 2.4"}
    for name, more in {
        "benchmark-infer-amp-nhwc-pt240-cu124-rtx3090.csv": {
            "precision": "amp", "layout": "channels_last", "device": "rtx 3090",
        },
        "benchmark-infer-fp32-nchw-pt240-cpu-i7_12700h-dynamo.csv": {
            "precision": "float32", "layout": "contiguous", "device": "cpu i7 12700h",
            "compile": "default",
        },
    }.items():  # fmt: skip
        (variant,) = load(text, name).variants
        for field, value in (("Throughput", "103646.76"), ("Latency", "9.87")):
            claim = variant.claim(field)
            assert claim.value == Decimal(value)
            assert dict(claim.settings) == at | more
    (claim,) = load("model,img/s\na,5\n").variants[0].claims_of("Throughput")
    assert not claim.settings


def test_a_speed_that_is_none_is_a_note(load):
    text = "model,infer_samples_per_sec,infer_step_time,param_count\n"
    text += "a,oom,-1,1.2\nb,1e400,5 m,1.2\nc,1250 img/s,8.1,1.2\n"
    index = load(text, "benchmark-infer-amp-nhwc-pt240-cu124-rtx3090.csv")
    lines = said(index)
    assert [line.split(": ")[1:3] for line in lines] == [
        [name, field] for name in "ab" for field in ("Throughput", "Latency")
    ]
    assert all("is no number of a speed" in line for line in lines)
    assert {p.severity for p in index.problems} == {"note"}
    values = [variant.claim("Throughput").value for variant in index.variants]
    assert values[2] == 1250
    assert not any(isinstance(value, int | Decimal) for value in values[:2])


def test_a_project_says_what_is_no_claim(load, tmp_path):
    text = "model,params (M),notes_x\na,5,7\n"
    assert len(said(load(text))) == 1
    (tmp_path / "pyproject.toml").write_text('[tool.zoo.tables]\nnotes_x = ""\n')
    assert not said(load(text))


def test_a_project_says_what_its_headers_mean(load, tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[tool.zoo.tables]\n"Mein Netz" = "Name"\nGroesse = "Parameters (M)"\n'
        '[tool.zoo.tables."pets-*.csv"]\ndataset = "Oxford Pets"\nRichtig = "Top 1 Accuracy"\n'
    )
    text = "Mein Netz,Groesse,Richtig\na,25.56,80.1\n"
    assert load(text, "pets-1.csv").variants[0].claim("Top 1 Accuracy").dataset == "Oxford Pets"
    (variant,) = load(text).variants
    assert variant.stated("Parameters") == 25_560_000
    assert variant.claim("Top 1 Accuracy") is None


PAGE = r"""
| Model | Params (M) | Flops (G) | Pretrain | Top-1 (%) | Download |
| :---: | ---------: | --------- | -------- | :-------- | -------- |
| `hidden` |
## Image Classification on ImageNet-1k
| Model | Params (M) | Flops (G) | Pretrain | Top-1 (%) | Download |
| :---: | ---------: | --------- | -------- | :-------- | -------- |
| `swin-t`\* | 28.29 | **4.36** | x | 81.18 | [a](a.py) \| [model](https://x.org/t-66f9d902.pth) |
| [b](https://x.org) | 1,014.45 | - | |
```
| Model | Params (M) |
|---|---|
| example | 1 |
```
Image Classification on CIFAR-10
--------------------------------
### CIFAR-100
Weight | Params | GFLOPS
---|---|---
c_Weights.V1 | 61.1M | 0.71
"""


def test_a_page_without_a_model_index_is_read_by_its_tables(load, tmp_path):
    page = PAGE[PAGE.index("## ") :]
    index = load(page, "README.md")
    assert not said(index)
    assert [v.name for v in index.variants] == ["swin-t", "b", "c_Weights.V1"]
    swin, other, third = index.variants
    assert swin.stated("Parameters") == 28_290_000
    assert swin.stated("FLOPs") == 4_360_000_000
    assert swin.stated("Weights") == "https://x.org/t-66f9d902.pth"
    assert swin.claim("Top 1 Accuracy").dataset == "ImageNet-1k"
    assert other.stated("Parameters") == 1_014_450_000
    assert third.stated("Parameters") == 61_100_000
    assert third.stated("FLOPs") == 710_000_000
    for variant in index.variants:
        for claim in (variant.claim("Name"), variant.claim("Parameters"), variant.claim("FLOPs")):
            if claim is not None:
                line = page.splitlines()[claim.location.line - 1]
                assert line[claim.location.column - 1 :].startswith(claim.raw.split()[0])
    # Beside a model-index the tables of a page, or of a folder, are no index.
    comment = "<!--\nType: model-index\nModels:\n- Name: own\n-->\n"
    assert [v.name for v in load(page + comment, "README.md").variants] == ["own"]
    (tmp_path / "other.md").write_text(page)
    (tmp_path / "more.csv").write_text(HEADER + "a,224,80.1,19.9,1\n")
    assert [v.name for v in load_index([tmp_path]).variants] == ["own"]
    (tmp_path / "README.md").unlink()
    assert len(load_index([tmp_path]).variants) == 4
