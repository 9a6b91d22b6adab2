import struct
import warnings
from unittest.mock import Mock

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from rosbags.image.image import convert_color
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from test.support.examples import examples
from textregion_ros.core.camera import Intrinsics
from textregion_ros.core.depth import FARTHEST, NEAREST
from textregion_ros.core.errors import BadImage
from textregion_ros.node.conversions import images
from textregion_ros.node.conversions.converter import converter
from textregion_ros.node.conversions.depth import (
    depth_message,
    info_message,
    intrinsics_of,
    metres_of,
)
from textregion_ros.node.conversions.encodings import COLOURS, DEPTHS
from textregion_ros.node.conversions.images import to_message, to_rgb

# What each encoding's channels are, of red, green, blue, alpha.
ORDER = {
    "rgb8": [0, 1, 2],
    "bgr8": [2, 1, 0],
    "rgba8": [0, 1, 2, 3],
    "bgra8": [2, 1, 0, 3],
    "8UC3": [2, 1, 0],
    "8UC4": [2, 1, 0, 3],
}
WIDE_ORDER = {
    "rgb16": [0, 1, 2],
    "bgr16": [2, 1, 0],
    "rgba16": [0, 1, 2, 3],
    "bgra16": [2, 1, 0, 3],
    "16UC3": [2, 1, 0],
    "16UC4": [2, 1, 0, 3],
}
GREY = ["mono8", "8UC1"]
YUV = {"yuv422": "uyvy", "uyvy": "uyvy", "yuv422_yuy2": "yuyv", "yuyv": "yuyv"}
BAYER = [
    f"bayer_{pattern}{bits}" for pattern in ("rggb", "bggr", "gbrg", "grbg") for bits in (8, 16)
]
SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))
PICTURES = SIZES.flatmap(lambda size: arrays.arrays(np.uint8, (*size, 4)))
WIDE = SIZES.flatmap(lambda size: arrays.arrays(np.uint16, (*size, 4)))
PADDING, BIG = st.integers(0, 5), st.booleans()
few = examples(20)  # for each of many encodings


CONVERTERS = {"rosbags-image": convert_color}
if converter() is not convert_color:  # which has tried cv_bridge in a process of its own
    CONVERTERS["cv_bridge"] = converter()


