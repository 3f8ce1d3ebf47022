"""Augmentation against loops and SciPy; as chance: repeatable, centred, of the strength asked for."""

import math

import numpy as np
import pytest
from scipy import ndimage

import strict_device
from synann_np.data import load_mnist
from synann_np.data.augment import Augment
from synann_np.data.deformation import inverse_affine, sample, smooth_basis

EVERYTHING = {
    "shift": 2.5, "rotate": 12.0, "scale": 0.1, "shear": 0.15, "elastic": 1.5, "smoothness": 4.0, "erase": 5,
}  # fmt: skip
DEFORMED = EVERYTHING | {"erase": 0}
SINGLY = [
    {"shift": 2.0}, {"rotate": 15.0}, {"scale": 0.2}, {"shear": 0.3}, {"elastic": 1.5}, {"erase": 8}, EVERYTHING,
]  # fmt: skip
each_strength = pytest.mark.parametrize("strengths", SINGLY, ids=lambda s: "+".join(s))


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (6, 11, 9), dtype=np.uint8)


@pytest.fixture(scope="module")
def digits():
    return load_mnist()[0][:200]


def pixels(count, height, width):
    """x, y (count, height, width): every pixel's own place."""
    y, x = np.mgrid[:height, :width].astype("float32")
    return np.tile(x, (count, 1, 1)), np.tile(y, (count, 1, 1))


def sample_in_loops(image, x, y):
    """The four neighbours of one place, weighted by the area opposite; outside is 0."""
    left, upper = math.floor(x), math.floor(y)
    total = 0.0
    for row in (upper, upper + 1):
        for column in (left, left + 1):
            if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
                total += (1 - abs(x - column)) * (1 - abs(y - row)) * float(image[row, column])
    return total


# ---- sampling


def test_every_pixel_of_its_own_place_is_the_image_itself(images):
    x, y = pixels(*images.shape)
    np.testing.assert_array_equal(sample(images, x, y), images)


@pytest.mark.parametrize(("down", "right"), [(0, 1), (2, 0), (-3, 2), (1, -4), (11, 0), (0, -40)])
def test_a_shift_by_whole_pixels_moves_the_values_and_fills_with_zeros(images, down, right):
    expected = np.zeros_like(images)
    _, H, W = images.shape
    for row in range(H):
        for column in range(W):
            if 0 <= row - down < H and 0 <= column - right < W:
                expected[:, row, column] = images[:, row - down, column - right]
    x, y = pixels(*images.shape)
    np.testing.assert_array_equal(sample(images, x - right, y - down), expected)


def test_sampling_equals_the_formula_as_loops(images, rng):
    x = rng.uniform(-3, images.shape[2] + 2, (6, 7, 5)).astype("float32")
    y = rng.uniform(-3, images.shape[1] + 2, (6, 7, 5)).astype("float32")
    new = sample(images, x, y)
    assert new.shape == x.shape
    for place in np.ndindex(x.shape):
        expected = sample_in_loops(images[place[0]], float(x[place]), float(y[place]))
        assert abs(new[place] - expected) <= 0.5 + 1e-3, place


def test_white_stays_white_and_far_outside_is_black():
    white = np.full((1, 4, 4), 255, np.uint8)
    x = np.array([[0.1, 0.3, 0.7, 2.9, 3.0, -1e6, 1e6]], "float32")
    np.testing.assert_array_equal(sample(white, x, np.full_like(x, 1.3)), [[255, 255, 255, 255, 255, 0, 0]])


# ---- the affine map


def one(**values):
    """inverse_affine of one picture, as a 2×3 array in float64."""
    column = {name: np.array(values.get(name, 0.0), "float64").reshape(-1, 1) for name in ("angle", "shear")}
    return inverse_affine(
        shift=np.array(values.get("shift", (0, 0)), "float64").reshape(2, 1),
        angle=column["angle"][0], shear=column["shear"][0],
        scale=np.array(values.get("scale", (1, 1)), "float64").reshape(2, 1), shape=(11, 9),
    )[:, 0]  # fmt: skip


