"""A model card: README.md in the folder of a model, with the YAML header that Hugging Face's tools read."""

import json
import math
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from .atomic_file import write_atomically
from .checkpoint import read_checkpoint

BODY = """# {title}

{description}

```python
import synann_np

model = synann_np.load("{file}")
y, _ = model.forward(x)
```

{parameters:,} parameters, {dtype}.

```
{model!r}
```
"""


def write_model_card(
    path: str | PathLike, description: str, *, title: str | None = None, license: str | None = None,
    datasets: Iterable[str] = (), metrics: dict[str, float] | None = None, overwrite: bool = False,
) -> Path:  # fmt: skip
    """Write README.md into the folder of a model.

    Arguments:
        path: of the model, written by `synann_np.save`.
        description: what it was trained for and on, how well it does, and where it fails.
        title: heading; the name of the file unless given.
        license: such as "mit", of the weights.
        datasets: names, such as ("mnist",).
        metrics: dict name -> number, measured on data that was not trained on, such as {"accuracy": 0.9904}.
        overwrite: replace a README.md that is there.

    Returns: path of the card.

    Raises: FileExistsError, CheckpointError (no such model), OSError.
    """
    path = Path(path)
    card = path.with_name("README.md")
    if card.exists() and not overwrite:
        raise FileExistsError(f"{card}: exists; set overwrite=True to replace it")
    model = read_checkpoint(path).build()
    header = {"library_name": "synann_np", "license": license, "tags": ["synann", "synaptic-neural-network"]}
    header |= {"datasets": list(datasets), "metrics": list(metrics or {})}
    lines = [
        f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in header.items() if value
    ]  # JSON is YAML
    body = BODY.format(
        title=title or path.stem,
        description=description.strip(),
        file=path.name,
        parameters=sum(math.prod(p.shape) for p in model.params.values()),
        dtype=model.dtype,
        model=model,
    )
    if model.class_names:
        body += f"\nClasses: {', '.join(model.class_names)}\n"
    if metrics:
        rows = [f"| {name} | {value:.6g} |" for name, value in metrics.items()]
        body += "\n" + "\n".join(["| metric | value |", "|---|---|", *rows]) + "\n"
    write_atomically(card, "\n".join(["---", *lines, "---", "", body]).encode())
    return card
