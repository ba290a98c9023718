"""Scores of masks as the ISIC challenge gives them, by its own package isic-challenge-scoring.

They differ from ours in this: `threshold_jaccard`, by which the challenge of 2018 ranks, counts a Jaccard index below
0.65 as 0; the sensitivity of a case without lesion is 1 even if one is predicted, where ours is 0; the specificity of a
case that is all lesion is 1, where ours is NaN. Jaccard and Dice are the same, 1 if both masks are empty.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.surface import Mask, check_shapes


@dataclass(frozen=True)
class IsicScores:
    """The challenge's scores of a set of cases.

    Attributes:
        macro_average: Means over cases of accuracy, sensitivity, specificity, jaccard, threshold_jaccard and dice.
        cases: The same of each case by its identifier.
    """

    macro_average: Mapping[str, float]
    cases: Mapping[str, Mapping[str, float]]


def official_scores(cases: Iterable[tuple[str, Mask, Mask]]) -> IsicScores:
    """Score cases as the challenge does; one at a time is in memory.

    Args:
        cases: Identifier, true mask and predicted mask of each, the masks of one shape (H, W).

    Raises:
        EvaluationError: If there are no cases, two have one identifier, or one cannot be scored.
    """
    scored: dict[str, dict[str, float]] = {}
    for identifier, truth, prediction in cases:
        if identifier in scored:
            raise EvaluationError(f"cases must have identifiers of their own, got {identifier} twice: leave one out")
        scored[identifier] = official_case_scores(truth, prediction)
    if not scored:
        raise EvaluationError("cases must hold at least one case, got none: score some")
    metrics = next(iter(scored.values()))
    return IsicScores({name: fmean(scores[name] for scores in scored.values()) for name in metrics}, scored)


def official_case_scores(truth: Mask, prediction: Mask) -> dict[str, float]:
    """Score one case, for which the challenge's averages are its scores.

    Args:
        truth: True mask of shape (H, W).
        prediction: Predicted mask of the same shape.

    Raises:
        EvaluationError: If the package is missing, a mask is not 2-D or the shapes differ.
    """
    try:
        from isic_challenge_scoring.load_image import ImagePair
        from isic_challenge_scoring.segmentation import SegmentationScore
    except ImportError as error:
        raise EvaluationError(
            f"official ISIC scores need isic-challenge-scoring, which cannot be imported ({error}): run "
            "pip install 'nnunet_sgdc[isic]'"
        ) from error
    check_shapes(truth, prediction)
    pair = ImagePair(Path())
    # The package reads grey values of files, of which those above 128 are lesion.
    pair.truth_image, pair.prediction_image = (
        np.where(mask, np.uint8(255), np.uint8(0)) for mask in (truth, prediction)
    )
    pair.image_id = ""
    scores: dict[str, float] = SegmentationScore([pair]).macro_average.to_dict()
    return scores