def test_the_affine_map_is_the_inverse_of_the_product_of_its_matrices(rng):
    for _ in range(20):
        t, angle, k, s = rng.normal(size=2), rng.uniform(-4, 4), rng.normal(), rng.uniform(0.3, 3, 2)
        R = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        forward = R @ np.array([[1, k], [0, 1]]) @ np.diag(s)
        inverse = np.linalg.inv(forward)
        expected = np.column_stack([np.array([4.0, 5.0]) - inverse @ t, inverse])
        np.testing.assert_allclose(one(shift=t, angle=angle, shear=k, scale=s), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"shift": (2, 1)}, (6, 6)),  # the centre, (4, 5), comes from two left, one up: so (6, 6) comes from (4, 5)
        ({"shift": (2, 1), "angle": 0.7, "shear": 0.3, "scale": (1.2, 0.9)}, (6, 6)),
    ],
)
def test_a_positive_shift_moves_the_centre_right_and_down(values, place):
    source = one(**values) @ [1, place[0] - 4, place[1] - 5]
    np.testing.assert_allclose(source, [4, 5], atol=1e-12)


@pytest.mark.parametrize(
    ("values", "seen_at", "comes_from"),
    [
        ({"angle": math.pi / 2}, (4, 2), (7, 5)),  # three right of the centre goes to three above: anticlockwise
        ({"scale": (2, 1)}, (8, 7), (6, 7)),
        ({"scale": (1, 0.5)}, (6, 6), (6, 7)),
        ({"shear": 0.5}, (5, 7), (4, 7)),
    ],
    ids=["rotation", "wider", "lower", "shear"],
)
def test_signs(values, seen_at, comes_from):
    source = one(**values) @ [1, seen_at[0] - 4, seen_at[1] - 5]
    np.testing.assert_allclose(source, comes_from, atol=1e-12)


@pytest.mark.parametrize("degrees", [-30.0, 10.0, 90.0])
def test_a_rotation_equals_that_of_scipy(digits, degrees):
    image = digits[0]
    angle = np.array([math.radians(degrees)], "float32")
    zero, ones = np.zeros((2, 1), "float32"), np.ones((2, 1), "float32")
    coefficients = inverse_affine(zero, angle, ones, zero[0], image.shape)[:, 0]
    x, y = pixels(1, *image.shape)
    source = [c[0] + c[1] * (x - 13.5) + c[2] * (y - 13.5) for c in coefficients]
    expected = ndimage.rotate(image.astype("float64"), degrees, reshape=False, order=1, mode="grid-constant")
    np.testing.assert_allclose(sample(image[None], *source)[0], expected, rtol=0, atol=0.51)


# ---- the elastic field


def field(augment, images, step=0):
    """u (2, N, H, W) of an Augment that has only an elastic field."""
    basis = augment._basis(images)[3:]
    return (augment._nodes(images, step, 0, len(basis)) @ basis).reshape(2, *images.shape)


def test_the_field_has_the_standard_deviation_asked_for_at_every_pixel_and_no_mean():
    many = np.zeros((4000, 28, 20), np.uint8)
    u = field(Augment(3, elastic=1.7, smoothness=4), many)
    deviation = u.std(axis=1)  # over 4000 pictures: the estimate scatters by 1.7 / √8000 = 0.019
    np.testing.assert_allclose(deviation, 1.7, rtol=0, atol=6 * 0.019)
    np.testing.assert_allclose((deviation**2).mean(), 1.7**2, rtol=0.02)
    np.testing.assert_allclose(u.mean(axis=1), 0, rtol=0, atol=6 * 1.7 / math.sqrt(4000))


@pytest.mark.parametrize("smoothness", [3.0, 6.0])
def test_the_field_is_correlated_over_the_distance_asked_for(smoothness):
    many = np.zeros((4000, 25, 15), np.uint8)
    u = field(Augment(4, elastic=1, smoothness=smoothness), many)[0]
    middle = u[:, 12, 7]
    for d in (1, 3, 6):
        for other in (u[:, 12, 7 + d], u[:, 12 - d, 7]):
            assert abs((middle * other).mean() - math.exp(-(d**2) / (4 * smoothness**2))) < 0.08


@pytest.mark.parametrize("smoothness", [1.0, 3.0, 4.5, 8.0, 12.0])
def test_the_correlation_along_an_axis_is_a_gaussian(smoothness):
    basis = smooth_basis(28, smoothness)
    d = np.arange(28) - np.arange(28)[:, None]
    with np.errstate(under="ignore"):
        expected = np.exp(-(d**2) / (4 * smoothness**2))
    np.testing.assert_allclose(basis.T @ basis, expected, rtol=0, atol=0.02)


def test_both_directions_and_all_pictures_have_fields_of_their_own():
    u = field(Augment(5, elastic=1), np.zeros((500, 28, 28), np.uint8))[:, :, 14, 14]
    assert abs((u[0] * u[1]).mean()) < 0.2  # 1 if they were the same
    assert abs((u[0, :-1] * u[0, 1:]).mean()) < 0.2


