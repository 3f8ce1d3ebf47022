import numpy as np
import pytest

from layers.standard import LayerTests
from synann_np.layers import Conv2d

CASES = {
    "one-row": (lambda **options: Conv2d(2, 3, 2, **options), (1, 2, 4, 5)),
    "sizes-all-different": (lambda **options: Conv2d(3, 2, (2, 3), **options), (4, 3, 5, 6)),
    "one-pixel-kernel": (lambda **options: Conv2d(3, 4, 1, **options), (2, 3, 2, 3)),
    "kernel-as-large-as-the-image": (lambda **options: Conv2d(2, 3, (4, 3), **options), (2, 2, 4, 3)),
    "stride-with-remainder": (lambda **options: Conv2d(1, 2, 2, stride=3, **options), (2, 1, 7, 6)),
    "stride-pair": (lambda **options: Conv2d(2, 1, 3, stride=(2, 1), **options), (2, 2, 6, 5)),
    "padding": (lambda **options: Conv2d(1, 2, 3, padding=1, **options), (2, 1, 3, 4)),
    "padding-pair": (lambda **options: Conv2d(1, 2, 3, padding=(0, 2), **options), (2, 1, 4, 2)),
    "padding-larger-than-the-image": (lambda **options: Conv2d(1, 2, 4, padding=2, **options), (1, 1, 1, 2)),
    "everything-at-once": (
        lambda **options: Conv2d(2, 3, (3, 2), stride=(1, 2), padding=(2, 1), **options),
        (2, 2, 4, 5),
    ),
    "dilation": (lambda **options: Conv2d(2, 3, 3, dilation=2, **options), (2, 2, 6, 7)),
    "dilation-pair-with-stride": (lambda **options: Conv2d(1, 2, 2, 2, dilation=(1, 3), **options), (2, 1, 5, 7)),
    "groups": (lambda **options: Conv2d(4, 6, 2, groups=2, **options), (2, 4, 3, 4)),
    "depthwise": (lambda **options: Conv2d(3, 6, 2, bias=False, groups=3, **options), (2, 3, 3, 4)),
    "same": (lambda **options: Conv2d(2, 3, 3, padding="same", **options), (2, 2, 3, 4)),
    "same-even": (lambda **options: Conv2d(1, 2, (2, 4), padding="same", dilation=(1, 3), **options), (2, 1, 4, 5)),
    "all-options": (
        lambda **options: Conv2d(4, 2, (3, 2), (1, 2), (2, 1), True, (2, 1), 2, **options),
        (2, 4, 4, 5),
    ),
    "without-bias": (lambda **options: Conv2d(1, 2, 2, bias=False, **options), (2, 1, 3, 4)),
}


class TestConv2d(LayerTests):
    cases = CASES

    def formula(self, layer, x, train):
        weight, bias = layer.params["weight"], layer.params.get("bias")
        (N, _, H, W), (F, C, KH, KW) = x.shape, weight.shape
        (SH, SW), (DH, DW) = layer.stride, layer.dilation
        EH, EW = DH * (KH - 1) + 1, DW * (KW - 1) + 1
        if layer.config["padding"] == "same":
            (PH, PW), size = ((EH - 1) // 2, (EW - 1) // 2), (H, W)
        else:
            PH, PW = layer.padding
            size = (H + 2 * PH - EH) // SH + 1, (W + 2 * PW - EW) // SW + 1
        y = np.zeros((N, F, *size))
        for n, f, h, w in np.ndindex(*y.shape):
            first = f // (F // layer.groups) * C  # the channel that the group begins with
            for c, i, j in np.ndindex(C, KH, KW):
                row, column = SH * h + DH * i - PH, SW * w + DW * j - PW
                if 0 <= row < H and 0 <= column < W:  # the border is zero
                    y[n, f, h, w] += weight[f, c, i, j] * x[n, first + c, row, column]
            if bias is not None:
                y[n, f, h, w] += bias[f]
        return y


def test_weight_is_out_in_height_width_and_bias_is_out():
    params = Conv2d(2, 3, (5, 4)).params
    assert {name: p.shape for name, p in params.items()} == {"weight": (3, 2, 5, 4), "bias": (3,)}


def test_without_bias_there_is_no_parameter_of_that_name():
    assert Conv2d(1, 2, 3, bias=False).params.keys() == {"weight"}


def test_weight_and_bias_start_within_one_over_root_of_the_pixels_of_a_patch():
    params = Conv2d(4, 500, 5, rng=np.random.default_rng(5)).params
    for p in params.values():
        assert 0.099 < np.abs(p).max() <= 0.1


def test_the_output_keeps_the_batch_innermost_in_memory():
    y, _ = Conv2d(1, 2, 3).forward(np.zeros((7, 1, 5, 6), "float32"))
    assert y.transpose(1, 2, 3, 0).flags.c_contiguous


@pytest.mark.parametrize("shape", [(2, 1, 5, 5), (2, 4, 5, 5), (3, 5, 5), (5, 5), (2, 3, 5, 5, 1)])
def test_a_wrong_number_of_channels_is_refused_not_broadcast(shape):
    with pytest.raises(ValueError, match="expected input"):
        Conv2d(3, 2, 3).forward(np.zeros(shape, "float32"))


@pytest.mark.parametrize("pixels", [(2, 5), (5, 2), (0, 0)])
def test_an_image_smaller_than_the_kernel_is_refused(pixels):
    with pytest.raises(ValueError, match="expected at least 3 by 3 pixels"):
        Conv2d(1, 2, 3).forward(np.zeros((1, 1, *pixels), "float32"))


@pytest.mark.parametrize(("arguments", "groups"), [((3, 4), 2), ((4, 3), 2), ((2, 2), 4)])
def test_channels_that_groups_do_not_divide_are_refused(arguments, groups):
    with pytest.raises(ValueError, match="multiples of groups"):
        Conv2d(*arguments, 3, groups=groups)


def test_same_with_a_stride_is_refused():
    with pytest.raises(ValueError, match="expected stride 1 with padding='same'"):
        Conv2d(1, 1, 3, stride=2, padding="same")


@pytest.mark.parametrize("padding", ["valid", "Same", None, 1.0])
def test_another_word_for_padding_is_refused(padding):
    with pytest.raises((TypeError, ValueError), match="expected padding"):
        Conv2d(1, 1, 3, padding=padding)


def test_weights_of_groups_are_those_of_torch():
    params = Conv2d(4, 6, 3, groups=2, rng=np.random.default_rng(5)).params
    assert params["weight"].shape == (6, 2, 3, 3)
    assert np.abs(params["weight"]).max() <= 1 / np.sqrt(2 * 9)
