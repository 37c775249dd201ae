"""Each field's value as a claim: unit, precision, and what is refused."""

from __future__ import annotations

from decimal import Decimal

from loops import each


def one(read, key, value):
    """The claim of a variant with that one key, and the causes of its errors."""
    index = read(f"Models:\n- Name: m\n  Metadata:\n    {key}: {value}\n")
    found = index.variants[0].claim(key)
    return found, [p.cause for p in index.problems if p.severity == "error"]


@each(
    "key, text, value, unit, step",
    [
        ("Parameters", "48280000", 48280000, "count", Decimal(10000)),
        ("FLOPs", "4.1 GFLOPs", 4_100_000_000, "count", Decimal(10**8)),
        ("FLOPs", "300MMac", 300_000_000, "count", Decimal(10**8)),
        ("FLOPs", "4109464576 MACs", 4109464576, "count", Decimal(1)),
        ("Layers", "50", 50, "count", Decimal(1)),
        ("File Size", "102 MB", 102000000, "bytes", Decimal(10**6)),
        ("File Size", "97.8 MiB", 102550733, "bytes", Decimal("104857.6")),
        ("Crop Pct", "'0.875'", Decimal("0.875"), "ratio", Decimal("0.001")),
        ("Crop Pct", "1.0", Decimal(1), "ratio", Decimal("0.1")),
        # timm's volo_d5_448: resized to 389 pixels, and padded.
        ("Crop Pct", "1.150", Decimal("1.15"), "ratio", Decimal("0.001")),
        ("Weight Decay", "4e-05", Decimal("0.00004"), "number", Decimal("0.00001")),
        ("Dropout", "0", Decimal(0), "ratio", Decimal(1)),
        ("Image Size", "224", (224, 224), "pixels", None),
        ("Image Size", "224x288", (224, 288), "pixels", None),
        ("Image Size", "[3, 224, 288]", (224, 288), "pixels", None),
        ("Image Size", "[224, 288, 3]", (224, 288), "pixels", None),
        ("Image Size", "[1, 256, 320, 3]", (256, 320), "pixels", None),
        ("Image Size", "256x320x3", (256, 320), "pixels", None),
        ("Image Size", "[224, 288]", (224, 288), "pixels", None),
        ("FLOPs Input", "224 x 285", (224, 285), "pixels", None),
        ("Interpolation", "Bicubic", "bicubic", "text", None),
        ("FLOPs Convention", "thop-2020", "thop-2020", "text", None),
        ("Mean", "[0.485, 0.456, 0.406]", (0.485, 0.456, 0.406), "number", None),
        ("Training Data", "ImageNet", ("ImageNet",), "list", None),
        ("Tasks", "[A b, C]", ("A b", "C"), "list", None),
        ("SHA256", "'" + "0F" * 32 + "'", "0f" * 32, "text", None),
        ("Training Time", "6 days", "6 days", "text", None),
    ],
)
def test_values(read, key, text, value, unit, step):
    claim, errors = one(read, key, text)
    assert (claim.value, claim.unit, claim.step, errors) == (value, unit, step, [])


@each("text", ["82.88%", "82.88", "'82.88%'", "82.88 %"])
def test_accuracies(read, text):
    index = read(
        "Models:\n- Name: m\n  Results:\n  - Images: 50000\n    Metrics:\n"
        f"      Top 1 Accuracy: {text}\n    Task: T\n    Dataset: D\n"
    )
    claim = index.variants[0].claim("Top 1 Accuracy")
    assert (claim.value, claim.step, claim.unit) == (Decimal("82.88"), Decimal("0.01"), "percent")
    assert (claim.task, claim.dataset, claim.images) == ("T", "D", 50000)


