"""Which digits are these? Classify photographs (PNG, JPEG) with a trained model.

python scripts/predict.py MODEL photo.jpg another.png folder/
python scripts/predict.py examples/synann_mnist.safetensors examples/digits --save-seen seen.png

A photograph shows one digit, dark on light or light on dark. Each line gives the three most probable digits.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))  # for a checkout that is not installed

import synann_np
from synann_np.backend import BackendError
from synann_np.programs.broken_pipe import end_with_the_reader
from synann_np.programs.digits.classify import best_classes, probabilities
from synann_np.programs.digits.digit_image import to_mnist
from synann_np.programs.digits.photo_file import PhotoError, find_photos, read_photo
from synann_np.programs.pictures.classification import digit_sheet
from synann_np.storage.checkpoint import CheckpointError

AT_A_TIME = 100


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a .safetensors file, such as runs/…/best.safetensors")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="PNG and JPEG files, and folders of them")
    parser.add_argument("--save-seen", metavar="PNG", help="draw what the network saw into this file")
    parser.add_argument("--backend", choices=("numpy", "cupy", "auto"), default="numpy", help="(numpy)")
    args = parser.parse_intermixed_args(argv)
    try:
        model = synann_np.load(args.model, args.backend)
        return predict(model, args)
    except (BackendError, CheckpointError, OSError) as error:
        print(f"predict: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("predict: interrupted", file=sys.stderr)
        return 130


def predict(model, args):
    paths, bad = [], 0
    for name in args.images:
        try:
            paths += find_photos([name])
        except PhotoError as error:
            bad += complain(error)
    all_seen, titles = [], []
    for start in range(0, len(paths), AT_A_TIME):
        seen, names = [], []
        for path in paths[start : start + AT_A_TIME]:
            try:
                seen.append(to_mnist(read_photo(path)))
                names.append(path)
            except PhotoError as error:
                bad += complain(error if str(error).startswith(str(path)) else f"{path}: {error}")
        if not seen:
            continue
        for path, row in zip(names, probabilities(model, np.stack(seen)), strict=True):
            best = best_classes(row)
            print(f"{printable(path)}: {', '.join(f'{k} ({p:.1%})' for k, p in best)}")
            titles.append(f"{printable(path.name)[:18]}\n{best[0][0]} ({best[0][1]:.0%})")
        all_seen += seen
    if args.save_seen and all_seen:
        digit_sheet(all_seen, titles, args.save_seen)
        print(f"What the network saw: {args.save_seen}")
    return 2 if bad else 0


def printable(path):
    # A file name need not be valid text.
    return str(path).encode("utf-8", "backslashreplace").decode()


def complain(error):
    print(f"predict: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    end_with_the_reader()
    sys.exit(main())
