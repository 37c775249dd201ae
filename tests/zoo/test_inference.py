"""The loop over images, with models that show what they were fed."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.images import InputImage, UnreadableImage
from zoo.inference import answers
from zoo.preprocessing import Preprocessing

SETTINGS = Preprocessing.from_settings(8, 1.0, mean=[0.0], std=[1.0])


def image(name, pixels, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **options)
    return InputImage(name, buffer.getvalue)


def plain(name, level):
    return image(name, np.full((8, 8, 3), level, dtype=np.uint8))


def test_an_answer_that_is_not_finite_is_none():
    """Of a batch only the image that it is the answer to is told of."""

    def reciprocal(inputs):
        return 1 / inputs.mean((2, 3))

    given = [plain("a", 255), plain("black", 0), plain("b", 51)]
    first, second, third = answers(reciprocal, SETTINGS, given)
    assert (first.output.tolist(), third.output.tolist()) == ([1.0] * 3, pytest.approx([5.0] * 3))
    assert second == UnreadableImage("black", "the model's answer to it is not finite")


def test_what_can_not_be_is_refused_at_the_call():
    given = [plain("a", 255)]
    for options in ({"batch_size": 0}, {"decoders": 0}):
        with pytest.raises(ValueError, match="must be 1 or more"):
            answers(torch.nn.Identity().eval(), SETTINGS, given, **options)
    with pytest.raises(ValueError, match="training mode"):
        answers(torch.nn.Dropout(), SETTINGS, given)


def test_images_are_turned_upright_where_that_is_asked_for():
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    given = [image("a", np.rot90(pixels).copy(), exif=exif.tobytes())]
    for upright, expected in ((True, pixels), (False, np.rot90(pixels))):
        (answer,) = answers(lambda inputs: inputs.flatten(1), SETTINGS, given, upright=upright)
        seen = (answer.output.view(3, 8, 8).movedim(0, -1) * 255).round().numpy()
        np.testing.assert_array_equal(seen, expected)
    (usual,) = answers(lambda inputs: inputs.flatten(1), SETTINGS, given)
    assert usual.output.equal(answer.output)


def test_a_image_that_fills_the_memory_does_not_end_the_rest():
    def huge():
        return bytes(1 << 60)

    first, second = answers(
        lambda x: x.flatten(1), SETTINGS, [InputImage("a", huge), plain("b", 9)]
    )
    assert first == UnreadableImage("a", "there is not enough memory to read it")
    assert second.name == "b"