@each(
    "size, spellings",
    [
        ((256, 256), [
            "256", "3x256x256", "[3, 256, 256]", "256x256 px", "256px", "(256, 256)", "256 x 256",
            "256×256", "256 pixels", "256 Pixel", "256 PX", "'[3, 256, 256]'", "(3, 256, 256)",
            "3 × 256 × 256", "256px x 256px", "256 px × 256 px", "1x3x256x256", "256*256",
            "'256,256'", "'3,256,256'", "[1, 3, 256, 256]", "256X256", "(256)", "[256]",
            "'256, 256'", "(256, 256) px",
        ]),
        ((224, 288), ["224x288px", "(224, 288)", "1 x 224 x 288", "[224 px, 288 px]"]),
        ((1024, 1024), ["'1,024'", "1024x1024", "(1024, 1024)"]),
    ],
)  # fmt: skip
def test_sizes_as_people_write_them(read, size, spellings):
    for key in ("Image Size", "FLOPs Input"):
        for text in spellings:
            claim, errors = one(read, key, text)
            assert (claim.value, errors) == (size, []), text


def test_no_size_is_guessed(read):
    for text in ("224x224x4", "5x224x224", "2x3x224x224", "x224", "(224", "224 mm", "224pxx", "px",
                 "'10,240,1'", "224 224", "short side 256", "224-256", "3x224", "(3, 224)", "()",
                 "[[224, 224]]", "224/256"):  # fmt: skip
        claim, errors = one(read, "Image Size", text)
        assert claim.value is None, text
        assert errors, text


def said(read, key, value):
    """The one problem with a value, as a line."""
    index = read(f"Models:\n- Name: m\n  Metadata:\n    {key}: {value}\n")
    (problem,) = [p for p in index.problems if p.severity == "error"]
    return str(problem)


def test_remedies_are_made_of_the_value(read):
    for key, text, remedy in [
        ("FLOPs", "330 MB", "write 330 M"),
        ("FLOPs", "4.1GB", "write 4.1G"),
        ("FLOPs", "1.8 Gflop/s", "write 1.8 G"),
        ("Parameters", "25.6 MB", "write 25.6 M"),
        ("Parameters", "25.6M params", "write 25.6M"),
        ("Parameters", "11.7 million", "write 11.7 M"),
        ("Parameters", "850 thousand", "write 850 K"),
        ("FLOPs", "1.8 Mrd", "write 1.8 B"),
        ("FLOPs", "12 gigaflops", "write 12 G"),
        ("FLOPs", "12 G mult-adds", "write 12 G"),
        ("File Size", "97.8 megabytes", "write 97.8 MB"),
        # Letters that are no unit of a count say nothing about its size.
        ("FLOPs", "12 ms", "such as 6937106336"),
        ("Parameters", "12 kg", "such as 27480000"),
        ("File Size", "12 thin", "such as 110273258"),
        ("File Size", "97.8M", "write 97.8MB"),
        ("File Size", "97.8 Mb", "write 97.8 MB"),
        ("Interpolation", "3", "write bicubic"),
        ("Interpolation", "2", "write bilinear"),
        ("Interpolation", "cubic", "did you mean bicubic?"),
        ("Crop Pct", "87.5", "such as 0.875"),
        ("Crop Pct", "87.5%", "write 0.875"),
        ("Dropout", "20%", "write 0.2"),
        ("Mean", "[123.675, 116.28, 103.53]", "write [0.485, 0.456, 0.406]"),
        ("Mean", "(123.675, 116.28, 103.53)", "write [0.485, 0.456, 0.406]"),
        ("Std", "[58.395, 57.12, 57.375]", "write [0.229, 0.224, 0.225]"),
        ("Mean", "[127.5, 127.5, 127.5]", "write [0.5, 0.5, 0.5]"),
        ("Std", "[127.5]", "write [0.5]"),
        ("Mean", "[103.53, 116.28, 123.675]", "write [0.485, 0.456, 0.406]"),
        ("Mean", "[103.939, 116.779, 123.68]", "write [0.485, 0.458, 0.4076]"),
        ("Mean", "[0.406, 0.456, 0.485]", "write [0.485, 0.456, 0.406]"),
        ("Std", "[0.225, 0.224, 0.229]", "write [0.229, 0.224, 0.225]"),
    ]:  # fmt: skip
        line = said(read, key, text)
        assert remedy in line, line
        assert ("B, G, R" in line) == (text[1:4] in ("103", "0.4") or text[:7] == "[0.225,")


