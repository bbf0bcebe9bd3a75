"""How fine and how strong the detail of a picture is: it depends on the machine, and gives the class away.

In this data set normal pictures are larger and sharper: the strength of fine detail alone separates the classes with
AUC 0.90, and the few soft normal pictures are those that networks call ill.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from train.errors import DatasetError

MARGIN = 0.1
"""Outer share of each side that is not looked at."""
SCALES = (1.0, 4.0)
"""Standard deviations of the Gaussians, in pixels of a picture of `train.dataset.SOURCE_SIZE`, between which detail is
fine and coarse."""
SOFT = 0.85
"""Share of the pneumonias whose coarse detail is weaker than the strongest that a soft normal picture may have."""
FOLDS = 5
REGULARISATION = 0.3
LARGEST = 10.0
RAREST = 0.98
"""No weight is more than so many times the median of its class, nor than this quantile of it."""


def describe_texture(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Logarithms of the strength of fine and coarse detail, mean, and contrast, of the inner part of each picture.

    Args:
        pixels: uint8 [N, H, W].

    Returns:
        float64 [N, 4].
    """
    margins = [round(MARGIN * side) for side in pixels.shape[1:]]
    found = np.empty((len(pixels), 4))
    for row, picture in zip(found, pixels, strict=True):
        inner = picture[margins[0] : len(picture) - margins[0], margins[1] : picture.shape[1] - margins[1]]
        inner = inner.astype(np.float32)
        soft, softer = (gaussian_filter(inner, scale) for scale in SCALES)
        fine, coarse = np.std(inner - soft), np.std(soft - softer)
        row[:] = np.log(max(fine, 0.01)), np.log(max(coarse, 0.01)), inner.mean(), inner.std()
    return found


def balance_texture(pixels: NDArray[np.uint8], ill: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights under which texture tells less of the class: the inverse of the probability of the class, given texture.

    Inverse propensity weights (Rosenbaum and Rubin, Biometrika 1983), by logistic regression, each picture's from a
    regression on other pictures. Soft normal pictures and sharp pneumonias count more, what is usual less.

    Args:
        pixels: uint8 [N, H, W], what is trained on.
        ill: bool [N].

    Returns:
        float64 [N], mean 1 in either class.

    Raises:
        DatasetError: too few pictures of a class.
    """
    if min(ill.sum(), (~ill).sum()) < FOLDS:
        raise DatasetError(f"weights by texture need at least {FOLDS} normal pictures and as many pneumonias")
    regression = make_pipeline(StandardScaler(), LogisticRegression(C=REGULARISATION, max_iter=2000))
    probability = cross_val_predict(regression, describe_texture(pixels), ill, cv=FOLDS, method="predict_proba")[:, 1]
    weights: NDArray[np.float64] = 1 / np.where(ill, probability, 1 - probability).clip(1e-3)
    for kind in (ill, ~ill):
        highest = min(np.quantile(weights[kind], RAREST), LARGEST * np.median(weights[kind]))
        weights[kind] = np.minimum(weights[kind], highest)
        weights[kind] /= weights[kind].mean()
    return weights


def find_soft(pixels: NDArray[np.uint8], ill: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which normal pictures have weaker coarse detail than the sharpest pneumonias: the rest it alone would tell apart.

    Args:
        pixels: uint8 [N, H, W].
        ill: bool [N].

    Returns:
        bool [N].
    """
    coarse = describe_texture(pixels)[:, 1]
    soft: NDArray[np.bool_] = ~ill & (coarse < np.quantile(coarse[ill], SOFT))
    return soft
