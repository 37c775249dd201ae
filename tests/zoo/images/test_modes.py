"""Images of every mode, and of every side up, as 8-bit RGB."""

from __future__ import annotations

import io

import numpy as np
import pytest
from factories import saved
from PIL import Image

from zoo.images.io import to_rgb, upright
from zoo.preprocessing import INTERPOLATIONS, Preprocessing
from zoo.training.data import TrainTransform, transform_of

LEVELS = np.arange(256, dtype=np.uint8).reshape(16, 16)
WHOLE = Preprocessing.from_settings(16, 1.0)


def opened(data):
    return Image.open(io.BytesIO(data))


def gray(data):
    """The one plane of an image whose three are the same."""
    pixels = np.asarray(to_rgb(opened(data)))
    assert (pixels == pixels[..., :1]).all()
    return pixels[..., 0]


def deep():
    """What a scanner with 16 bits sees where one with 8 sees LEVELS."""
    return Image.fromarray(LEVELS.astype(np.uint16) * 257)


def big_endian_tiff():
    """Mode I;16B, which Pillow reads."""
    tags = [(256, 3, 16), (257, 3, 16), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 122)]
    tags += [(277, 3, 1), (278, 3, 16), (279, 4, 512)]
    data = b"MM\0*" + (8).to_bytes(4, "big") + len(tags).to_bytes(2, "big")
    for tag, kind, value in tags:
        size = {3: 2, 4: 4}[kind]
        data += tag.to_bytes(2, "big") + kind.to_bytes(2, "big") + (1).to_bytes(4, "big")
        data += value.to_bytes(size, "big").ljust(4, b"\0")
    data += bytes(4)
    assert len(data) == 122
    return data + (LEVELS.astype(">u2") * 257).tobytes()


def twelve_bit_tiff():
    """Mode I;16 as well, of values to 4095."""
    values = LEVELS.astype(np.uint16).ravel() * 16 + (LEVELS.ravel() >> 4)
    pairs = values.reshape(-1, 2).astype(int)
    packed = b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in pairs.tolist())
    tags = [(256, 3, 16), (257, 3, 16), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 122)]
    tags += [(277, 3, 1), (278, 3, 16), (279, 4, len(packed))]
    data = b"II*\0" + (8).to_bytes(4, "little") + len(tags).to_bytes(2, "little")
    for tag, kind, value in tags:
        data += tag.to_bytes(2, "little") + kind.to_bytes(2, "little") + (1).to_bytes(4, "little")
        data += value.to_bytes(4, "little")
    return data + bytes(4) + packed


@pytest.mark.parametrize(
    ("mode", "data"),
    [
        ("I;16", saved(deep(), "PNG")),
        ("I;16", saved(deep(), "TIFF")),
        ("I;16", saved(deep(), "JPEG2000")),
        ("I;16B", big_endian_tiff()),
        ("I;16", twelve_bit_tiff()),
        ("I", saved(deep(), "PPM")),
    ],
    ids=["png", "tiff", "jp2", "big-endian", "twelve", "pgm"],
)
def test_gray_of_more_bits_is_that_of_eight(mode, data):
    assert opened(data).mode == mode
    np.testing.assert_array_equal(gray(data), LEVELS)
    np.testing.assert_array_equal(WHOLE.decode(data)[..., 1], LEVELS)


def test_gray_is_read_as_colour_of_as_many_bits_is():
    """Pillow has no 16-bit colour of its own, and keeps the high bytes of a file's."""
    import struct
    import zlib

    values = np.random.default_rng(3).integers(0, 65536, (9, 7), dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").repeat(3).tobytes() for row in values)

    def chunk(name, data):
        check = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 7, 9, 16, 2, 0, 0, 0))
    tail = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    colour = b"\x89PNG\r\n\x1a\n" + head + tail
    assert opened(colour).mode == "RGB"
    np.testing.assert_array_equal(gray(saved(Image.fromarray(values), "PNG")), gray(colour))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_numbers_of_no_known_range_are_refused(mode):
    data = saved(Image.fromarray(LEVELS).convert(mode), "TIFF")
    assert opened(data).mode == mode
    for read in (WHOLE.decode, lambda data: WHOLE(opened(data))):
        with pytest.raises(ValueError, match="range is not known; save it with 8 or 16") as caught:
            read(data)
        assert "\n" not in str(caught.value)


def test_training_sees_the_same_pixels():
    image = opened(saved(deep(), "PNG"))
    np.testing.assert_array_equal(transform_of(WHOLE, "none")(image)[..., 0], LEVELS)
    pixels = TrainTransform(WHOLE, "light")(image)
    assert 20 < np.median(pixels) < 235  # of white alone it is 255


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_modes_of_eight_bits_are_left_to_pillow(mode):
    colour = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8))
    image = colour.convert(mode)
    assert to_rgb(image).tobytes() == image.convert("RGB").tobytes()


TURNED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].T,
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("kind", ["gray", "deep"])
def test_a_turned_image_is_put_upright(orientation, kind):
    """The pixels are those of a camera that was held so, and the EXIF says how."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(TURNED[orientation](LEVELS))
    image = Image.fromarray(stored.astype(np.uint16) * 257 if kind == "deep" else stored)
    data = saved(image, "PNG", exif=exif.tobytes())
    np.testing.assert_array_equal(WHOLE.decode(data, upright=True)[..., 0], LEVELS)
    np.testing.assert_array_equal(WHOLE.decode(data, "fast", upright=True)[..., 0], LEVELS)
    np.testing.assert_array_equal(WHOLE.decode(data)[..., 0], stored)


def test_damaged_exif_is_no_reason_to_leave_a_image_out():
    data = saved(Image.fromarray(LEVELS), "PNG", exif=b"Exif\0\0no TIFF header")
    assert upright(opened(data)).tobytes() == LEVELS.tobytes()
    np.testing.assert_array_equal(WHOLE.decode(data, upright=True)[..., 2], LEVELS)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_turned_photographs_of_the_fast_decoder_are_pillows(interpolation):
    exif = Image.Exif()
    exif[0x0112] = 6
    noise = np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    data = saved(Image.fromarray(noise), "JPEG", exif=exif.tobytes())
    ours = Preprocessing.from_settings(32, 1.0, interpolation)
    turned = ours.to_pixels(opened(data).transpose(Image.Transpose.ROTATE_270))
    np.testing.assert_array_equal(ours.decode(data, "fast", upright=True), turned)