def test_simards_field_is_the_one_of_the_docstring(rng):
    """His way: uniform noise at every pixel, smoothed, times α = 34 with σ = 4."""
    noise = rng.uniform(-1, 1, (100, 60, 60))
    smoothed = 34 * ndimage.gaussian_filter(noise, (0, 4, 4))[:, 16:-16, 16:-16]
    assert abs(smoothed.std() - 34 / (4 * math.sqrt(12 * math.pi))) < 0.05


@pytest.mark.parametrize(("length", "smoothness"), [(1, 5.0), (28, 1.0), (28, 5.0), (7, 50.0)])
def test_the_squares_of_the_basis_sum_to_one(length, smoothness):
    basis = smooth_basis(length, smoothness)
    assert basis.shape[1] == length
    np.testing.assert_allclose((basis**2).sum(axis=0), 1)
    np.testing.assert_allclose(basis, basis[::-1, ::-1], atol=1e-12)  # no side is preferred


def test_the_picture_is_sampled_at_affine_place_plus_field(digits):
    """The whole against its parts, each computed on its own in float64."""
    augment, images = Augment(7, **DEFORMED), digits[:, :, 4:24]  # not square
    affine = augment._affine(images, 3, 0).astype("float64")
    noise = field(augment, images, 3)
    new = augment(images, 3)
    y, x = np.mgrid[:28, :20]
    for row in (0, 1, 199):
        source = [
            affine[d, row] @ [np.ones(560), x.ravel() - 9.5, y.ravel() - 13.5] + noise[d, row].ravel() for d in (0, 1)
        ]
        expected = [sample_in_loops(images[row], *place) for place in zip(*source, strict=True)]
        np.testing.assert_allclose(new[row].ravel(), expected, rtol=0, atol=0.55)


# ---- strengths


@pytest.mark.parametrize(
    ("strength", "column", "low", "high"),
    [("shift", 0, 10.5, 16.5), ("scale", 1, 1 / 1.1, 1 / 0.9), ("rotate", 2, -0.2588, 0.2588), ("shear", 2, -0.3, 0.3)],
)
def test_strengths_are_bounds_that_are_reached(strength, column, low, high):
    value = {"shift": 3, "scale": 0.1, "rotate": 15, "shear": 0.3}[strength]
    x_source = Augment(1, **{strength: value})._affine(np.zeros((5000, 28, 28), np.uint8), 0, 0)[0, :, column]
    assert low - 1e-4 <= x_source.min() < low + 0.02 * (high - low)
    assert high - 0.02 * (high - low) < x_source.max() <= high + 1e-4


def drawn(augment, count):
    """t_x, t_y, θ, s_x, s_y, k of many pictures, found again in the affine maps: (6, count)."""
    affine = augment._affine(np.zeros((count, 9, 9), np.uint8), 0, 0).astype("float64").transpose(1, 0, 2)
    forward = np.linalg.inv(affine[:, :, 1:])  # R K S
    t = (forward @ (4 - affine[:, :, :1]))[:, :, 0]
    angle = np.arctan2(affine[:, 1, 1], affine[:, 1, 2])
    cos, sin = np.cos(angle), np.sin(angle)
    R = np.stack([np.stack([cos, sin], 1), np.stack([-sin, cos], 1)], 1)
    KS = np.linalg.inv(R) @ forward
    return np.array([*t.T, angle, KS[:, 0, 0], KS[:, 1, 1], KS[:, 0, 1] / KS[:, 1, 1]])


def test_all_quantities_are_uniform_in_their_bounds_and_independent():
    r = drawn(Augment(1, shift=2, rotate=30, scale=0.1, shear=0.3), 4000)
    low = np.array([-2, -2, -math.pi / 6, 0.9, 0.9, -0.3])
    high = np.array([2, 2, math.pi / 6, 1.1, 1.1, 0.3])
    u = (r - low[:, None]) / (high - low)[:, None]
    assert u.min() > -1e-4
    assert u.max() < 1 + 1e-4
    np.testing.assert_allclose(u.mean(axis=1), 0.5, atol=0.03)
    np.testing.assert_allclose(u.std(axis=1), math.sqrt(1 / 12), atol=0.01)
    assert np.abs(np.corrcoef(u) - np.eye(6)).max() < 0.08