def test_remedies_are_what_the_value_says_without_what_stands_around_it(read):
    """None repeats the value, none is another number than the text has."""
    for key, text, remedy in [
        ("Parameters", "25.5570321 M", "write 25557032"),
        ("Parameters", "25557.0325K", "write 25557032"),
        ("Parameters", "25 557 032", "write 25557032"),
        ("Parameters", "25.557.032", "write 25557032"),
        ("Parameters", "~25 M", "write 25 M"),
        ("Parameters", "25.6", "write 25.6 M"),
        ("FLOPs", "4.1", "write 4.1 M or 4.1 G"),
        ("File Size", "97.8", "write 97.8 MB"),
        ("File Size", "102502400 bytes", "write 102502400"),
        ("Epochs", "300 epochs", "write 300"),
        ("Layers", "50 layers (with the stem)", "write 50"),
        ("Weight Decay", "0.05 (no bias)", "write 0.05"),
        ("Mean", "127.5", "write [0.5, 0.5, 0.5]"),
        ("Std", "0.5", "write [0.5, 0.5, 0.5]"),
        ("Mean", "0.485 0.456 0.406", "write [0.485, 0.456, 0.406]"),
        ("Interpolation", "Bicubic (PIL)", "did you mean bicubic?"),
        ("Interpolation", "7", "write one of nearest"),
        ("Code", "github.com/us/zoo", "write https://github.com/us/zoo"),
        # What the text does not tell has the usual example.
        ("Code", "<https://github.com/us/zoo>", "write https://github.com/us/zoo"),
        ("Weights", "(https://h.org/a.pth", "write https://h.org/a.pth"),
        ("Weights", "'[model](https://h.org/a.pth)'", "write https://h.org/a.pth"),
        ("Weights", "ftp://h.org/a/net-1.pth", "where its server has one (net-1.pth), or of a"),
        ("Weights", "https://huggingface.co/o/n/blob/main/a.pt", "write https://huggingface.co/o/n/resolve/main/a.pt"),
        ("Weights", "https://huggingface.co/o/n", "write hf-hub:o/n"),
        ("Weights", "hf-hub:n", "write hf-hub:ORG/NAME"),
        ("Weights", "SFTP://me@h.org/net.tar", "where its server has one (net.tar), or of a"),
        ("Weights", "{url: 'https://h.org/a.pth', size: 5}", "write https://h.org/a.pth alone"),
        ("Weights", "{a: https://h.org/a.pth, b: https://h.org/b.pth}", "such as https://example.org/resnest50-528c19ca.pth"),
        ("Image Size", "''", "Image Size: is empty;"),
        ("Parameters", "' '", "Parameters: is empty;"),
        ("Crop Pct", "''", "Crop Pct: is empty;"),
        ("Interpolation", "''", "Interpolation: is empty;"),
        ("Top 1 Accuracy", "7483", "such as 74.83"),
        ("Top 5 Accuracy", "9217%", "such as 92.17%"),
        ("Epochs", "90000 iterations", "such as 270"),
        ("Epochs", "2 thousand", "such as 270"),
        ("Batch Size", "8x32", "such as 256"),
        ("Crop Pct", "0.875 %", "such as 0.875"),
        ("Mean", "0.485", "such as [0.485, 0.456, 0.406]"),
        ("Parameters", "25557032.5", "such as 27480000"),
    ]:  # fmt: skip
        line = said(read, key, text)
        assert line.endswith(remedy) or f"{remedy} " in line or f"{remedy}," in line, line


