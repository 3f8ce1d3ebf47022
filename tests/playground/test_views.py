"""What the page shows is what the package computes."""

import base64

import numpy as np
import pytest
from PIL import Image

from synann_np.data import load_mnist, normalise
from synann_np.gradcheck import numeric_gradient
from synann_np.layers import Linear, LogSoftmax
from synann_np.losses import nll_loss
from synann_np.mathematics.explain import class_shares
from synann_np.playground import main
from synann_np.playground.gradient_views import gradients
from synann_np.playground.layer_pictures import look_through, picture_of
from synann_np.playground.networks import Networks, in_float64
from synann_np.playground.requested import RequestError
from synann_np.playground.shares import explain
from synann_np.playground.synapse_views import flip_steps, surface
from synann_np.playground.training_choice import read_choice
from synann_np.programs.digits.digit_image import drawing_to_mnist
from synann_np.programs.digits.photo_file import PhotoError
from synann_np.programs.examples import DIGITS
from synann_np.sequential import Sequential
from synann_np.storage.checkpoint import save


@pytest.fixture(scope="module")
def image():
    return load_mnist()[2][0]  # a seven


@pytest.fixture
def shipped():
    with Networks().use("shipped") as model:
        yield model


def test_a_look_shows_the_output_of_every_layer(shipped, image):
    look = look_through(shipped, image)
    log_probs, _ = shipped.forward(normalise(image[None]))
    assert np.allclose(look["probabilities"], np.exp(log_probs[0]), atol=1e-6)
    assert look["answer"] == log_probs[0].argmax() == 7
    shapes = {layer["name"]: layer["shape"] for layer in look["layers"]}
    assert shapes["conv1"] == [10, 24, 24]
    assert shapes["fcn"] == [64]
    assert not {"conv2_drop", "flatten", "log_softmax"} & shapes.keys()


def test_a_picture_holds_the_values_to_one_part_in_254(rng):
    values = rng.standard_normal((3, 4, 5))
    picture = picture_of(values)
    decoded = np.frombuffer(base64.b64decode(picture["values"]), np.uint8).astype(float) - 128
    assert (
        np.abs(decoded.reshape(3, 4, 5) / 127 * picture["largest"] - values).max() <= picture["largest"] / 254 + 1e-12
    )


@pytest.mark.parametrize("values", [np.zeros(3), np.full(3, np.nan), np.array([np.inf, 1.0])])
def test_a_picture_of_nothing_is_zero(values):
    assert set(base64.b64decode(picture_of(values)["values"])) == {128}


def test_shares_add_up_to_the_scores(shipped, image):
    answer = explain(shipped, image, {})
    shares = class_shares(shipped, normalise(image[None]))
    assert answer["class"] == 7
    for k, c in enumerate(answer["classes"]):
        assert c["base"] + c["excitation"] + c["inhibition"] + c["unsplit"] == pytest.approx(c["logit"], abs=1e-9)
        assert c["logit"] == pytest.approx(shares.logits[0, k])
    chosen = answer["classes"][7]
    assert sum(answer["by_channel"]) == pytest.approx(chosen["inhibition"])
    assert sum(answer["by_unit"]) == pytest.approx(chosen["logit"] - chosen["base"])


def test_the_shares_of_a_unit_add_up_to_its_surprisal(shipped, image):
    unit = explain(shipped, image, {"class": 3, "unit": 11})["unit"]
    assert unit["number"] == 11
    assert unit["alpha"] + unit["own"] + sum(unit["channels"]) == pytest.approx(unit["surprisal"])
    assert np.exp(-unit["surprisal"]) == pytest.approx(abs(unit["output"]))


def test_a_network_without_synapse_has_no_shares(image):
    answer = explain(read_choice({"synapse": False}).build(), image, {})
    assert answer.keys() == {"reason"}
    assert "no synapse" in answer["reason"]


@pytest.mark.parametrize("wrong", [{"class": 10}, {"unit": 64}, {"class": "7"}])
def test_shares_are_asked_for_by_number(shipped, image, wrong):
    with pytest.raises(RequestError):
        explain(shipped, image, wrong)


PARAMETERS = [
    "conv1.weight", "conv1.bias", "conv2.weight", "fc1.weight", "fc1.bias", "fcn.alpha", "fcn.beta", "fcb.weight",
    "fcb.bias", "fc2.weight", "fc2.bias",
]  # fmt: skip


@pytest.mark.parametrize("name", PARAMETERS)
def test_four_ways_lead_to_one_gradient(shipped, image, name, rng):
    """The formula with numbers is not the code of backward, and the difference is neither."""
    size = in_float64(shipped).params[name].size
    for element in (None, int(rng.integers(size))):
        request = {"parameter": name} | ({} if element is None else {"element": element})
        found = gradients(shipped, image, 3, request)
        assert found["formula"]
        assert found["sum"] == pytest.approx(found["backward"], rel=1e-9, abs=1e-14)
        assert found["difference"] == pytest.approx(found["backward"], rel=1e-4, abs=1e-8)
        assert found["gradient"][found["element"]] == found["backward"]
    assert len(found["gradient"]) == size


def test_the_gradient_is_that_of_the_loss(shipped, image):
    model = in_float64(shipped)
    x, label = normalise(image[None], "float64"), np.array([2])
    expected = numeric_gradient(lambda: float(nll_loss(model.forward(x)[0], label)[0]), model.params["fc2.bias"])
    assert np.allclose(gradients(shipped, image, 2, {"parameter": "fc2.bias"})["gradient"], expected, atol=1e-8)


