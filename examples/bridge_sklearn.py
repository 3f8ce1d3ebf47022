"""Compare classifiers in scikit-learn's cross-validation: python examples/bridge_sklearn.py (extra `sklearn`).

Prints accuracy and log loss on data sets that come with scikit-learn: mean over five folds.
"""

import argparse
import warnings

from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from synann_np.bridges.sklearn import SynapseNetClassifier

SETS = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "breast_cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "moons": lambda return_X_y: datasets.make_moons(500, noise=0.25, random_state=0),
}
MODELS = {
    "SynapseNetClassifier()": SynapseNetClassifier(random_state=0),
    "LogisticRegression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    "MLPClassifier((64,))": make_pipeline(StandardScaler(), MLPClassifier((64,), random_state=0)),
}

parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
parser.add_argument("sets", nargs="*", choices=[*SETS, []], help=f"of {', '.join(SETS)} (default: all)")
parser.add_argument("--folds", type=int, default=5, help="default: 5")
arguments = parser.parse_args()
warnings.simplefilter("ignore", ConvergenceWarning)  # of the others: they are compared as they come
print("| data | " + " | ".join(MODELS) + " |\n|---|" + "---|" * len(MODELS))
for name in arguments.sets or SETS:
    X, y = SETS[name](return_X_y=True)
    folds = StratifiedKFold(arguments.folds, shuffle=True, random_state=0)
    cells = []
    for model in MODELS.values():
        found = cross_validate(model, X, y, cv=folds, scoring=("accuracy", "neg_log_loss"))
        cells.append(f"{found['test_accuracy'].mean():.1%}, {-found['test_neg_log_loss'].mean():.3f}")
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