def test_channels_as_people_write_them(read):
    for key, text, value in [
        ("Mean", "(0.485, 0.456, 0.406)", (0.485, 0.456, 0.406)),
        ("Std", "'0.229, 0.224, 0.225'", (0.229, 0.224, 0.225)),
        ("Std", "'[0.229,0.224,0.225]'", (0.229, 0.224, 0.225)),
        ("Mean", "[0.5]", (0.5,)),
        ("Mean", "[0, 0, 0]", (0, 0, 0)),
        ("Std", "[1, 1, 1]", (1, 1, 1)),
        ("Mean", "[0.48145466, 0.4578275, 0.40821073]", (0.48145466, 0.4578275, 0.40821073)),
        ("Mean", "[0.4914, 0.4822, 0.4465]", (0.4914, 0.4822, 0.4465)),
        ("Interpolation", "InterpolationMode.BICUBIC", "bicubic"),
        ("Interpolation", "PIL.Image.LANCZOS", "lanczos"),
    ]:
        claim, errors = one(read, key, text)
        assert (claim.value, errors) == (value, []), text


TYPES = ["{a: b}", "null", "", "~", "true", "[[1]]", "!!python/name:os.system x", "!foo 1"]
NUMBERS = ["Parameters", "FLOPs", "File Size", "Layers", "Epochs", "Batch Size", "Image Size",
           "FLOPs Input", "Crop Pct", "Dropout", "Momentum", "LR", "Weight Decay", "LR Gamma",
           "LR Step Size", "Label Smoothing", "RMSProp Decay", "BatchNorm Momentum",
           "Stochastic Depth Survival"]  # fmt: skip
TEXTS = ["Training Resources", "Training Time", "ID", "Config", "README"]
LISTS = ["Architecture", "Tasks", "Training Techniques", "Training Data"]


@each("key", [*NUMBERS, *TEXTS, *LISTS, "Interpolation", "FLOPs Convention",
                                 "Mean", "Std", "SHA256", "Weights"])  # fmt: skip
@each("text", TYPES)
def test_no_field_takes_another_type(read, key, text):
    if key == "Weights" and text in ("null", "", "~"):
        return  # there are none
    claim, errors = one(read, key, text)
    assert (claim.value, errors) == (None, ["schema.wrong-type"])


@each("key", NUMBERS)
@each(
    "text, cause",
    [
        ("abc", "schema.wrong-type"),
        ("5 kg", "schema.wrong-type"),
        ("0224", "schema.wrong-type"),
        ("1:30", "schema.wrong-type"),
        ("٣", "schema.wrong-type"),
        ("2020-01-01", "schema.wrong-type"),
        (".nan", "schema.out-of-range"),
        ("-.inf", "schema.out-of-range"),
        ("-1", "schema.out-of-range"),
        ("1e30", "schema.out-of-range"),
        ("9" * 100_000, "schema.out-of-range"),
    ],
)
def test_no_number_field_takes_these(read, key, text, cause):
    claim, errors = one(read, key, text)
    assert (claim.value, errors) == (None, [cause])


@each("key", TEXTS)
@each("text", ["5", "1e3", "1.5", "on", "2020-01-01", "''", '"a\\eb"', ".inf"])
def test_text_is_text(read, key, text):
    assert one(read, key, text)[1] == ["schema.wrong-type"]


