"""The hash behind the dropout masks: the same integers for ever, and as good as random."""

import math

import numpy as np
import pytest

from synann_np.counter_random import keep_mask, mix32, random_bits, splitmix64

HOST = np.empty(0)

# (seed, step) -> the first bits. Another value here is another mask in every run that is resumed or repeated.
RECORDED = {
    (5, 0): [0xFD788AF4, 0xFDA02BE3, 0x52B8BED4, 0xC87F5E97, 0x74B38BF3, 0x19357CC1],
    (5, 1): [0x8C4BD1C3, 0x95502F87, 0x7639B16F, 0xF9512AA8, 0x588AC796, 0xB21CD462],
    (2**63 - 1, 2**40): [0x3E39CF2D, 0xE76354F5, 0x4FF8BAF6, 0x52CF9F36, 0x5AF767A7, 0xA6E140B5],
}


def bits_in_plain_integers(element, seed, step):
    """The docstring of random_bits for one element, without an array."""

    def splitmix(z):
        z = (z + 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        return z ^ z >> 31

    def mix(h):
        h = (h ^ h >> 16) * 0x7FEB352D % 2**32
        h = (h ^ h >> 15) * 0x846CA68B % 2**32
        return h ^ h >> 16

    high, low = divmod(splitmix(seed ^ splitmix(step)), 2**32)
    return mix(mix(element ^ low) ^ high)


@pytest.mark.parametrize(("seed", "step"), RECORDED)
def test_the_recorded_bits_never_change(seed, step):
    assert random_bits((6,), seed, step, HOST).tolist() == RECORDED[seed, step]


@pytest.mark.parametrize("seed", [0, 1, 5, 2**32, 2**63 - 1])
@pytest.mark.parametrize("step", [0, 1, 119_999, 2**40])
def test_bits_equal_the_hash_in_plain_integers(seed, step):
    expected = [bits_in_plain_integers(element, seed, step) for element in range(60)]
    assert random_bits((60,), seed, step, HOST).tolist() == expected


def test_splitmix64_gives_the_published_first_outputs():
    assert splitmix64(0) == 0xE220A8397B1DCDAF
    assert splitmix64(1234567) == 6457827717110365317


def test_elements_are_counted_in_row_major_order():
    flat = random_bits((60,), 5, 7, HOST)
    np.testing.assert_array_equal(random_bits((3, 4, 5), 5, 7, HOST), flat.reshape(3, 4, 5))


def test_the_first_elements_do_not_depend_on_how_many_follow():
    np.testing.assert_array_equal(random_bits((10,), 5, 7, HOST), random_bits((1000,), 5, 7, HOST)[:10])


@pytest.mark.parametrize("first", [1, 7, 2**31])
def test_a_part_of_a_larger_array_has_the_bits_of_its_place(first):
    expected = [bits_in_plain_integers(element, 5, 7) for element in range(first, first + 12)]
    assert random_bits((3, 4), 5, 7, HOST, first=first).ravel().tolist() == expected
    np.testing.assert_array_equal(keep_mask((12,), 0.25, 5, 7, HOST, first), np.array(expected) / 2**32 >= 0.25)


def test_bits_are_uint32_whatever_the_array_beside_them():
    for dtype in ("uint8", "float32", "float64"):
        assert random_bits((2, 3), 5, 7, np.empty(0, dtype)).dtype == np.uint32


@pytest.mark.parametrize("shape", [(0,), (2, 0, 3), ()])
def test_empty_and_scalar_shapes_are_kept(shape):
    assert random_bits(shape, 5, 7, HOST).shape == shape


def test_mix32_does_not_modify_its_input():
    h = np.arange(5, dtype="uint32")
    mix32(h)
    np.testing.assert_array_equal(h, np.arange(5))


def test_mix32_maps_no_two_inputs_to_one():
    """A random map of so many inputs would make about 32 pairs collide."""
    assert len(np.unique(mix32(np.arange(2**19, dtype="uint32") * 8191))) == 2**19


def test_every_input_bit_moves_every_output_bit_half_of_the_time(rng):
    n = 20_000
    h = rng.integers(2**32, size=n, dtype="uint32")
    for bit in range(32):
        changed = mix32(h) ^ mix32(h ^ np.uint32(1 << bit))
        rates = bit_matrix(changed).mean(axis=0)
        # Multiplications carry upwards only, and two of them do not make this hash perfect.
        assert np.abs(rates - 0.5).max() < 0.05


@pytest.mark.parametrize("p", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_a_mask_is_true_where_the_bits_reach_p(p):
    bits = random_bits((1000,), 5, 7, HOST)
    np.testing.assert_array_equal(keep_mask((1000,), p, 5, 7, HOST), bits / 2**32 >= p)


def bit_matrix(bits):
    """(n,) uint32 -> (n, 32) of 0 and 1."""
    return (bits[:, None] >> np.arange(32, dtype="uint32")) & 1


def chi_square(values, cells):
    """Σ (observed − expected)² / expected as a number of standard deviations above its mean."""
    observed = np.bincount(values, minlength=cells)
    expected = len(values) / cells
    statistic = ((observed - expected) ** 2 / expected).sum()
    return (statistic - (cells - 1)) / math.sqrt(2 * (cells - 1))


def largest_deviation(bits):
    """The worst of several tests of uniformity of n uint32, in standard deviations."""
    n = len(bits)
    ones = bit_matrix(bits)
    deviations = [
        *np.abs(ones.mean(axis=0) - 0.5) * 2 * math.sqrt(n),  # each bit is set half of the time
        *(abs(chi_square(bits >> shift & 255, 256)) for shift in (0, 8, 16, 24)),  # each byte is uniform
        abs(chi_square((bits[1:] >> 26) * 64 + (bits[:-1] >> 26), 64 * 64)),  # neighbours together are uniform
    ]
    for lag in (1, 2, 20, 64, 100):  # neighbouring elements, rows of 20 channels, 64 units, a batch
        deviations.append(abs(correlation(bits[lag:], bits[:-lag])) * math.sqrt(n - lag))
    return max(deviations)


def correlation(a, b):
    return np.corrcoef(a.astype("float64"), b.astype("float64"))[0, 1]


def first_steps(count=4, n=2**16):
    return [random_bits((n,), 5, step, HOST) for step in range(count)]


@pytest.mark.parametrize("step", [0, 1, 2, 1000])
def test_bits_are_uniform_and_neighbours_independent(step):
    assert largest_deviation(random_bits((2**16,), 5, step, HOST)) < 5


@pytest.mark.parametrize(
    "weak",
    [
        lambda e: e * np.uint32(0x9E3779B9),  # a Weyl sequence: uniform, but neighbours differ by a constant
        lambda e: e ^ (e >> np.uint32(16)),  # no multiplication
        lambda e: mix32(e) | np.uint32(1),  # a stuck bit
        lambda e: mix32(e >> np.uint32(1)),  # neighbours alike
    ],
    ids=["weyl", "shift", "stuck-bit", "pairs"],
)
def test_the_test_of_uniformity_fails_for_weak_hashes(weak):
    assert largest_deviation(weak(np.arange(2**16, dtype="uint32"))) > 50


def test_consecutive_steps_are_independent():
    for before, after in zip(first_steps(), first_steps()[1:], strict=False):
        assert abs(correlation(before, after)) < 5 / math.sqrt(2**16)
        same = bit_matrix(before) == bit_matrix(after)
        assert np.abs(same.mean(axis=0) - 0.5).max() < 5 * 0.5 / math.sqrt(2**16)
        shifted = [abs(correlation(before[lag:], after[:-lag])) for lag in (1, 2, 64)]
        assert max(shifted) < 5 / math.sqrt(2**16 - 64)


def test_consecutive_seeds_are_independent():
    for seed in range(4):
        a, b = (random_bits((2**16,), s, 0, HOST) for s in (seed, seed + 1))
        assert abs(correlation(a, b)) < 5 / math.sqrt(2**16)
        assert np.abs((bit_matrix(a) == bit_matrix(b)).mean(axis=0) - 0.5).max() < 5 * 0.5 / math.sqrt(2**16)


def test_one_element_over_many_steps_is_uniform():
    """What a single unit sees during training."""
    bits = np.array([random_bits((1,), 5, step, HOST)[0] for step in range(4096)])
    assert np.abs(bit_matrix(bits).mean(axis=0) - 0.5).max() < 5 * 0.5 / math.sqrt(4096)
    assert abs(correlation(bits[1:], bits[:-1])) < 5 / math.sqrt(4095)


def test_seed_and_step_are_not_interchangeable():
    assert not np.array_equal(random_bits((10,), 5, 7, HOST), random_bits((10,), 7, 5, HOST))
    assert not np.array_equal(random_bits((10,), 5, 5, HOST), random_bits((10,), 7, 7, HOST))
