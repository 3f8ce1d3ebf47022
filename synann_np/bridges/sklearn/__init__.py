"""A synapse network as an estimator of scikit-learn (extra `sklearn`).

from synann_np.bridges.sklearn import SynapseNetClassifier

SynapseNetClassifier(random_state=0).fit(X, y).predict(X)
"""

from . import requirements
from .classifier import SynapseNetClassifier

__all__ = ["SynapseNetClassifier", "requirements"]
