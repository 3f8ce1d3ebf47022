"""CausalGate: which cause did it? A scikit-learn classifier for independent causes, preventers and rules."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from ..mathematics.circuit import Circuit
from ..mathematics.surprisal import bose_einstein
from .apportion import Explanation, apportion, attributable_fractions
from .gate_circuit import gate_circuit
from .gate_fit import fit_gate
from .likelihood import S_LEAST, Rows, information
from .named_array import NamedArray
from .people import binary_columns, check_exposure, check_not_negative, column_means, read_people
from .scale_check import ScaleCheck, check_scale
from .specification import LEAK, read_specification
from .terms import Terms


class CausalGate(ClassifierMixin, BaseEstimator):
    """Probability of an event that independent causes bring about and preventers stop.

        p = (1 − (1 − leak) ∏_j (1 − β_j)^x_j) ∏_k (1 − β_k)^z_k

    Two synapse graphs: ∏ (1 − β_j x_j) is the probability that no cause fires (noisy-OR; independent action in
    epidemiology), and the complement passes the preventers. β_j is the probability that the factor alone brings about
    the event; of a preventer, that it stops one. The leak stands for all causes that are not in the data.

    A β is a causal effect only without confounding: if what makes people be exposed also makes them ill, no fit helps.

    Arguments:
        causes: names or positions of columns of X; None for all columns that are not preventers.
        preventers: the same; None for none.
        pies: rules, factors that act together as one more cause: tuples of names or positions, "not NAME" for the
            absence of NAME, as ("smoker", "not vaccinated"); or Rules as find_pies returns them.
        prior: ρ pseudo-people exposed to each factor alone, in whom nothing happened; shrinks β a little, and keeps it
            below 1 where all exposed had the event. ρ/100 of a person exposed to nothing had the event at the marginal
            rate: the leak stays above 0. prior=0 is maximum likelihood.
        uncertain: columns in which a value between 0 and 1 is the probability that the factor is present, not a dose.

    Attributes:
        leak_: float. beta_: (M,), also by name, beta_["smoker"]: causes, then pies, then preventers. terms_: the names.
        classes_: (2,); classes_[1] is the event. n_features_in_, feature_names_in_ (from a DataFrame).
        means_: (D,), of the columns, for where X is NaN. binary_: (D,), columns of 0 and 1. log_likelihood_: at the
        estimate, without the prior. training_people_: the data, which interval and attributable_fraction use.

    X is ≥ 0: 0 or 1, or a dose. NaN is unknown: a factor of 0 and 1 is then present with the probability means_, its
    prevalence, which is exact if the factors are independent; an unknown dose becomes the mean dose. Without names,
    columns are "x0", "x1", ...
    """

    def __init__(
        self, causes: Iterable[str | int] | None = None, preventers: Iterable[str | int] | None = None,
        pies: Sequence = (), prior: float = 1.0, uncertain: Iterable[str | int] = (),
    ) -> None:  # fmt: skip
        self.causes = causes
        self.preventers = preventers
        self.pies = pies
        self.prior = prior
        self.uncertain = uncertain

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.poor_score = True  # a factor that lowers the risk must be named as a preventer
        tags.input_tags.positive_only = True
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None, exposure: Any = None, sampling: Any = None) -> Self:
        """Estimate leak_ and beta_.

        Arguments:
            X: (N, D), array or DataFrame. y: (N,), two classes; the greater one is the event.
            sample_weight: (N,) ≥ 0, how many people a row stands for.
            exposure: (N,) > 0, time or number of trials: λ is then a rate, s_i = e_i (λ₀ + Σ_j λ_j x_ij), and leak_
                and beta_ belong to an exposure of 1.
            sampling: (f1, f0) in a case-control study, the probabilities with which people with and without the event
                came into the sample; predict_proba then speaks of the population.

        Raises: ValueError for a column that is unknown, unusable or indistinguishable from others, naming it.
        """
        people = read_people(self, X, y, sample_weight, exposure, sampling)
        self.training_people_, self._specification = people, read_specification(self, people.columns)
        self._specification.check_values(people.X)
        self.classes_, self.terms_ = people.classes, self._specification.terms
        self.means_ = column_means(people.X, people.weight, people.columns)
        self.binary_ = binary_columns(people.X)
        self._fit = fit = fit_gate(*self._terms(people.X, people.exposure), people, self.terms_, self.prior)
        self.leak_ = fit.beta(0)
        self.beta_ = NamedArray([fit.beta(k) for k in range(1, len(fit.theta))], self.terms_)
        self.log_likelihood_ = people.sampling_constant - fit.likelihood.data_loss(fit.theta)[0]
        return self

    def predict_proba(self, X: Any, exposure: Any = None) -> np.ndarray:
        """(N, 2), probabilities of classes_[0] and classes_[1]. X, exposure: as in fit."""
        p = np.exp(-self._surprisal(*self._read(X, exposure)))
        return np.stack([1 - p, p], axis=1)

    def predict(self, X: Any, exposure: Any = None) -> np.ndarray:
        """(N,), the more probable class."""
        happens = self.predict_proba(X, exposure)[:, 1] > 0.5
        return self.classes_[happens.astype(int)]

    def interval(self, name: str | int, level: float = 0.95) -> tuple[float, float]:
        """The profile-likelihood interval of a β, by term, position of a column, or "leak"; (0, 1) excludes nothing.

        With a prior it is the profile of the penalised likelihood. After find_pies it ignores that the rules were
        chosen by the same data, so it is too narrow.

        Raises: ValueError for an unknown name, or a level outside of (0, 1).
        """
        check_is_fitted(self)
        if not 0 < level < 1:
            raise ValueError(f"CausalGate.interval: expected 0 < level < 1, got {level}")
        place, people = self._specification.place(name), self.training_people_
        terms = self._terms(people.X, people.exposure)
        rows = Rows(*terms, people.exposure, people.weight, True)
        return self._fit.interval(place, level, information(rows, self._fit.theta, people.ratio))

    def explain(self, X: Any, exposure: Any = None) -> Explanation:
        """Whose doing was the event, person by person, supposing that it happened: see Explanation."""
        X, exposure = self._read(X, exposure)
        causes, _ = self._terms(X, exposure)
        lam = self._fit.theta[: 1 + len(self._specification.causes)]
        shares = np.c_[exposure * (lam[0] if self.leak_ else 0), causes.contributions(lam[1:])]
        return apportion((LEAK, *map(str, self._specification.causes)), shares, np.exp(-self._surprisal(X, exposure)))

    def attributable_fraction(self, X: Any = None, sample_weight: Any = None, exposure: Any = None) -> NamedArray:
        """What part of the events in a population is due to each factor, by name; of a preventer, what part of the
        events that there would be without it, it prevents.

        The model's events with X as it is, against those with the factor's column set to 0 for everybody, in all rules
        too. Fractions of several causes do not sum to the fraction of all.

        Arguments: X, sample_weight, exposure: the population; the people of the fit if X is None (weighted back to the
        population after case-control sampling).
        """
        check_is_fitted(self)
        people = self.training_people_
        if X is None:
            X, exposure = people.X, people.exposure
            weight = people.weight * np.where(people.y, 1 / people.ratio, 1)
        else:
            X, exposure = self._read(X, exposure)
            weight = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)

        def probability(x):
            return np.exp(-self._surprisal(x, exposure))

        return attributable_fractions(probability, X, weight, people.columns, self._specification.factors)

    def odds_ratio(self, a: Any, b: Any) -> float:
        """odds(a) / odds(b) of two people, each a row of X or a dict name -> value, with 0 for what it does not name.

        The swap equation: the odds of an event of surprisal u are e^−u / (1 − e^−u) = n(u), so the ratio is
        n(u_a) / n(u_b), and without preventers, where n(u) = 1 / n(s), it is n(s_b) / n(s_a): a cause's odds ratio
        depends on what else there is.
        """
        check_is_fitted(self)
        n = bose_einstein(self._surprisal(np.stack([self._row(a), self._row(b)]), np.ones(2)))
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(n[0] / n[1])

    def scale_check(
        self, X: Any, y: Any, sample_weight: Any = None, exposure: Any = None, sampling: Any = None
    ) -> ScaleCheck:
        """Compare the maximum likelihood of this gate and of a logistic regression with the same terms on (X, y)."""
        check_is_fitted(self)
        people = read_people(clone(self), X, y, sample_weight, exposure, sampling)
        if people.columns != self._specification.columns:
            raise ValueError("CausalGate.scale_check: expected the columns of the fit, in the same order")
        return check_scale(*self._terms(people.X, people.exposure), people, self.terms_)

    def to_circuit(self) -> Circuit:
        """The fitted gate as a circuit of synapses with the output "event": see gate_circuit.py."""
        check_is_fitted(self)
        return gate_circuit(
            self._specification.causes, self._specification.preventers, self.leak_, dict(self.beta_.items())
        )

    def _terms(self, X, exposure) -> tuple[Terms, Terms]:
        """The Terms of causes and of preventers."""
        return self._specification.build(X, self.means_, self.binary_, exposure)

    def _read(self, X, exposure):
        """X and exposure for prediction, checked."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan")
        check_not_negative(X, self._specification.columns)
        self._specification.check_values(X)
        return X, check_exposure(exposure, len(X))

    def _surprisal(self, X, exposure):
        """(N,), u = −log p; ∞ where nothing can cause the event."""
        rows = Rows(*self._terms(X, exposure), exposure, np.ones(len(X)), True)
        theta = self._fit.theta.copy()
        theta[0] = theta[0] if self.leak_ else 0.0
        s, _, u = rows.surprisals(theta)
        return np.where(s > S_LEAST, u, np.inf)

    def _row(self, person):
        """A row (D,) from a row or a dict."""
        columns = self.training_people_.columns
        if not isinstance(person, Mapping):
            row = np.asarray(person, dtype=np.float64)
            if row.shape != (len(columns),):
                raise ValueError(f"CausalGate.odds_ratio: expected {len(columns)} values, got an array {row.shape}")
            check_not_negative(row[None], columns)
            return row
        if unknown := set(person) - set(columns):
            raise ValueError(f"CausalGate.odds_ratio: no columns {', '.join(sorted(map(str, unknown)))}")
        return np.array([float(person.get(name, 0)) for name in columns])