@each(
    "key, text, cause",
    [
        ("Crop Pct", "8.75", "schema.out-of-range"),
        ("Crop Pct", "2.01", "schema.out-of-range"),
        ("Crop Pct", "0", "schema.out-of-range"),
        ("Crop Pct", "0.875%", "schema.wrong-type"),
        ("Image Size", "0", "schema.out-of-range"),
        ("Image Size", "16385", "schema.out-of-range"),
        ("Image Size", "[224, 0]", "schema.out-of-range"),
        ("Image Size", "[3, 224]", "schema.out-of-range"),
        ("Image Size", "224.5", "schema.wrong-type"),
        ("Image Size", "224x", "schema.wrong-type"),
        ("Image Size", "[224, 224, 5]", "schema.wrong-type"),
        ("Image Size", "[234, 224, 224]", "schema.wrong-type"),
        ("Code", '"https://a.b/\\x1b[31m"', "schema.wrong-type"),
        ("Code", '"https://a.b/x y"', "schema.wrong-type"),
        ("Parameters", "0", "schema.out-of-range"),
        ("Parameters", "25.5", "schema.wrong-type"),
        ("Parameters", "48280000M", "schema.out-of-range"),
        ("Layers", "50K", "schema.wrong-type"),
        ("Layers", "10001", "schema.out-of-range"),
        ("Dropout", "1.2", "schema.out-of-range"),
        ("Interpolation", "bicubik", "schema.unknown-interpolation"),
        ("Interpolation", "3", "schema.wrong-type"),
        ("FLOPs Convention", "whatever", "schema.wrong-type"),
        ("Mean", "[123.675, 116.28, 103.53]", "schema.out-of-range"),
        ("Std", "[0.2, 0, 0.2]", "schema.out-of-range"),
        ("Architecture", "[ReLU, 5]", "schema.wrong-type"),
        ("Architecture", "ReLU", "schema.wrong-type"),
        ("SHA256", "abc", "schema.wrong-type"),
        ("Top 1 Accuracy", "103%", "schema.out-of-range"),
        ("Top 1 Accuracy", "0%", "schema.out-of-range"),
        ("Top 1 Accuracy", "82.88 kg", "schema.wrong-type"),
    ],
)
def test_refused(read, key, text, cause):
    claim, errors = one(read, key, text)
    assert (claim.value, errors) == (None, [cause])


@each(
    "text",
    [
        "https://example.org/a/b-12345678.pth",
        "HTTPS://example.org/a/b-12345678.pth",
        "http://127.0.0.1:8000/x.pth?download=1",
        "https://1drv.ms/u/s!AkxDDnOtroRPdOTqhF8ne_aakDI?e=EVb8Ri",
        "file:///home/me/x.pth",
        "package://my_weights/models/x.pth",
        "weights/x.pth",
        "../x.safetensors",
    ],
)
def test_weights(read, text):
    claim, errors = one(read, "Weights", text)
    assert (claim.value, errors) == (text, [])


@each(
    "text",
    ["javascript:alert(1)", "ftp://example.org/x.pth", "data:text/html,x.pth", "/etc/passwd",
     "not a url.pth", "kg", "https://", "https:///x.pth", '"https://a.b/\\x1b[31m.pth"',
     '"https://a.b/x\\u202egpj.pth"', "https://a.b/x y", "C:\\x.pth", "package://a",
     "https://[evil/x.pth", "file://otherhost/x.pth"],
)  # fmt: skip
def test_no_weights(read, text):
    assert one(read, "Weights", text)[1] == ["schema.wrong-type"]


@each("text", ["models/resnest.py", "package://a/b.py", "file:///x.py", "5"])
def test_code_is_a_web_address(read, text):
    assert one(read, "Code", text)[1] == ["schema.wrong-type"]
    index = read(f"Collections:\n- Name: C\n  Paper:\n    URL: {text}\n", "c.yml")
    assert [p.cause for p in index.problems][:1] == ["schema.wrong-type"]


def test_what_a_page_says_of_a_collection_keeps_its_lines(read):
    index = read(
        "Collections:\n- Name: C\n  Description: |\n    One\n    more.\n\n    Two.\n"
        "  Citation: |\n    @misc{key,\n      title = {A: 'b' #c},\n    }\n"
        "Models:\n- Name: m\n  In Collection: C\n"
    )
    assert not index.problems
    said = {claim.field: claim.value for claim in index.collections[0].claims}
    assert said["Description"] == "One\nmore.\n\nTwo."
    assert said["Citation"] == "@misc{key,\n  title = {A: 'b' #c},\n}"


def test_what_a_page_says_is_text(read):
    index = read(
        "Collections:\n- Name: C\n  Citation: {a: b}\n  Description: 5\nModels: [{Name: m}]\n"
    )
    wrong = [(p.cause, p.severity, p.field) for p in index.problems]
    assert wrong == [
        ("schema.wrong-type", "error", "Citation"),
        ("schema.wrong-type", "error", "Description"),
    ]
