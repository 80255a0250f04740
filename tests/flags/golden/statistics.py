"""Makes statistics.json with SciPy and statsmodels, which know nothing of our code, in an environment of their own:

python -m venv oracle && oracle/bin/pip install scipy==1.17.1 statsmodels==0.15.0
oracle/bin/python tests/flags/golden/statistics.py > tests/flags/golden/statistics.json
"""

import json
import random

import numpy as np
from scipy import stats
from statsmodels.api import WLS
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import (
    confint_proportions_2indep,
    proportion_confint,
    proportion_effectsize,
    proportions_ztest,
)
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

chance = random.Random(20261128)
COUNTS = [
    (30, 100, 45, 100),
    (0, 50, 5, 60),
    (1, 40, 3, 35),
    (500, 10_000, 560, 9_900),
    (50, 50, 49, 50),
    (7, 31, 2, 33),
]


def proportions(hits_c: int, n_c: int, hits_t: int, n_t: int) -> dict[str, object]:
    z, p = proportions_ztest([hits_t, hits_c], [n_t, n_c])
    risk = (
        stats.contingency.relative_risk(hits_t, n_t, hits_c, n_c).confidence_interval(0.95)
        if hits_c and hits_t
        else None
    )
    return {
        "counts": [hits_c, n_c, hits_t, n_t],
        "z": z,
        "p": p,
        "wilson": proportion_confint(hits_t, n_t, method="wilson"),
        "newcombe": confint_proportions_2indep(hits_t, n_t, hits_c, n_c, compare="diff", method="newcomb"),
        "cohen_h": proportion_effectsize(hits_t / n_t, hits_c / n_c),
        "fisher_p": stats.fisher_exact([[hits_t, n_t - hits_t], [hits_c, n_c - hits_c]]).pvalue,
        "risk_ratio": [risk.low, risk.high] if risk else None,
    }


def means(control: list[float], treatment: list[float]) -> dict[str, object]:
    found = stats.ttest_ind(treatment, control, equal_var=False)
    compared = CompareMeans(DescrStatsW(treatment), DescrStatsW(control))
    n = len(control) + len(treatment)
    pooled = np.sqrt(
        ((len(control) - 1) * np.var(control, ddof=1) + (len(treatment) - 1) * np.var(treatment, ddof=1)) / (n - 2)
    )
    return {
        "control": control,
        "treatment": treatment,
        "t": found.statistic,
        "p": found.pvalue,
        "freedom": found.df,
        "interval": list(found.confidence_interval(0.95)),
        "normal_p": float(2 * stats.norm.sf(abs(found.statistic))),
        "normal_interval": list(compared.zconfint_diff(usevar="unequal")),
        "cohen_d": float((np.mean(treatment) - np.mean(control)) / pooled),
    }


def ratio(numerators: list[float], denominators: list[int]) -> dict[str, object]:
    """By a regression through the origin, where nobody has nothing to be divided by; and by drawing persons again.

    Weighted by 1 / x, its slope is sum(y) / sum(x), and White's error with n / (n - 1) that of the delta method.
    """
    y, x = np.array(numerators), np.array(denominators, dtype=float)
    fitted = WLS(y, x, weights=1 / x).fit(cov_type="HC1") if x.all() else None
    drawn = stats.bootstrap(
        (y, x),
        lambda y, x, axis: y.sum(axis=axis) / x.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=20_000,
        batch=500,
        method="percentile",
        rng=1,
    )
    return {
        "numerators": numerators,
        "denominators": denominators,
        "slope": [float(fitted.params[0]), float(fitted.bse[0])] if fitted else None,
        "ratio": float(y.sum() / x.sum()),
        "bootstrap_error": float(drawn.standard_error),
        "bootstrap": list(drawn.confidence_interval),
    }


def plain(value: object) -> object:
    return float(value) if isinstance(value, np.floating) else value.tolist()


samples = [
    ([chance.gauss(10, 2) for _ in range(40)], [chance.gauss(11, 5) for _ in range(35)]),
    ([chance.expovariate(1 / 800) for _ in range(60)], [chance.expovariate(1 / 900) for _ in range(31)]),
    ([chance.gauss(0.8, 0.1) for _ in range(31)], [chance.gauss(0.8, 0.1) for _ in range(200)]),
]
RATIOS = [
    ([chance.gammavariate(2, 0.004) * n for n in counts], counts)
    for counts in ([chance.randint(1, 9) for _ in range(60)], [chance.choice((0, 0, 1, 2)) for _ in range(150)])
]
p_values = [0.001, 0.04, 0.03, 0.2, 0.9, 0.04]
power = NormalIndPower()
made = {
    "proportions": [proportions(*one) for one in COUNTS],
    "means": [means(*one) for one in samples],
    "ratios": [ratio(*one) for one in RATIOS],
    "chi_squared": [
        [x, df, float(stats.chi2.sf(x, df))] for x in (0.01, 1, 3.84, 10.8, 60) for df in (1, 2, 3, 4, 7, 10)
    ],
    "sample_ratio": [
        [counts, weights, *stats.chisquare(counts, np.array(weights) / sum(weights) * sum(counts))]
        for counts, weights in (([5_000, 5_100], [1, 1]), ([5_000, 5_300], [1, 1]), ([700, 290, 10], [70, 25, 5]))
    ],
    "corrected": [p_values, list(multipletests(p_values, method="fdr_bh")[1])],
    "people_for_proportion": [
        [
            base,
            lift,
            alpha,
            wanted,
            share,
            power.solve_power(proportion_effectsize(base * (1 + lift), base), power=wanted, alpha=alpha, ratio=share),
        ]
        for base, lift, alpha, wanted, share in (
            (0.3, 0.1, 0.05, 0.8, 1),
            (0.05, 0.2, 0.05, 0.9, 1),
            (0.6, -0.05, 0.04, 0.8, 1),
            (0.3, 0.1, 0.05, 0.8, 0.25),
            (0.4, -0.1, 0.03, 0.8, 3),
        )
    ],
    "people_for_mean": [
        [
            mean,
            deviation,
            lift,
            alpha,
            wanted,
            share,
            power.solve_power(mean * lift / deviation, power=wanted, alpha=alpha, ratio=share),
        ]
        for mean, deviation, lift, alpha, wanted, share in (
            (800, 600, 0.05, 0.05, 0.8, 1),
            (4.2, 1.1, 0.02, 0.04, 0.9, 1),
            (800, 600, 0.05, 0.03, 0.8, 0.1),
            (4.2, 1.1, -0.02, 0.015, 0.8, 2.5),
        )
    ],
}
print(json.dumps(made, default=plain, indent=1))
