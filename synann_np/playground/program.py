"""Open the playground: a page in your browser where you draw digits, train the network and look inside it.

It is served by this computer to this computer only, and loads nothing from elsewhere. Ctrl-C closes it.
"""

import argparse
import threading
import webbrowser

from .. import fast
from ..programs.command_line import Parser, path
from ..programs.examples import MODEL
from ..programs.process import status_of
from .data_set import DataSet
from .networks import Networks
from .server import PlaygroundServer
from .training_run import TrainingRun

PORT = 8765
PRELOAD_AFTER = 2.0  # seconds


def main(argv: list[str] | None = None, prog: str = "play") -> int:
    """The program: serves until Ctrl-C. Returns: its exit status."""
    parser = Parser(__doc__, prog)
    parser.add_argument("--port", type=_port, help=f"port to listen on; 0 takes a free one (default: {PORT})")
    parser.add_argument("--no-browser", action="store_true", help="print the address, but do not open a browser")
    parser.add_argument("--model", type=path, default=MODEL, help="network that answers before you train your own")
    parser.add_argument("--data-dir", type=path, help="folder with four files in MNIST's format (default: MNIST)")
    return status_of(prog, play, parser.parse_args(argv))


def play(args: argparse.Namespace) -> None:
    """Serve the page."""
    networks, data_set = Networks(args.model), DataSet(args.data_dir)
    server = _listen(args.port, networks, data_set)
    fast.tune_process()
    preload = threading.Timer(PRELOAD_AFTER, data_set.preload)  # the first drawing goes first
    preload.daemon = True
    preload.start()
    with server:
        print(f"Playground: {server.address}  (Ctrl-C closes it)", flush=True)
        if not args.no_browser:
            threading.Thread(target=webbrowser.open, args=(server.address,), daemon=True).start()
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            print("\nPlayground closed.")
        finally:
            server.training.close()


def _listen(port, networks, data_set):
    """A server on the port asked for. Where none was asked for and the usual one is taken, on a free one."""
    training = TrainingRun(networks, data_set)
    try:
        return PlaygroundServer(PORT if port is None else port, networks, data_set, training)
    except OSError as error:
        if port is None:
            return PlaygroundServer(0, networks, data_set, training)
        raise OSError(f"port {port}: {error.strerror}; choose another --port, or 0 for a free one") from error


def _port(text):
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {text:.40}")
    return int(text)
