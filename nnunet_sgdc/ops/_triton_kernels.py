"""The Triton kernels of the dynamic convolution; only `_triton` imports them, where Triton is installed.

A program sums over a tile of rows times pixels, and reads once for all rows what they share. In `gather` rows are
channels of a head and share the weights of every tap; in `correlate` rows are taps and share the gradient of every
channel. Tensors are contiguous, and heads are counted through all images.
"""

# Triton has no types, its kernels take no annotations but constexpr, and it writes constants in capitals.
# mypy: disable-error-code="import-not-found, import-untyped, no-untyped-call, no-untyped-def, untyped-decorator"
# ruff: noqa: N803

import triton
import triton.language as tl

# Compiled once for all sizes. Triton would compile again for multiples of 16, read four pixels at a time, and pass the
# tile through shared memory at every tap, since shifted pixels are not aligned.
SIZES = ("channels", "height", "width")


@triton.jit(do_not_specialize=SIZES)
def gather(
    source,
    kernels,
    result,
    channels,
    height,
    width,
    SIZE: tl.constexpr,
    ROWS: tl.constexpr,
    PIXELS: tl.constexpr,
    TRANSPOSED: tl.constexpr,
):
    """Sum over taps of a neighbour times a weight: that of the pixel or, transposed, that of the neighbour."""
    plane, taps = height * width, SIZE * SIZE
    head, channel, pixel = _tile(channels, plane, ROWS, PIXELS)
    channel_map = (head * channels + channel) * plane
    total = _zeros(result, ROWS, PIXELS)
    for tap in range(taps):
        neighbour, inside = _neighbour(tap, pixel, height, width, SIZE)
        values = tl.load(source + channel_map + neighbour, inside & (channel < channels), 0)
        if TRANSPOSED:
            # Seen from its neighbour at offset o, a pixel lies at -o: the tap counted from the end.
            weight = tl.load(kernels + (head * taps + taps - 1 - tap) * plane + neighbour, inside, 0)
        else:
            weight = tl.load(kernels + (head * taps + tap) * plane + pixel, pixel < plane, 0)
        total += values.to(total.dtype) * weight.to(total.dtype)
    tl.store(result + channel_map + pixel, total, (channel < channels) & (pixel < plane))


@triton.jit(do_not_specialize=SIZES)
def correlate(
    x,
    grad,
    result,
    channels,
    height,
    width,
    SIZE: tl.constexpr,
    ROWS: tl.constexpr,
    PIXELS: tl.constexpr,
):
    """Sum over the channels of a head of a neighbour times the gradient of the pixel."""
    plane, taps = height * width, SIZE * SIZE
    head, tap, pixel = _tile(taps, plane, ROWS, PIXELS)
    neighbour, inside = _neighbour(tap, pixel, height, width, SIZE)
    total = _zeros(result, ROWS, PIXELS)
    for channel in range(channels):
        channel_map = (head * channels + channel) * plane
        values = tl.load(x + channel_map + neighbour, inside & (tap < taps), 0)
        factor = tl.load(grad + channel_map + pixel, pixel < plane, 0)
        total += values.to(total.dtype) * factor.to(total.dtype)
    tl.store(result + (head * taps + tap) * plane + pixel, total, (tap < taps) & (pixel < plane))


@triton.jit
def _tile(rows, plane, ROWS: tl.constexpr, PIXELS: tl.constexpr):
    """Head, rows and pixels of this program; programs that read the same things follow one another."""
    program = tl.program_id(0)
    row_tiles, pixel_tiles = tl.cdiv(rows, ROWS), tl.cdiv(plane, PIXELS)
    row = program % row_tiles * ROWS + tl.arange(0, ROWS)
    pixel = program // row_tiles % pixel_tiles * PIXELS + tl.arange(0, PIXELS)
    # Offsets are computed from it: in 64 bits, for a tensor may hold more than 2**31 elements.
    head = (program // (row_tiles * pixel_tiles)).to(tl.int64)
    return head, row[:, None], pixel[None, :]


@triton.jit
def _neighbour(tap, pixel, height, width, SIZE: tl.constexpr):
    """Where the neighbour of a pixel lies, and whether that is inside the map."""
    down, right = tap // SIZE - SIZE // 2, tap % SIZE - SIZE // 2
    row, column = pixel // width + down, pixel % width + right
    return pixel + down * width + right, (row >= 0) & (row < height) & (column >= 0) & (column < width)


@triton.jit
def _zeros(result, ROWS: tl.constexpr, PIXELS: tl.constexpr):
    """A tile of sums, in at least float32."""
    return tl.zeros((ROWS, PIXELS), tl.float64 if result.dtype.element_ty == tl.float64 else tl.float32)