def test_the_field_does_not_repeat_the_numbers_of_the_affine_map(images):
    augment = Augment(1, shift=1, elastic=1 / math.sqrt(3))
    t = np.array([4.0, 5.0]) - augment._affine(images, 0, 0)[:, 0, 0]
    first_nodes = augment._nodes(images, 0, 0, 9)[0, 0, :2]
    assert np.abs(t - first_nodes).max() > 0.01


def test_one_strength_does_not_change_what_another_draws(images):
    np.testing.assert_array_equal(
        Augment(1, shift=2)._affine(images, 4, 0), Augment(1, shift=2, elastic=1)._affine(images, 4, 0)
    )


def test_no_strength_returns_the_images(images):
    assert Augment(1)(images, 3) is images


def test_on_average_nothing_moves(digits):
    """The centre of mass of many augmented copies is where it was."""
    image = np.repeat(digits[:1], 3000, axis=0)
    y, x = np.mgrid[:28, :28]

    def centre(pictures):
        weight = pictures.astype("float64").mean(axis=0)
        return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()

    moved = centre(Augment(2, shift=2, rotate=15, shear=0.2, elastic=1)(image, 0)) - centre(digits[:1])
    assert np.abs(moved).max() < 6 * 2 / math.sqrt(3 * 3000) + 0.05


# ---- erasing


@pytest.mark.parametrize("erase", [1, 4, 9])
def test_a_square_is_erased_and_nothing_else(erase):
    white = np.full((4000, 11, 9), 255, np.uint8)
    hidden = Augment(1, erase=erase)(white, 3) == 0
    assert (hidden.sum(axis=(1, 2)) == erase**2).all()
    for axis, length in ((2, 11), (1, 9)):
        along = hidden.any(axis=axis)
        first = along.argmax(axis=1)
        assert (along == ((np.arange(length) >= first[:, None]) & (np.arange(length) < first[:, None] + erase))).all()
        counts = np.bincount(first, minlength=length)
        places = length + 1 - erase
        assert counts[places:].sum() == 0
        # A uniform place: each count scatters by less than √(4000 / places).
        assert np.abs(counts[:places] - 4000 / places).max() < 5 * math.sqrt(4000 / places)


def test_rows_and_columns_of_the_square_are_independent():
    hidden = Augment(1, erase=4)(np.full((4000, 28, 28), 255, np.uint8), 0) == 0
    row, column = hidden.any(axis=2).argmax(axis=1), hidden.any(axis=1).argmax(axis=1)
    assert abs(np.corrcoef(row, column)[0, 1]) < 0.08


def test_erasing_comes_after_the_deformation(digits):
    kept = Augment(7, erase=5)._outside_of_square(digits, 2, 0)
    np.testing.assert_array_equal(Augment(7, **EVERYTHING)(digits, 2), Augment(7, **DEFORMED)(digits, 2) * kept)


# ---- a function of seed, step and row


def test_the_recorded_numbers_never_change():
    """Others here, and every run that is resumed or repeated sees other pictures than before."""
    augment, images = Augment(5, shift=1, elastic=1), np.zeros((2, 28, 28), np.uint8)
    np.testing.assert_allclose(13.5 - augment._affine(images, 7, 0)[0, :, 0], [0.08011532, 0.58889961], atol=1e-6)
    np.testing.assert_allclose(augment._nodes(images, 7, 0, 36)[1, :, 35], [0.7635684, 1.0669423], atol=1e-6)
    assert len(augment._basis(images)) == 3 + 36
    hidden = ~Augment(5, erase=4)._outside_of_square(images, 7, 0)
    assert [tuple(np.argwhere(square)[0]) for square in hidden] == [(23, 3), (24, 10)]


@each_strength
def test_the_same_seed_and_step_give_the_same_pictures(digits, strengths):
    first = Augment(5, **strengths)(digits, 7)
    np.testing.assert_array_equal(first, Augment(5, **strengths)(digits, 7))
    assert first.dtype == np.uint8
    assert first.shape == digits.shape


@each_strength
def test_other_steps_seeds_and_rows_give_other_pictures(digits, strengths):
    same = np.repeat(digits[:1], 20, axis=0) | (255 if list(strengths) == ["erase"] else 0)  # seen everywhere
    first = Augment(5, **strengths)(same, 7)
    for other in (Augment(5, **strengths)(same, 8), Augment(6, **strengths)(same, 7), np.roll(first, 1, axis=0)):
        assert (first != other).any(axis=(1, 2)).all()


