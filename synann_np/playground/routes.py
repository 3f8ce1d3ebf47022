"""What the page may ask of the server: path -> function of (server, body), returning JSON values, and a size limit."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from .. import fast
from ..programs.digits.classify import probabilities, worst_mistakes
from ..programs.digits.digit_image import drawing_to_mnist, to_mnist
from ..programs.digits.photo_file import PhotoError, read_photo
from .gradient_views import gradients, label_of
from .layer_pictures import look_through
from .requested import RequestError, json_object, number, one_of, pixels, whole
from .shares import explain
from .synapse_views import flip_steps, surface
from .training_choice import HIGHEST_RATE, LOWEST_RATE, read_choice, recipes_for_page

PAD = 140  # pixels along a side of a drawing
SMALL = 16_384  # bytes of a JSON request
PHOTO = 12_000_000
NETWORK = ("shipped", "trained")


def draw(server: Any, body: bytes, network: Any) -> Any:
    """A drawing, PAD × PAD bytes of ink: what the network sees in it, layer by layer."""
    if len(body) != PAD * PAD:
        raise RequestError(f"expected {PAD * PAD} bytes, got {len(body)}")
    ink = np.frombuffer(body, np.uint8).reshape(PAD, PAD) / 255
    return _look(server, drawing_to_mnist(ink), network)


def photo(server: Any, body: bytes, network: Any) -> Any:
    """A PNG or JPEG file: as a drawing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "This picture"
        path.write_bytes(body)
        try:
            image = to_mnist(read_photo(path))
        except PhotoError as error:
            raise PhotoError(str(error).replace(str(path), "This picture")) from error
    return _look(server, image, network)


def picture(server: Any, body: bytes, network: Any) -> Any:
    """A picture of 28×28 that the page has: as a drawing."""
    return _look(server, pixels(json_object(body)), network)


def test_image(server: Any, body: bytes, network: Any) -> Any:
    """An image of the test set by number: as a drawing, and its label."""
    index = whole(json_object(body), "index", 0, 10**9)
    image, label = server.data_set.test_image(index)
    return _look(server, image, network) | {"label": label, "index": index}


def mistakes(server: Any, body: bytes, network: Any) -> dict[str, Any]:
    """The numbers of the test images of which the network is most sure and wrong, worst first."""
    _, _, images, labels = server.data_set.arrays()
    with server.networks.use(network) as model:
        found = probabilities(fast.compile(model), images)
    return {"indices": worst_mistakes(labels, found).tolist()}


def shares(server: Any, body: bytes, network: Any) -> Any:
    """See shares.py."""
    request = json_object(body)
    with server.networks.use(network) as model:
        return explain(model, pixels(request), request)


def gradient(server: Any, body: bytes, network: Any) -> Any:
    """See gradient_views.py."""
    request = json_object(body)
    with server.networks.use(network) as model:
        return gradients(model, pixels(request), label_of(request), request)


def train(server: Any, body: bytes, network: Any) -> dict[str, Any]:
    """Start, pause, continue, stop or reset the training, or change its learning rate."""
    request = json_object(body)
    action = one_of(request, "action", ("start", "pause", "continue", "stop", "reset", "learning-rate"))
    run = server.training
    if action == "start":
        run.start(read_choice(request))
    elif action == "learning-rate":
        run.set_learning_rate(number(request, "lr", LOWEST_RATE, HIGHEST_RATE))
    else:
        {"pause": run.pause, "continue": run.resume, "stop": run.stop, "reset": run.reset}[action]()
    return {}


def about(server: Any, body: bytes, network: Any) -> dict[str, Any]:
    """What the page fills its form with."""
    return {"recipes": recipes_for_page()}


ROUTES = {
    "/api/about": (about, SMALL),
    "/api/draw": (draw, PAD * PAD),
    "/api/photo": (photo, PHOTO),
    "/api/picture": (picture, SMALL),
    "/api/test-image": (test_image, SMALL),
    "/api/mistakes": (mistakes, SMALL),
    "/api/shares": (shares, SMALL),
    "/api/gradient": (gradient, SMALL),
    "/api/train": (train, SMALL),
    "/api/surface": (lambda server, body, network: surface(json_object(body)), SMALL),
    "/api/flip": (lambda server, body, network: flip_steps(json_object(body)), SMALL),
}


def _look(server, image, network):
    with server.networks.use(network) as model:
        return look_through(model, image)
