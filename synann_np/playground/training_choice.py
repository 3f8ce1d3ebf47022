"""From what was chosen on the page to the parts of a training run."""

import math
from dataclasses import dataclass, replace
from typing import Any

from ..layers import Synapse
from ..models import MODELS
from ..programs.runs.arguments import parse_arguments
from ..programs.runs.parts import make_optimizer, make_tools
from ..programs.runs.recipes import read_recipe
from ..sequential import Sequential
from .requested import number, one_of, switch, whole

# What the page offers, with a line on each.
RECIPES = {
    "quick": "99.4 % in seconds",
    "augmented": "a network of the published one's size, on deformed images, 99.5 %",
    "seed": "the published settings, slow and steady",
    "mlp": "a perceptron, images deformed a little",
    "rnn": "images read row by row by recurrent synapses",
    "best": "five convolutions, about a minute an epoch",
}
LOWEST_RATE, HIGHEST_RATE = 1e-5, 1.0
MOST_EPOCHS = 200


@dataclass(frozen=True)
class TrainingChoice:
    """A recipe, and what was changed in it.

    Attributes: recipe, model: names. synapse: False trains the network without its synapse. epochs, seed, lr: numbers;
    lr is the highest rate of the recipe's schedule.
    """

    recipe: str
    model: str
    synapse: bool
    epochs: int
    seed: int
    lr: float

    def build(self) -> Any:
        """A new model, a Sequential. Two of one choice have equal weights."""
        name = "tanh_rnn" if self.model == "rnn" and not self.synapse else self.model
        build: Any = MODELS[name]
        model = build(self.seed)
        if self.synapse:
            return model
        kept = [(name, layer) for name, layer in model.layers.items() if not isinstance(layer, Synapse)]
        return Sequential(kept, model.dtype, model.backend)

    def parts(self, model: Any, count: Any) -> tuple[Any, Any, Any]:
        """Optimiser, TrainingTools and batch size for training `model` on `count` images."""
        words = {"recipe": self.recipe, "model": self.model, "epochs": self.epochs, "seed": self.seed, "lr": self.lr}
        settings = parse_arguments([f"--{name}={value}" for name, value in words.items()], "")
        settings.plain_epochs = min(settings.plain_epochs, self.epochs)
        tools = make_tools(settings, model, math.ceil(count / settings.batch_size))
        return make_optimizer(settings), tools, settings.batch_size


def read_choice(request: dict[str, Any]) -> TrainingChoice:
    """TrainingChoice from a JSON object; what is not given is the recipe's. Raises: RequestError."""
    recipe = one_of(request, "recipe", RECIPES, "quick")
    settings = read_recipe(recipe)[1]
    return TrainingChoice(
        recipe,
        one_of(request, "model", MODELS, settings["model"]),
        switch(request, "synapse", True),
        whole(request, "epochs", 1, MOST_EPOCHS, settings["epochs"]),
        whole(request, "seed", 0, 2**31, settings["seed"]),
        number(request, "lr", LOWEST_RATE, HIGHEST_RATE, settings["lr"]),
    )


def recipes_for_page() -> list[Any]:
    """What the page needs to fill in its form: a list of the recipes with their settings."""
    choices = [(read_choice({"recipe": name}), text) for name, text in RECIPES.items()]
    return [vars(replace(choice)) | {"about": text} for choice, text in choices]