@pytest.fixture(autouse=True, scope="module", params=CONVERTERS)
def chosen(request):
    """Run every test with each converter that is there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "converter", lambda: CONVERTERS[request.param])
        yield CONVERTERS[request.param]


def message_of(pixels, encoding, padding=0, big=False):
    """An Image of H×W×C pixels whose rows end in `padding` bytes of 77."""
    height, width = pixels.shape[:2]
    stored = np.ascontiguousarray(pixels).astype(pixels.dtype.newbyteorder(">" if big else "<"))
    content = np.frombuffer(stored.tobytes(), np.uint8).reshape(height, -1)
    rows = np.full((height, content.shape[1] + padding), 77, np.uint8)
    rows[:, : content.shape[1]] = content
    return Image(
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=big,
        step=rows.shape[1],
        data=rows.tobytes(),
    )


def compressed(picture, kind, image_format, *parameters):
    """A CompressedImage of what OpenCV makes of a picture in its own channel order."""
    done, data = cv2.imencode(kind, picture, list(parameters))
    assert done
    return CompressedImage(format=image_format, data=data.tobytes())


def eight_bits(wide):
    """16-bit values scaled by 255/65535 and rounded, in exact arithmetic."""
    return ((wide.astype(np.int64) * 2 * 255 + 65535) // (2 * 65535)).astype(np.uint8)


# Plain colours


@pytest.mark.parametrize("encoding", ORDER)
@few
@given(picture=PICTURES, padding=PADDING, big=BIG)
def test_colour_of_any_encoding_and_step_is_read(encoding, picture, padding, big):
    rgb = to_rgb(message_of(picture[..., ORDER[encoding]], encoding, padding, big))
    assert rgb.dtype == np.uint8
    np.testing.assert_array_equal(rgb, picture[..., :3])


@pytest.mark.parametrize("encoding", WIDE_ORDER)
@few
@given(picture=WIDE, padding=PADDING, big=BIG)
def test_colour_of_16_bits_is_scaled_in_either_byte_order(encoding, picture, padding, big):
    rgb = to_rgb(message_of(picture[..., WIDE_ORDER[encoding]], encoding, padding, big))
    np.testing.assert_array_equal(rgb, eight_bits(picture[..., :3]))


@pytest.mark.parametrize("encoding", GREY)
@few
@given(picture=PICTURES, padding=PADDING)
def test_mono_is_read_as_grey(encoding, picture, padding):
    rgb = to_rgb(message_of(picture[..., 0], encoding, padding))
    np.testing.assert_array_equal(rgb, picture[..., [0, 0, 0]])


@pytest.mark.parametrize("big", [False, True])
def test_every_value_of_mono16_is_scaled(big):
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    rgb = to_rgb(message_of(values, "mono16", big=big))
    np.testing.assert_array_equal(rgb, eight_bits(values)[..., None].repeat(3, axis=2))
    assert rgb.min() == 0
    assert rgb.max() == 255


# Colours that share their samples between pixels


def rgb_of(y, u, v):
    """BT.601 with limited range, as video4linux and OpenCV define it, in floating point."""
    y, u, v = 1.164 * (np.maximum(y, 16.0) - 16), u - 128.0, v - 128.0
    rgb = np.stack([y + 1.596 * v, y - 0.813 * v - 0.391 * u, y + 2.018 * u], axis=-1)
    return np.clip(rgb, 0, 255)


@pytest.mark.parametrize("encoding", YUV)
@few
@given(data=st.data(), padding=PADDING)
def test_yuv_pairs_share_their_colour(encoding, data, padding):
    height, pairs = data.draw(SIZES)
    y0, u, y1, v = data.draw(arrays.arrays(np.uint8, (4, height, pairs)))
    order = {"uyvy": (u, y0, v, y1), "yuyv": (y0, u, y1, v)}[YUV[encoding]]
    pixels = np.stack(order, axis=-1).reshape(height, 2 * pairs, 2)
    rgb = to_rgb(message_of(pixels, encoding, padding))
    np.testing.assert_allclose(rgb[:, 0::2], rgb_of(y0, u, v), atol=1.5)
    np.testing.assert_allclose(rgb[:, 1::2], rgb_of(y1, u, v), atol=1.5)


@pytest.mark.parametrize("encoding", YUV)
def test_an_odd_width_of_pairs_is_refused(encoding):
    with pytest.raises(BadImage, match=f"3 px wide, but in {encoding} pixels come in pairs"):
        to_rgb(message_of(np.zeros((2, 3, 2), np.uint8), encoding))


def mosaic_of(picture, encoding):
    """What a sensor with the filter pattern of the encoding sees of an H×W×3 picture."""
    pattern = encoding.removeprefix("bayer_")[:4]
    mosaic = np.empty(picture.shape[:2], picture.dtype)
    for place, colour in enumerate(pattern):
        cell = (slice(place // 2, None, 2), slice(place % 2, None, 2))
        mosaic[cell] = picture[..., "rgb".index(colour)][cell]
    return mosaic


def depth_of(encoding):
    return np.dtype(COLOURS[encoding].dtype)


@pytest.mark.parametrize("encoding", BAYER)
@few
@given(data=st.data(), padding=PADDING, big=BIG)
def test_one_colour_through_any_filter_pattern_is_that_colour(encoding, data, padding, big):
    size = data.draw(st.tuples(st.integers(3, 9), st.integers(3, 9)))
    colour = data.draw(arrays.arrays(depth_of(encoding), 3))
    picture = np.broadcast_to(colour, (*size, 3))
    rgb = to_rgb(message_of(mosaic_of(picture, encoding), encoding, padding, big))
    expected = picture if colour.dtype == np.uint8 else eight_bits(picture)
    np.testing.assert_array_equal(rgb, expected)


@pytest.mark.parametrize("encoding", BAYER)
def test_a_mosaic_keeps_what_its_sensor_saw(encoding):
    picture = np.random.default_rng(3).integers(0, 256, (12, 14, 3)).astype(depth_of(encoding))
    if picture.dtype == np.uint16:
        picture *= 257
    mosaic = mosaic_of(picture, encoding)
    rgb = to_rgb(message_of(mosaic, encoding))
    seen = mosaic_of(rgb, encoding)
    expected = mosaic if mosaic.dtype == np.uint8 else eight_bits(mosaic)
    # The outermost pixels are interpolated from their neighbours.
    np.testing.assert_array_equal(seen[1:-1, 1:-1], expected[1:-1, 1:-1])


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (2, 9), (9, 2)])
def test_a_mosaic_too_small_to_fill_is_refused(size):
    with pytest.raises(BadImage, match="too small to be bayer_rggb8"):
        to_rgb(message_of(np.zeros(size, np.uint8), "bayer_rggb8"))


# Both converters


@pytest.mark.parametrize("encoding", COLOURS)
def test_converters_agree_to_the_bit(encoding, chosen):
    layout = COLOURS[encoding]
    limits = np.iinfo(layout.dtype)
    shape = (64, 96, layout.channels) if layout.channels > 1 else (64, 96)
    pixels = np.random.default_rng(7).integers(0, limits.max + 1, shape, layout.dtype)
    bits = 8 * pixels.itemsize
    if layout.name == f"rgb{bits}":
        return
    expected = convert_color(pixels, layout.name, f"rgb{bits}")
    np.testing.assert_array_equal(chosen(pixels, layout.name, f"rgb{bits}"), expected)
    if bits == 16:
        expected = eight_bits(expected)
    np.testing.assert_array_equal(to_rgb(message_of(pixels, encoding, 3, big=True)), expected)


# Compressed pictures


@few
@given(picture=PICTURES, kind=st.sampled_from(["png", "bgr8; png compressed bgr8", ""]))
def test_png_is_read_without_loss(picture, kind):
    message = compressed(picture[..., [2, 1, 0]], ".png", kind)
    np.testing.assert_array_equal(to_rgb(message), picture[..., :3])


@few
@given(picture=PICTURES)
def test_transparency_is_left_out(picture):
    message = compressed(picture[..., [2, 1, 0, 3]], ".png", "png")
    np.testing.assert_array_equal(to_rgb(message), picture[..., :3])


@few
@given(picture=WIDE)
def test_png_of_16_bits_is_scaled(picture):
    message = compressed(picture[..., [2, 1, 0]], ".png", "rgb16; png compressed bgr16")
    np.testing.assert_array_equal(to_rgb(message), eight_bits(picture[..., :3]))


@few
@given(picture=PICTURES)
def test_grey_png_is_grey(picture):
    message = compressed(picture[..., 0], ".png", "mono8; png compressed ")
    np.testing.assert_array_equal(to_rgb(message), picture[..., [0, 0, 0]])


@pytest.mark.parametrize("kind", ["jpeg", "jpg", "rgb8; jpeg compressed bgr8"])
def test_jpeg_is_read_in_the_right_channel_order(kind):
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:, :16], picture[:, 16:32], picture[:, 32:] = (220, 40, 10), (20, 200, 40), (0, 10, 250)
    rgb = to_rgb(compressed(picture[..., ::-1], ".jpg", kind, cv2.IMWRITE_JPEG_QUALITY, 95))
    assert rgb.dtype == np.uint8
    np.testing.assert_allclose(rgb[:, [8, 24, 40]].astype(int), picture[:, [8, 24, 40]], atol=12)


def test_a_picture_is_not_turned_by_its_exif():
    picture = np.zeros((16, 32, 3), np.uint8)
    data = compressed(picture, ".jpg", "jpeg").data.tobytes()
    turned = struct.pack(">2sHI H HHII I", b"MM", 42, 8, 1, 0x0112, 3, 1, 6 << 16, 0)
    block = b"Exif\0\0" + turned
    header = b"\xff\xd8\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    with_exif = header + data[2:]
    assert cv2.imdecode(np.frombuffer(with_exif, np.uint8), cv2.IMREAD_COLOR).shape == (32, 16, 3)
    assert to_rgb(CompressedImage(format="jpeg", data=with_exif)).shape == picture.shape


@pytest.mark.parametrize("encoding", BAYER)
def test_a_mosaic_that_was_compressed_as_one_is_filled(encoding):
    colour = np.array([200, 90, 30]).astype(depth_of(encoding))
    picture = np.broadcast_to(colour, (8, 10, 3))
    message = compressed(mosaic_of(picture, encoding), ".png", f"{encoding}; png compressed ")
    expected = picture if colour.dtype == np.uint8 else eight_bits(picture)
    np.testing.assert_array_equal(to_rgb(message), expected)
    filled = compressed(picture[..., ::-1].copy(), ".png", f"{encoding}; png compressed bgr8")
    np.testing.assert_array_equal(to_rgb(filled), expected)


@few
@given(data=st.data(), kind=st.sampled_from([".png", ".jpg"]))
def test_pictures_cut_short_are_refused(data, kind):
    picture = np.random.default_rng(1).integers(0, 256, (24, 32, 3), np.uint8)
    message = compressed(picture, kind, f"bgr8; {kind[1:]} compressed bgr8")
    whole = message.data.tobytes()
    message.data = whole[: data.draw(st.integers(0, len(whole) - 3))]
    with pytest.raises(BadImage, match=r"bytes of the compressed image .* cannot be decoded"):
        to_rgb(message)


@few
@given(content=st.binary(max_size=200), kind=st.sampled_from(["jpeg", "png", "h264", ""]))
def test_what_is_no_picture_is_refused(content, kind):
    message = CompressedImage(format=kind, data=content)
    for convert in (to_rgb, metres_of):
        with pytest.raises(BadImage, match=f'format "{kind}".* cannot be decoded'):
            convert(message)


def test_a_compressed_picture_of_reals_is_refused():
    message = compressed(np.ones((4, 4), np.float32), ".tiff", "tiff")
    # Which of the two depends on OpenCV's version.
    with pytest.raises(BadImage, match=r"of float32 .* has no colours|cannot be decoded"):
        to_rgb(message)


# Refusals


@pytest.mark.parametrize(
    "encoding", ["nv21", "nv24", "8SC3", "64FC1", "16UC1", "32FC1", "", "RGB8"]
)
def test_another_encoding_is_refused_by_its_name(encoding):
    message = message_of(np.zeros((2, 2, 3), np.uint8), encoding)
    with pytest.raises(BadImage, match=f'"{encoding}" is not supported for a colour .*bgr8'):
        to_rgb(message)


@pytest.mark.parametrize("encoding", ["rgb8", "mono8", "8UC1", "64FC1", ""])
def test_depth_of_another_encoding_is_refused_by_its_name(encoding):
    message = message_of(np.zeros((2, 2, 3), np.uint8), encoding)
    with pytest.raises(BadImage, match=f'"{encoding}" is not supported for a depth .*16UC1'):
        metres_of(message)


@pytest.mark.parametrize("encoding", [*COLOURS, "16UC1", "32FC1"])
@pytest.mark.parametrize("size", [(0, 4), (4, 0), (0, 0)])
def test_an_image_without_pixels_is_refused(encoding, size):
    convert = to_rgb if encoding in COLOURS else metres_of
    message = Image(height=size[0], width=size[1], encoding=encoding, step=32)
    with pytest.raises(BadImage, match="no pixel"):
        convert(message)


@few
@given(picture=PICTURES, change=st.integers(-4, 4).filter(bool))
def test_step_and_data_that_disagree_are_refused(picture, change):
    message = message_of(picture, "rgba8", padding=4)
    message.step += change
    with pytest.raises(BadImage, match="is not the data's length"):
        to_rgb(message)


@pytest.mark.parametrize("encoding", [*COLOURS, *DEPTHS])
def test_a_step_too_short_for_a_row_is_refused(encoding):
    convert = to_rgb if encoding in COLOURS else metres_of
    layout = (COLOURS if encoding in COLOURS else DEPTHS)[encoding]
    row = 4 * layout.channels * np.dtype(layout.dtype).itemsize
    message = Image(height=4, width=4, encoding=encoding, step=row - 1, data=bytes(4 * (row - 1)))
    with pytest.raises(BadImage, match=f"a row of 4 px in {encoding} takes {row}"):
        convert(message)


# Depth


def assert_metres(read, expected):
    """What no camera measures is missing, and NaN."""
    assert read.dtype == np.dtype("float32")
    missing = ~((expected >= NEAREST) & (expected <= FARTHEST))
    np.testing.assert_allclose(read, np.where(missing, np.nan, expected), rtol=1e-6)


@pytest.mark.parametrize("encoding", ["16UC1", "mono16"])
@few
@given(depth=SIZES.flatmap(lambda size: arrays.arrays(np.uint16, size)), padding=PADDING, big=BIG)
def test_depth_in_millimetres_is_read(encoding, depth, padding, big):
    assert_metres(metres_of(message_of(depth, encoding, padding, big)), depth / 1000)


@few
@given(depth=SIZES.flatmap(lambda size: arrays.arrays(np.float32, size)), padding=PADDING, big=BIG)
def test_depth_in_metres_is_read(depth, padding, big):
    assert_metres(metres_of(message_of(depth, "32FC1", padding, big)), depth)


@pytest.mark.parametrize("kind", ["16UC1; png compressed ", "png", "16UC1; compressedDepth png"])
def test_compressed_depth_in_millimetres_is_read(kind):
    depth = np.random.default_rng(2).integers(0, 65536, (20, 30), np.uint16)
    message = compressed(depth, ".png", kind)
    if "compressedDepth" in kind:
        message.data = struct.pack("<iff", 0, 0.0, 0.0) + message.data.tobytes()
    assert_metres(metres_of(message), depth / 1000)


@pytest.mark.parametrize("kind", ["32FC1; compressedDepth", "32FC1; compressedDepth png"])
def test_compressed_depth_in_metres_is_read(kind):
    # As image_transport stores it: a / depth + b, rounded, with 0 for what is missing.
    depth = np.random.default_rng(2).uniform(0.3, 4.0, (20, 30)).astype(np.float32)
    depth[3:5, 7:9] = np.nan
    nearest, quantum = 0.2, 100.0
    a, b = quantum * (quantum + 1), 1 - quantum * (quantum + 1) / 10.0
    stored = np.where(np.isnan(depth), 0, np.round(a / np.fmax(depth, nearest) + b))
    message = compressed(stored.astype(np.uint16), ".png", kind)
    message.data = struct.pack("<iff", 0, a, b) + message.data.tobytes()
    read = metres_of(message)
    assert read.dtype == np.dtype("float32")
    np.testing.assert_array_equal(np.isnan(read), np.isnan(depth))
    np.testing.assert_allclose(read, depth, rtol=depth[~np.isnan(depth)].max() / (2 * a) + 1e-4)


@pytest.mark.parametrize("length", [0, 5, 12])
def test_compressed_depth_cut_short_is_refused(length):
    message = CompressedImage(format="16UC1; compressedDepth png", data=bytes(length))
    with pytest.raises(BadImage, match="cut short"):
        metres_of(message)


def test_compressed_depth_of_another_kind_is_refused():
    message = CompressedImage(format="16UC1; compressedDepth rvl", data=bytes(40))
    with pytest.raises(BadImage, match='"16UC1; compressedDepth rvl" is not supported'):
        metres_of(message)
    with pytest.raises(BadImage, match=r"uint8 .* is no depth image"):
        metres_of(compressed(np.zeros((4, 4, 3), np.uint8), ".jpg", "jpeg"))


# Pictures that are too large


def bomb(size, kind):
    """A flat picture of H×W, a few kB for many pixels."""
    return compressed(np.zeros(size, np.uint16 if kind == ".png" else np.uint8), kind, kind[1:])


@pytest.mark.parametrize("kind", [".png", ".jpg", ".tiff"])
@pytest.mark.parametrize("convert", [to_rgb, metres_of])
def test_a_picture_is_refused_by_its_header_before_it_is_decoded(kind, convert, monkeypatch):
    message = bomb((300, 400), kind)
    decode = Mock(side_effect=cv2.imdecode)
    monkeypatch.setattr(cv2, "imdecode", decode)
    with pytest.raises(BadImage, match=r"400×300 px, 120000 in all; at most 119999 are taken"):
        convert(message, 119_999)
    assert not decode.called
    if convert is to_rgb or kind == ".png":  # the others are no depth images
        assert convert(message, 120_000).shape[:2] == (300, 400)
        assert decode.called


def test_a_small_file_that_unpacks_to_many_pixels_costs_no_memory():
    """Fault 8: a PNG of 105 kB that unpacks to 36 Mpx; also where Pillow itself would complain."""
    message = bomb((20_000, 20_000), ".png")
    assert len(message.data) < 1 << 20
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BadImage, match="20000×20000 px"):
            to_rgb(message, 10_000_000)


@pytest.mark.parametrize(("convert", "encoding"), [(to_rgb, "mono8"), (metres_of, "32FC1")])
def test_pictures_that_are_not_compressed_are_bounded_too(convert, encoding):
    pixels = np.ones((3, 4), np.uint8 if encoding == "mono8" else np.float32)
    message = message_of(pixels, encoding)
    assert convert(message, 12).shape[:2] == (3, 4)
    with pytest.raises(BadImage, match="4×3 px, 12 in all; at most 11 are taken"):
        convert(message, 11)


@pytest.mark.parametrize("convert", [to_rgb, metres_of])
@pytest.mark.parametrize("kind", [Image, CompressedImage])
def test_what_a_sender_calls_its_picture_cannot_forge_a_log(convert, kind):
    """Fault 28: names from outside are escaped and cut wherever they go into an error."""
    name = "\x1b[31mred\nERROR forged line" + 1000 * "x"
    message = Image(encoding=name) if kind is Image else CompressedImage(format=name, data=b"none")
    with pytest.raises(BadImage) as raised:
        convert(message)
    sentence = str(raised.value)
    assert sentence.isprintable()
    assert "\\x1b[31mred\\nERROR" in sentence
    assert len(sentence) < 600


# To messages


@few
@given(picture=PICTURES)
def test_a_picture_comes_back_from_its_message(picture):
    header = Header(frame_id="camera")
    message = to_message(picture[..., :3], header)
    assert (message.encoding, message.step) == ("rgb8", 3 * picture.shape[1])
    assert message.header == header
    np.testing.assert_array_equal(to_rgb(message), picture[..., :3])


@few
@given(picture=PICTURES)
def test_a_mask_becomes_a_mono_message(picture):
    mask = picture[..., 0]
    message = to_message(mask, Header())
    assert (message.encoding, message.step) == ("mono8", mask.shape[1])
    assert bytes(message.data) == mask.tobytes()


@pytest.mark.parametrize(
    ("kind", "encoding"), [("uint16", "16UC1"), ("float32", "32FC1"), ("float64", "32FC1")]
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_depth_comes_back_from_its_message(kind, encoding, order):
    depth = np.array([[0, 1, 2], [3, 4, 5]], kind, order=order)
    message = depth_message(depth, Header())
    assert (message.encoding, message.height, message.width) == (encoding, 2, 3)
    assert_metres(metres_of(message), depth / 1000 if kind == "uint16" else depth)


# Intrinsics


def test_a_rectified_image_has_the_intrinsics_of_p():
    k = [2.0, 0.0, 1.0, 0.0, 2.0, 0.5, 0.0, 0.0, 1.0]
    p = [4.0, 0.0, 1.5, 0.0, 0.0, 5.0, 0.5, 0.0, 0.0, 0.0, 1.0, 0.0]
    info = CameraInfo(width=3, height=2, k=k)
    assert intrinsics_of(info) == Intrinsics(2.0, 2.0, 1.0, 0.5, 3, 2)
    info.p = p
    assert intrinsics_of(info) == Intrinsics(4.0, 5.0, 1.5, 0.5, 3, 2)


@pytest.mark.parametrize("focal", [0.0, -1.0, np.nan, np.inf])
def test_a_camera_that_is_not_calibrated_is_refused(focal):
    k = [focal, 0.0, 1.0, 0.0, 2.0, 0.5, 0.0, 0.0, 1.0]
    with pytest.raises(BadImage, match="not that of a calibrated camera"):
        intrinsics_of(CameraInfo(width=3, height=2, k=k))


def test_intrinsics_come_back_from_their_message():
    camera = Intrinsics(500.0, 510.0, 320.5, 240.5, 640, 480)
    assert intrinsics_of(info_message(camera, Header())) == camera
