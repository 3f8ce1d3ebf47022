"""Answers of a worker process on a channel of their own: whoever prints, in Python or C, prints on standard error."""

import json
import os


class JsonChannel:
    """Takes standard output away from everybody else, and writes one JSON object a line there."""

    def __init__(self):
        self.file = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def write(self, answer):
        self.file.write(json.dumps(answer) + "\n")
        self.file.flush()