def test_a_recurrent_layer_has_a_gradient_though_no_short_formula(image):
    found = gradients(read_choice({"model": "rnn"}).build(), image, 7, {})
    assert (found["formula"], found["sum"]) == (None, None)
    assert found["difference"] == pytest.approx(found["backward"], rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("wrong", [{"parameter": "fcn.gamma"}, {"element": 10**6}, {"parameter": 1}, {"element": -1}])
def test_gradients_of_what_is_not_there_are_refused(shipped, image, wrong):
    with pytest.raises(RequestError):
        gradients(shipped, image, 7, wrong)


def test_the_surface_is_the_synapse_in_both_spaces():
    request = {"alpha": 0.5, "beta": 0.8, "x": 0.6, "y": 0.25}
    answer = surface(request)
    assert answer["value"] == pytest.approx(0.5 * 0.6 * (1 - 0.8 * 0.25))
    assert answer["heights"][-1][0] == pytest.approx(0.5)
    assert answer["gradient"][:2] == pytest.approx([0.5 * 0.8, -0.5 * 0.8 * 0.6])
    other = surface(request | {"space": "surprisal"})
    assert other["surprisal"] == pytest.approx(-np.log(answer["value"]))
    i, j = 3, 7
    u, v = other["axis"][i], other["axis"][j]
    assert other["heights"][i][j] == pytest.approx(-np.log(0.5 * np.exp(-u) * (1 - 0.8 * np.exp(-v))))


def test_the_ends_of_the_surprisal_surface_are_infinite():
    answer = surface({"alpha": 1, "beta": 1, "x": 0, "y": 1, "space": "surprisal"})
    assert answer["surprisal"] is None
    assert answer["heights"][0][0] is None
    assert surface({"alpha": 1, "beta": 0, "x": 0.5, "y": 0.5, "space": "surprisal"})["heights"][0][0] == 0


def test_the_flip_circuit_steps_as_its_formula_says():
    found = flip_steps({"alpha": 0.9, "beta": 0.7, "x": 0.8, "y": 0.3, "steps": 2})
    x, y = 0.8, 0.3
    expected = [[x, y]]
    for _ in range(2):
        x, y = 0.9 * x * (1 - 0.7 * y), 0.9 * y * (1 - 0.7 * x)
        expected.append([x, y])
    assert np.allclose(found["states"], expected)
    assert not found["leaves"]


def test_a_flip_circuit_that_leaves_the_square_ends_there():
    found = flip_steps({"alpha": 1.5, "beta": 0.9, "x": 0.6, "y": 0.5, "steps": 60})
    assert found["leaves"]
    assert max(found["states"][-1]) > 1
    assert all(0 <= value <= 1 for state in found["states"][:-1] for value in state)


@pytest.mark.parametrize("wrong", [{"alpha": 3}, {"x": -0.1}, {"y": None}, {"steps": 1000}, {"steps": 0}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(RequestError):
        flip_steps({"alpha": 1, "beta": 1, "x": 0.5, "y": 0.5} | wrong)


def test_a_drawing_is_framed_as_mnist_frames_its_digits():
    ink = np.zeros((140, 140))
    ink[10:110, 100:110] = 1.0
    framed = drawing_to_mnist(ink)
    rows, columns = np.nonzero(framed)
    assert framed.shape == (28, 28)
    assert rows.max() - rows.min() == 19
    assert abs(rows.mean() - 13.5) <= 1
    assert abs(columns.mean() - 13.5) <= 1
    moved = drawing_to_mnist(np.roll(ink, (15, -60), axis=(0, 1)))
    assert np.array_equal(framed, moved)


def test_an_empty_drawing_is_no_digit():
    with pytest.raises(PhotoError, match="nothing is drawn"):
        drawing_to_mnist(np.zeros((140, 140)))


def test_a_photo_is_read_and_anything_else_is_refused(client, tmp_path):
    path = next(iter(sorted(DIGITS.glob("7_*.png"))))
    assert client.ask("/api/photo", path.read_bytes())[1]["answer"] == 7
    status, answer = client.ask("/api/photo", b"no picture")
    assert (status, answer["error"][:13]) == (400, "This picture:")
    Image.new("L", (50, 50), 200).save(tmp_path / "blank.png")
    status, answer = client.ask("/api/photo", (tmp_path / "blank.png").read_bytes())
    assert (status, "no digit found" in answer["error"]) == (400, True)


def test_test_images_shares_gradients_and_mistakes_are_answered(client):
    status, look = client.ask("/api/test-image", {"index": 501})
    assert (status, look["label"]) == (200, int(client.server.data_set.arrays()[3][1]))
    request = {"pixels": look["seen"]}
    assert client.ask("/api/picture", request)[1]["answer"] == look["answer"]
    assert client.ask("/api/shares", request)[0] == 200
    assert client.ask("/api/gradient", request | {"label": look["label"], "parameter": "fcn.beta"})[0] == 200
    assert client.ask("/api/gradient", request)[0] == 400
    assert client.ask("/api/shares", {"pixels": "AAAA"})[0] == 400
    assert len(client.ask("/api/mistakes")[1]["indices"]) == 30  # stripes are no digits
    assert client.ask("/api/picture?network=other", request)[0] == 400


def test_a_network_that_reads_no_digits_is_refused_at_the_start(tmp_path, capsys):
    save(tmp_path / "other.safetensors", Sequential([("fc", Linear(3, 2)), ("log_softmax", LogSoftmax())]))
    assert main(["--port", "0", "--no-browser", "--model", str(tmp_path / "other.safetensors")]) == 2
    assert capsys.readouterr().err.startswith("play: ")
