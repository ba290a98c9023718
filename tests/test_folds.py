"""Drawn folds keep groups together and strata even; published folds are read in both forms and checked."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_sgdc.datasets.errors import ConversionError
from nnunet_sgdc.datasets.folds import Fold, grouped_folds, published_folds

CASES = ["a", "b", "c", "d"]
ALONE = {case: case for case in CASES}

# Cases with the group and the stratum of each.
tables = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=40).map(
    lambda rows: (
        {f"case{index}": f"group{group}" for index, (group, _) in enumerate(rows)},
        {f"case{index}": f"stratum{stratum}" for index, (_, stratum) in enumerate(rows)},
    )
)
Table = tuple[dict[str, str], dict[str, str]]


def alone(count: int) -> dict[str, str]:
    return {f"{index:03d}": f"{index:03d}" for index in range(count)}


def sizes(folds: list[Fold], strata: Mapping[str, str]) -> list[Counter[str]]:
    return [Counter(strata[case] for case in fold["val"]) for fold in folds]


def write(folder: Path, content: object) -> Path:
    path = folder / "folds.json"
    path.write_text(json.dumps(content))
    return path


# Drawn folds


@given(tables, st.integers(2, 6), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=150)
def test_every_case_is_validated_once_and_trained_on_otherwise(table: Table, count: int, seed: int) -> None:
    groups, strata = table
    folds = grouped_folds(groups, strata, count=count, seed=seed)
    if folds:
        assert sorted(case for fold in folds for case in fold["val"]) == sorted(groups)
    for fold in folds:
        assert sorted(fold["train"] + fold["val"]) == sorted(groups)
        assert fold == {"train": sorted(fold["train"]), "val": sorted(fold["val"])}


@given(tables, st.integers(2, 6), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=150)
def test_no_group_is_divided(table: Table, count: int, seed: int) -> None:
    groups, strata = table
    for fold in grouped_folds(groups, strata, count=count, seed=seed):
        assert {groups[case] for case in fold["train"]}.isdisjoint(groups[case] for case in fold["val"])


@given(tables, st.integers(2, 6), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=150)
def test_there_are_as_many_filled_folds_as_groups_allow(table: Table, count: int, seed: int) -> None:
    groups, strata = table
    folds = grouped_folds(groups, strata, count=count, seed=seed)
    possible = min(count, len(set(groups.values())))
    assert len(folds) == (possible if possible > 1 else 0)
    assert all(fold["val"] for fold in folds)


@given(tables, st.integers(0, 2**32 - 1), st.randoms())
@settings(deadline=None, max_examples=100)
def test_order_of_the_cases_does_not_matter(table: Table, seed: int, random: Random) -> None:
    shuffled = [dict(random.sample(list(column.items()), len(column))) for column in table]
    assert grouped_folds(*shuffled, seed=seed) == grouped_folds(*table, seed=seed)


def test_folds_share_strata_evenly() -> None:
    groups = alone(100)
    strata = {case: "few" if index < 30 else "many" for index, case in enumerate(groups)}
    assert sizes(grouped_folds(groups, strata, seed=0), strata) == [{"few": 6, "many": 14}] * 5


def test_folds_share_groups_of_different_sizes_evenly() -> None:
    groups = {f"{group}-{index}": str(group) for group in range(40) for index in range(1 + group % 8)}
    strata = {case: "odd" if int(group) % 2 else "even" for case, group in groups.items()}
    for counts in sizes(grouped_folds(groups, strata, seed=0), strata):
        assert counts == {"odd": pytest.approx(20, abs=2), "even": pytest.approx(16, abs=2)}


def test_strata_rarer_than_folds_are_shared_as_one() -> None:
    groups = alone(25)
    strata = {case: "common" if index < 20 else f"rare{index}" for index, case in enumerate(groups)}
    assert [counts["common"] for counts in sizes(grouped_folds(groups, strata, seed=0), strata)] == [4] * 5


@pytest.mark.filterwarnings("error")
def test_rare_strata_neither_warn_nor_disturb_the_common_ones() -> None:
    groups = alone(42)
    names = ["rare"] * 2 + ["less"] * 10 + ["most"] * 30
    strata = dict(zip(groups, names, strict=True))
    assert [counts["most"] for counts in sizes(grouped_folds(groups, strata, seed=0), strata)] == [6] * 5


def test_every_case_of_its_own_stratum_still_gives_even_folds() -> None:
    assert [len(fold["val"]) for fold in grouped_folds(alone(10), alone(10), seed=0)] == [2] * 5


# scikit-learn's own answer has an empty fold.
@pytest.mark.parametrize(
    ("members", "strata", "seed"),
    [("01112233334444444", "03331100000000000", 0), ("00000111223444444", "00200111221111111", 1)],
)
def test_no_fold_is_empty_where_strata_would_leave_one(members: str, strata: str, seed: int) -> None:
    cases = list(alone(len(members)))
    folds = grouped_folds(dict(zip(cases, members, strict=True)), dict(zip(cases, strata, strict=True)), seed=seed)
    assert len(folds) == 5
    assert all(fold["val"] for fold in folds)


def test_seed_decides_the_folds() -> None:
    first, again, other = (grouped_folds(alone(50), alone(50), seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_cases_of_one_group_have_no_folds() -> None:
    assert grouped_folds(dict.fromkeys(CASES, "one"), ALONE, seed=0) == []


def test_no_cases_have_no_folds() -> None:
    assert grouped_folds({}, {}, seed=0) == []


# Published folds


def test_folds_of_nnunet_are_taken_over_and_sorted(tmp_path: Path) -> None:
    path = write(tmp_path, [{"train": ["c", "a"], "val": ["b"]}, {"train": ["b"], "val": ["d", "c"]}])
    assert published_folds(path, CASES, ALONE) == [
        {"train": ["a", "c"], "val": ["b"]},
        {"train": ["b"], "val": ["c", "d"]},
    ]


def test_single_fold_of_nnunet_may_leave_cases_out(tmp_path: Path) -> None:
    path = write(tmp_path, [{"train": ["a"], "val": ["b"]}])
    assert published_folds(path, CASES, ALONE) == [{"train": ["a"], "val": ["b"]}]


@pytest.mark.parametrize("content", [[["d"], ["b", "a"], ["c"]], {"0": ["d"], "1": ["b", "a"], "2": ["c"]}])
def test_fold_validates_one_list_and_trains_on_the_others(tmp_path: Path, content: object) -> None:
    assert published_folds(write(tmp_path, content), CASES, ALONE) == [
        {"train": ["a", "b", "c"], "val": ["d"]},
        {"train": ["c", "d"], "val": ["a", "b"]},
        {"train": ["a", "b", "d"], "val": ["c"]},
    ]


def test_drawn_folds_are_read_back(tmp_path: Path) -> None:
    folds = grouped_folds(alone(30), alone(30), seed=0)
    assert published_folds(write(tmp_path, folds), alone(30), alone(30)) == folds
    assert published_folds(write(tmp_path, [fold["val"] for fold in folds]), alone(30), alone(30)) == folds


@pytest.mark.parametrize(
    "name", ["a", "a.jpg", "a.JPEG", "a.png", "a.bmp", "a.tif", "a.npy", "a_segmentation.png", "a_Segmentation.png"]
)
def test_names_of_images_and_masks_stand_for_their_cases(tmp_path: Path, name: str) -> None:
    assert published_folds(write(tmp_path, [[name], ["b", "c", "d"]]), CASES, ALONE)[0]["val"] == ["a"]


@pytest.mark.parametrize("case", ["x.png", "x_lesion", "x_segmentation", "x.1"])
def test_case_whose_own_name_has_an_ending_is_kept(tmp_path: Path, case: str) -> None:
    for name in (case, f"{case}.png", f"{case}_lesion.bmp"):
        path = write(tmp_path, [[name], ["a"]])
        assert published_folds(path, [case, "a"], {case: case, "a": "a"})[0]["val"] == [case]


def test_byte_order_mark_is_read_over(tmp_path: Path) -> None:
    path = tmp_path / "folds.json"
    path.write_text('[["a", "b"], ["c", "d"]]', encoding="utf-8-sig")
    assert len(published_folds(path, CASES, ALONE)) == 2


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"none\.json must be a readable file .*No such file.*: check the path"):
        published_folds(tmp_path / "none.json", CASES, ALONE)


@pytest.mark.parametrize("content", [b"", b"a, b", b"\xff\xfe\xfd"])
def test_file_that_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "folds.json").write_bytes(content)
    with pytest.raises(ConversionError, match=r"folds\.json must be a JSON file of folds, got other content"):
        published_folds(tmp_path / "folds.json", CASES, ALONE)


@pytest.mark.parametrize(
    "content",
    [
        3,
        [],
        {},
        [["a", "b"]],
        {"0": ["a", "b"]},
        ["a", "b"],
        [["a"], [1]],
        [["a"], []],
        {"train": ["a"], "val": ["b"]},
        {"train": ["a"], "test": ["b"]},
        [{"train": ["a"], "val": []}],
        [{"train": "abc", "val": ["d"]}],
        [{"train": ["a"], "val": ["b"], "test": ["c"]}],
        [{"train": ["a"]}],
        [{"train": ["a"], "val": ["b"]}, ["c"]],
    ],
    ids=json.dumps,
)
def test_other_structure_is_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(ConversionError, match=r'folds\.json must hold a list of \{"train".*: bring it into one of'):
        published_folds(write(tmp_path, content), CASES, ALONE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            [["a"], ["b", "x4", "x1", "c", "x2", "x3"], ["d"]],
            r"fold 1 .* validates .*no training.*\(4: x1, x2, x3, \.\.\.\)",
        ),
        ([{"train": ["a", "x"], "val": ["b"]}], r"fold 0 .* trains on .*no training cases.*\(1: x\)"),
        ([["a", "b"], ["c", "d", "c.png"]], r"fold 1 .* validates cases that it lists twice \(1: c\)"),
        ([{"train": ["a", "c", "a"], "val": ["b"]}], r"fold 0 .* trains on cases that it lists twice \(1: a\)"),
        ([["a"], ["b", "c", "d", "a"]], r"fold 1 .* an earlier fold validates too \(1: a\)"),
        ([["a"], ["b"], ["d"]], r"folds\.json has cases .* in none of its lists \(1: c\)"),
        ([{"train": ["a", "b", "c"], "val": ["b", "c"]}], r"fold 0 .* leaks: cases lie in both .*\(2: b, c\)"),
    ],
)
def test_lists_that_do_not_fit_are_refused(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        published_folds(write(tmp_path, content), CASES, ALONE)


@pytest.mark.parametrize("content", [[["b"], ["a"], ["c", "d"]], [{"train": ["b", "a"], "val": ["d", "c"]}]])
def test_group_within_one_list_is_accepted(tmp_path: Path, content: object) -> None:
    groups = {"a": "a", "b": "b", "c": "pair", "d": "pair"}
    assert published_folds(write(tmp_path, content), CASES, groups)


def test_divided_group_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, [{"train": ["a", "b", "c"], "val": ["d"]}])
    with pytest.raises(
        ConversionError, match=r"fold 0 of .*folds\.json leaks: images that belong .* \(2: c, d\): use a"
    ):
        published_folds(path, CASES, {"a": "a", "b": "b", "c": "pair", "d": "pair"})


@pytest.mark.parametrize("names", [("training", "validation"), ("Train", "Val")])
def test_object_of_training_and_validation_is_not_read_as_two_folds(tmp_path: Path, names: tuple[str, str]) -> None:
    (tmp_path / "folds.json").write_text(json.dumps({names[0]: ["a", "b"], names[1]: ["c"]}))
    with pytest.raises(ConversionError, match="must hold a list of"):
        published_folds(tmp_path / "folds.json", ["a", "b", "c"], {name: name for name in "abc"})


def test_numbered_lists_are_taken_by_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "folds.json").write_text(json.dumps({"fold_10": ["b"], "fold_2": ["a"]}))
    folds = published_folds(tmp_path / "folds.json", ["a", "b"], {name: name for name in "ab"})
    assert [fold["val"] for fold in folds] == [["a"], ["b"]]