@pytest.mark.parametrize(("first_row", "rows"), [(0, 60), (60, 140)])
def test_a_part_of_a_batch_is_augmented_as_in_the_whole(digits, first_row, rows):
    augment = Augment(5, **EVERYTHING)
    part = augment(digits[first_row : first_row + rows], 2, first_row=first_row)
    whole = augment(digits, 2)[first_row : first_row + rows]
    # A matrix product of other shape may round otherwise in the last bit.
    assert np.abs(part.astype(int) - whole).max() <= 1
    assert (part != whole).mean() < 1e-3


@each_strength
def test_a_device_gives_the_same_pictures_without_a_copy_to_the_host(digits, strengths):
    backend = strict_device.backend()
    on_device = backend.asarray(digits)
    new = Augment(5, **strengths)(on_device, 2)
    assert isinstance(new, strict_device.ndarray)
    np.testing.assert_array_equal(backend.to_host(new), Augment(5, **strengths)(digits, 2))


def test_one_augment_serves_images_of_several_sizes_and_backends(digits, images):
    augment = Augment(5, **EVERYTHING)
    backend = strict_device.backend()
    for _ in range(2):
        for pictures in (digits, images):
            expected = Augment(5, **EVERYTHING)(pictures, 1)
            np.testing.assert_array_equal(augment(pictures, 1), expected)
            np.testing.assert_array_equal(backend.to_host(augment(backend.asarray(pictures), 1)), expected)


@each_strength
def test_the_images_are_not_modified_and_may_be_any_view(digits, strengths):
    before = digits.copy()
    view = digits.transpose(0, 2, 1)[::2]
    np.testing.assert_array_equal(Augment(5, **strengths)(view, 2), Augment(5, **strengths)(view.copy(), 2))
    np.testing.assert_array_equal(digits, before)


def test_arithmetic_is_in_float32(digits):
    augment = Augment(5, **EVERYTHING)
    basis = augment._basis(digits)
    assert basis.dtype == np.float32
    assert augment._affine(digits, 0, 0).dtype == np.float32
    assert augment._nodes(digits, 0, 0, len(basis) - 3).dtype == np.float32


# ---- what is refused


@pytest.mark.parametrize(
    ("strengths", "message"),
    [
        ({"shift": -1}, "shift must be a finite number of at least 0, got -1"),
        ({"rotate": math.nan}, "rotate must be a finite number"),
        ({"elastic": math.inf}, "elastic must be a finite number"),
        ({"shear": -0.1}, "shear must"),
        ({"scale": 1.0}, "scale is a fraction below 1"),
        ({"scale": -0.1}, "scale must"),
        ({"smoothness": 0.5}, "smoothness must be a finite number of at least 1, got 0.5"),
        ({"erase": -1}, "erase must"),
        ({"erase": 2.5}, "erase is a whole number of pixels, got 2.5"),
        ({"seed": -1}, "seed must"),
    ],
)
def test_impossible_strengths_are_refused(strengths, message):
    with pytest.raises(ValueError, match=message):
        Augment(**({"seed": 5} | strengths))


def test_only_bytes_in_batches_are_augmented(images):
    augment = Augment(5, shift=1)
    with pytest.raises(ValueError, match=r"uint8 images \(N, H, W\) or \(N, C, H, W\), got float32 \(6, 11, 9\)"):
        augment(images.astype("float32"), 0)
    with pytest.raises(ValueError, match=r"got uint8 \(11, 9\)"):
        augment(images[0], 0)
    with pytest.raises(ValueError, match="count from 0, got -1 and 0"):
        augment(images, -1)
    with pytest.raises(ValueError, match=r"a square of 10 pixels does not fit into images \(11, 9\)"):
        Augment(5, erase=10)(images, 0)


def test_its_text_tells_the_settings():
    text = repr(Augment(5, shift=2, elastic=1.5))
    assert text == "Augment(seed=5, shift=2, rotate=0.0, scale=0.0, shear=0.0, elastic=1.5, smoothness=5.0, erase=0)"


def test_the_channels_of_a_picture_move_together():
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (5, 3, 11, 9)).astype("uint8")
    augment = Augment(4, shift=2, rotate=20, scale=0.1, shear=0.1, elastic=1, erase=3)
    moved = augment(images, step=7, first_row=2)
    assert moved.shape == images.shape
    for c in range(3):
        np.testing.assert_array_equal(moved[:, c], augment(images[:, c], step=7, first_row=2))
