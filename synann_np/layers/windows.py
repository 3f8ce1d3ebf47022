"""Where pooling windows lie: how many there are, which pixels they see."""

from typing import Any


def window_count(
    size: int, kernel_size: int, stride: int, padding: int, dilation: int = 1, ceil_mode: bool = False
) -> int:
    """Number of windows along an axis of `size` pixels with `padding` more on both sides, as PyTorch counts them.

    ⌊(size + 2 padding − extent) / stride⌋ + 1, where a window reaches over extent = dilation (kernel_size − 1) + 1
    pixels. With ceil_mode the quotient is rounded up, so that the last window may reach beyond the padding, but it
    begins inside the image or the padding before it. 0 or less: not one fits.
    """
    room = size + 2 * padding - dilation * (kernel_size - 1) - 1
    count = (-(-room // stride) if ceil_mode else room // stride) + 1
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1
    return count


def border(size: int, count: int, kernel_size: int, stride: int, padding: int, dilation: int = 1) -> tuple[int, int]:
    """Pixels to add before and after an axis, so that all `count` windows are whole."""
    end = (count - 1) * stride + dilation * (kernel_size - 1) + 1
    return padding, max(end - size - padding, 0)


def pixels_of_windows(
    counts: tuple[int, ...], kernel_size: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int] = (1, 1)
) -> Any:
    """Slices that pick pixel (i, j) of every window out of padded images (N, C, H, W), row-major in (i, j)."""
    (h, w), (KH, KW), (SH, SW), (DH, DW) = counts, kernel_size, stride, dilation
    return [
        (..., slice(DH * i, DH * i + SH * (h - 1) + 1, SH), slice(DW * j, DW * j + SW * (w - 1) + 1, SW))
        for i in range(KH)
        for j in range(KW)
    ]


def adaptive_windows(size: int, count: int) -> list[slice]:
    """Slices of `count` windows that cover an axis: window k is ⌊k size / count⌋ .. ⌈(k + 1) size / count⌉ − 1."""
    return [slice(k * size // count, -(-(k + 1) * size // count)) for k in range(count)]
