"""Folds for cross-validation as nnU-Net reads them from `splits_final.json`: drawn here, or taken over as published.

Drawn folds keep groups together and share the strata evenly. scikit-learn does the drawing; what it refuses or
answers with an empty fold (rare strata, few groups) is put right here.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TypedDict

from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.errors import counted

FOLD_KEYS = frozenset({"train", "val"})
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".npy")
# The names of folds in an object, such as "0" or "fold_0".
NUMBERED = re.compile(r"[0-9]+$")
MASK_ENDINGS = ("_segmentation", "_Segmentation", "_lesion")


class Fold(TypedDict):
    """Identifiers of the cases that a fold trains on and validates, each sorted."""

    train: list[str]
    val: list[str]


def grouped_folds(groups: Mapping[str, str], strata: Mapping[str, str], *, count: int = 5, seed: int) -> list[Fold]:
    """Draw folds of which each case is validated in exactly one.

    Args:
        groups: For each case the group that it may not be parted from.
        strata: For each case the stratum that the folds shall share evenly.
        count: Number of folds; with fewer groups there are as many folds as groups.
        seed: The same seed gives the same folds, whatever the order of the cases.

    Returns:
        The folds, none of them empty; no folds if all cases are in one group.
    """
    cases = sorted(groups)
    group_of_case = [groups[case] for case in cases]
    count = min(count, len(set(group_of_case)))
    if count < 2:
        return []
    merged = _without_rare([strata[case] for case in cases], count)
    validated = _validated(merged, group_of_case, count, seed)
    if not all(validated):
        # Rounding in scikit-learn's criterion may prefer another fold to an empty one when only other strata fill it.
        validated = _validated([0] * len(cases), group_of_case, count, seed)
    return [_fold(cases, indices) for indices in validated]


def published_folds(path: Path, cases: Collection[str], groups: Mapping[str, str]) -> list[Fold]:
    """Read folds that others have published.

    The file holds either what nnU-Net writes, a list of `{"train": [...], "val": [...]}`, or two or more lists of
    identifiers (in a list, or in an object under numbered names), of which fold k validates the k-th and trains on the
    others. Identifiers may be names of image or mask files. Folds are counted from 0, as by nnU-Net.

    Args:
        path: A JSON file.
        cases: Identifiers of the training cases.
        groups: For each case the group that may not lie in both training and validation.

    Raises:
        ConversionError: The file is not of that form, or its lists name unknown cases, name cases twice, leave cases
            out, or divide a group.
    """
    content = _read_json(path)
    parts = _parts(content)
    known = frozenset(cases)
    written = _folds_of_nnunet(content, path) if parts is None else _folds_of_parts(parts)
    folds = [Fold(train=_identifiers(fold["train"], known), val=_identifiers(fold["val"], known)) for fold in written]
    _check_validation(path, folds, known)
    if parts is not None:
        missing = known.difference(*(fold["val"] for fold in folds))
        _refuse(missing, f"{path} has cases of the data set in none of its lists", "add each of them to one")
    for index, fold in enumerate(folds):
        _check_training(f"fold {index} of {path}", fold, known, groups)
    return folds


def _without_rare(strata: Sequence[str], least: int) -> list[int]:
    """The strata as numbers, where those of fewer than `least` cases are one; it takes in another if it is too small.

    There are at least `least` cases, so none of the numbers is rarer.
    """
    sizes = Counter(strata)
    rest = {stratum for stratum, size in sizes.items() if size < least}
    if 0 < sum(sizes[stratum] for stratum in rest) < least:
        rest.add(min(sizes.keys() - rest, key=lambda stratum: (sizes[stratum], stratum)))
    numbers = {stratum: number for number, stratum in enumerate(sorted(sizes.keys() - rest), start=1)}
    return [numbers.get(stratum, 0) for stratum in strata]


def _validated(strata: Sequence[int], groups: Sequence[str], count: int, seed: int) -> list[list[int]]:
    """Indices of the cases that each fold validates."""
    # Takes a second to import, which --help and errors need not wait for.
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    return [validated.tolist() for _, validated in splitter.split(strata, strata, groups)]


def _fold(cases: Sequence[str], validated: Collection[int]) -> Fold:
    held_out = frozenset(validated)
    return Fold(
        train=[case for index, case in enumerate(cases) if index not in held_out],
        val=[case for index, case in enumerate(cases) if index in held_out],
    )


def _read_json(path: Path) -> object:
    try:
        content: object = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConversionError(f"{path} must be a readable file of folds ({error.strerror}): check the path") from error
    except ValueError as error:
        raise ConversionError(f"{path} must be a JSON file of folds, got other content ({error}): repair it") from error
    return content


def _parts(content: object) -> list[list[str]] | None:
    """The lists of a file in which fold k validates list k; None for a file of another form."""
    # An object of training and validation would else be read as two folds.
    if isinstance(content, dict) and all(map(NUMBERED.search, content)):
        content = [content[name] for name in sorted(content, key=_number)]
    if isinstance(content, list) and len(content) > 1 and all(map(_is_filled_list, content)):
        return content
    return None


def _number(name: str) -> int:
    found = NUMBERED.search(name)
    return int(found[0]) if found else 0


def _folds_of_parts(parts: Sequence[list[str]]) -> list[Fold]:
    return [Fold(train=[*chain(*parts[:index], *parts[index + 1 :])], val=part) for index, part in enumerate(parts)]


def _folds_of_nnunet(content: object, path: Path) -> list[Fold]:
    if isinstance(content, list) and content and all(map(_is_fold, content)):
        return content
    raise ConversionError(
        f'{path} must hold a list of {{"train": [...], "val": [...]}}, or two or more lists of identifiers, none of '
        "them empty, but it holds something else: bring it into one of these forms"
    )


def _is_fold(value: object) -> bool:
    return isinstance(value, dict) and value.keys() == FOLD_KEYS and all(map(_is_filled_list, value.values()))


def _is_filled_list(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def _identifiers(names: Sequence[str], cases: Collection[str]) -> list[str]:
    return sorted(_identifier(name, cases) for name in names)


def _identifier(name: str, cases: Collection[str]) -> str:
    """The case that the name of an image or mask stands for."""
    if name not in cases and name.lower().endswith(IMAGE_ENDINGS):
        name = name.rpartition(".")[0]
    for ending in MASK_ENDINGS:
        if name not in cases:
            name = name.removesuffix(ending)
    return name


def _check_validation(path: Path, folds: Sequence[Fold], cases: Collection[str]) -> None:
    validated: set[str] = set()
    for index, fold in enumerate(folds):
        place = f"fold {index} of {path}"
        _check_list(f"{place} validates", fold["val"], cases)
        again = validated.intersection(fold["val"])
        _refuse(again, f"{place} validates cases that an earlier fold validates too", "leave each of them in one fold")
        validated.update(fold["val"])


def _check_training(place: str, fold: Fold, cases: Collection[str], groups: Mapping[str, str]) -> None:
    _check_list(f"{place} trains on", fold["train"], cases)
    both = set(fold["train"]).intersection(fold["val"])
    _refuse(both, f"{place} leaks: cases lie in both training and validation", "leave each of them in one list")
    divided = {groups[case] for case in fold["train"]} & {groups[case] for case in fold["val"]}
    _refuse(
        [case for case in chain(fold["train"], fold["val"]) if groups[case] in divided],
        f"{place} leaks: images that belong together lie in both training and validation",
        "use a split that keeps them together",
    )


def _check_list(does: str, names: Sequence[str], cases: Collection[str]) -> None:
    unknown = set(names).difference(cases)
    _refuse(unknown, f"{does} cases that are no training cases of the data set", "take the folds of this release")
    repeated = [name for name, times in Counter(names).items() if times > 1]
    _refuse(repeated, f"{does} cases that it lists twice", "list each of them once")


def _refuse(names: Collection[str], complaint: str, remedy: str) -> None:
    """Complain of these cases, if there are any."""
    if names:
        raise ConversionError(f"{complaint} ({counted(sorted(names))}): {remedy}")
