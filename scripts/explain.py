"""What did the synapses say about this digit? Every channel's share, as numbers and as a picture.

python scripts/explain.py 7                                   image 7 of MNIST's test set
python scripts/explain.py photo.jpg --model runs/…/best.safetensors --out shares.png
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))  # for a checkout that is not installed

import synann_np
from synann_np.backend import BackendError
from synann_np.data import DataError, load_mnist, normalise
from synann_np.mathematics.explain import class_shares
from synann_np.programs.broken_pipe import end_with_the_reader
from synann_np.programs.digits.digit_image import to_mnist
from synann_np.programs.digits.photo_file import PhotoError, read_photo
from synann_np.programs.pictures.explanations import draw_shares
from synann_np.storage.checkpoint import CheckpointError

MODEL = Path(__file__).resolve().parents[1] / "examples" / "synann_mnist.safetensors"
SHOWN = 5


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", help="number of an image of the test set, or a PNG or JPEG file of one digit")
    parser.add_argument("--model", default=MODEL, help="a .safetensors file (the example's)")
    parser.add_argument("--out", default="shares.png", help="the picture (%(default)s)")
    parser.add_argument("--data-dir", help="folder of the data set (the repository's MNIST)")
    args = parser.parse_args(argv)
    try:
        model = synann_np.load(args.model)
        image, name = read_image(args.image, args.data_dir)
        shares = class_shares(model, normalise(image[None], model.dtype))
        print("\n".join(describe(shares)))
        draw_shares(image, shares, args.out, f"{name}: taken for {shares.logits[0].argmax()}")
    except (BackendError, CheckpointError, DataError, PhotoError, OSError) as error:
        print(f"explain: {error}", file=sys.stderr)
        return 2
    except ValueError as error:  # a model of other layers
        print(f"{error}, which {args.model} is not", file=sys.stderr)
        return 2
    print(f"Picture: {args.out}")
    return 0


def read_image(text, data_dir):
    """(28, 28) uint8 and what to call it."""
    if not text.isdecimal():
        return to_mnist(read_photo(text)), Path(text).name
    images, labels = load_mnist(data_dir)[2:]
    index = int(text)
    if index >= len(images):
        raise DataError(f"image {text}: the test set has 0..{len(images) - 1}")
    return images[index], f"test image {index}, a {labels[index]}"


def describe(shares):
    """Tables of text: the classes; the units and channels that matter most for the best class."""
    logits, units = shares.logits[0], shares.units
    probabilities = np.exp(logits - logits.max())
    probabilities /= probabilities.sum()
    yield "class  probability     logit =     base + excitation + inhibition + not split"
    for k, p in enumerate(probabilities):
        excitation, inhibition = shares.excitation[0, k].sum(), shares.inhibition[0, k].sum()
        parts = f"{shares.base[k]:10.3f} {excitation:12.3f} {inhibition:12.3f} {shares.unsplit[0, k]:11.3f}"
        yield f"{k:5} {p:12.2%} {logits[k]:9.3f} {parts}"
    k = int(logits.argmax())
    yield f"\nunits of most weight for {k}: share of the logit; −log y = −log α − log x + inhibition, nats; factors < 0"
    inhibition = units.inhibition[0].sum(axis=1)
    for i in np.argsort(-np.abs(shares.by_unit[0, k]), kind="stable")[:SHOWN]:
        terms = f"{units.total[0, i]:8.3f} = {units.alpha[i]:6.3f} + {units.own[0, i]:.3f} + {inhibition[i]:.3f}"
        yield f"{i:5} {shares.by_unit[0, k, i]:12.3f}   {terms}   {(units.factors[0, i] < 0).sum()}"
    yield f"\ninhibitory channels of most weight for {k}: share of the logit"
    for j in np.argsort(-np.abs(shares.inhibition[0, k]), kind="stable")[:SHOWN]:
        yield f"{j:5} {shares.inhibition[0, k, j]:12.4f}"


if __name__ == "__main__":
    end_with_the_reader()
    sys.exit(main())
