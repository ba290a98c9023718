"""`nnunet_sgdc-show` on label maps and images of a few pixels."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from nnunet_sgdc.evaluation.case_set import LabelScheme
from nnunet_sgdc.evaluation.errors import EvaluationError
from nnunet_sgdc.evaluation.selection import from_worst_to_best
from nnunet_sgdc.evaluation.show import SHEET_ROWS, show
from nnunet_sgdc.evaluation.show_command import main
from nnunet_sgdc.evaluation.shown_case import ShownCase, mean_dice

SIZE = 24
CASES = ("a", "b", "c")
LESION = LabelScheme({"lesion": 1})


def square(side: int, label: int = 1) -> NDArray[np.uint8]:
    label_map = np.zeros((SIZE, SIZE), np.uint8)
    label_map[:side, :side] = label
    return label_map


def save(values: NDArray[np.generic], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def declare(folder: Path, **labels: int) -> None:
    content = {"labels": {"background": 0, **(labels or {"lesion": 1})}, "file_ending": ".png"}
    (folder / "dataset.json").write_text(json.dumps(content))


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Three cases; the prediction of the first is the best, that of the last the worst."""
    folders = {name: tmp_path / name for name in ("images", "predictions", "truth")}
    for number, case in enumerate(CASES):
        save(np.full((SIZE, SIZE, 3), 90, np.uint8), folders["images"] / f"{case}_0000.png")
        save(square(12), folders["truth"] / f"{case}.png")
        save(square(12 - 2 * number), folders["predictions"] / f"{case}.png")
    declare(folders["predictions"])
    return folders


def shown(folders: dict[str, Path], output: Path, **options: Any) -> Any:
    return show(folders["images"], folders["predictions"], output, truth=folders["truth"], **options)


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def size(picture: Path) -> tuple[int, int]:
    with Image.open(picture) as image:
        return image.size


def half(*files: Path) -> NDArray[np.float32]:
    return np.full((SIZE, SIZE), 0.5, np.float32)


# What is written


def test_every_prediction_gets_a_picture(folders: dict[str, Path], tmp_path: Path) -> None:
    report = show(folders["images"], folders["predictions"], tmp_path / "out")
    assert names(tmp_path / "out") == {"a.png", "b.png", "c.png"}
    assert str(report) == f"3 cases drawn -> {tmp_path / 'out'}"


@pytest.mark.parametrize(("known", "columns"), [({}, 2), ({"truth"}, 3), ({"truth", "boundary_of"}, 4)])
def test_what_is_known_has_columns(folders: dict[str, Path], tmp_path: Path, known: set[str], columns: int) -> None:
    options: dict[str, Any] = {"truth": folders["truth"], "boundary_of": half}
    given = {name: options[name] for name in known}
    show(folders["images"], folders["predictions"], tmp_path / "out", **given)
    assert size(tmp_path / "out" / "a.png")[0] == columns * (512 + 8) + 8


def test_chosen_cases_are_drawn_alone(folders: dict[str, Path], tmp_path: Path) -> None:
    assert shown(folders, tmp_path / "out", cases=["b", "b"]).skipped == ()
    assert names(tmp_path / "out") == {"b.png"}


def test_with_truth_the_worst_comes_first(folders: dict[str, Path], tmp_path: Path) -> None:
    assert shown(folders, tmp_path / "out").cases == ("c", "b", "a")


def test_a_contact_sheet_has_a_row_for_each_case(folders: dict[str, Path], tmp_path: Path) -> None:
    shown(folders, tmp_path / "out", contact_sheet=True)
    sheet, one = (size(tmp_path / "out" / name) for name in ("contact_sheet.png", "a.png"))
    assert sheet[1] - one[1] == 3 * 384 + 2 * 26 - 512


def test_many_cases_have_several_contact_sheets(folders: dict[str, Path], tmp_path: Path) -> None:
    for number in range(SHEET_ROWS):
        save(np.zeros((SIZE, SIZE, 3), np.uint8), folders["images"] / f"{number}_0000.png")
        save(square(4), folders["predictions"] / f"{number}.png")
    show(folders["images"], folders["predictions"], tmp_path / "out", contact_sheet=True)
    first, second = (size(tmp_path / "out" / f"contact_sheet_{number}.png") for number in (1, 2))
    assert first[1] - second[1] == 17 * (384 + 26)


def test_boundary_probabilities_are_saved_in_16_bits(folders: dict[str, Path], tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, SIZE * SIZE, dtype=np.float32).reshape(SIZE, SIZE)
    shown(folders, tmp_path / "out", boundary_of=lambda *files: ramp, save_boundary=True)
    saved = np.asarray(Image.open(tmp_path / "out" / "boundary" / "b.png"))
    assert saved.dtype == np.uint16
    np.testing.assert_allclose(saved / 65535, ramp, atol=1e-5)


def test_the_boundary_is_that_of_all_files_of_the_image(folders: dict[str, Path], tmp_path: Path) -> None:
    for channel in (1, 2):
        save(square(3), folders["images"] / f"a_000{channel}.png")
    asked: list[str] = []
    shown(
        folders, tmp_path / "out", boundary_of=lambda *files: asked.extend(f.name for f in files) or half(), cases="a"
    )
    assert asked == ["a_0000.png", "a_0001.png", "a_0002.png"]


def test_images_without_a_prediction_are_told(folders: dict[str, Path], tmp_path: Path) -> None:
    (folders["predictions"] / "b.png").unlink()
    report = shown(folders, tmp_path / "out")
    assert str(report).endswith("out; images without a prediction are left out (1: b)")
    assert names(tmp_path / "out") == {"a.png", "c.png"}


@pytest.mark.parametrize("place", ["validation/..", "images/..", "truth/.."])
def test_the_classes_are_found_beside_the_folders(folders: dict[str, Path], tmp_path: Path, place: str) -> None:
    (folders["predictions"] / "dataset.json").unlink()
    predictions = tmp_path / "model" / "fold_0" / "validation"
    predictions.parent.mkdir(parents=True)
    folders["predictions"].rename(predictions)
    declare(tmp_path / "model" if place == "validation/.." else tmp_path)
    show(folders["images"], predictions, tmp_path / "out", truth=folders["truth"])
    assert len(names(tmp_path / "out")) == 3


def test_classes_can_be_named(folders: dict[str, Path], tmp_path: Path) -> None:
    (folders["predictions"] / "dataset.json").rename(tmp_path / "mine.json")
    shown(folders, tmp_path / "out", dataset_json=tmp_path / "mine.json")


# Titles


def titled(folder: Path, truth: NDArray[np.uint8], prediction: NDArray[np.uint8], labels: LabelScheme) -> str:
    image = save(np.zeros((SIZE, SIZE, 3), np.uint8), folder / "x_0000.png")
    case = ShownCase("x", (image,), save(prediction, folder / "prediction.png"), save(truth, folder / "truth.png"))
    return case.panel(labels, case.scores(labels)).title


def test_one_class_is_titled_with_its_scores(tmp_path: Path) -> None:
    # Two columns of 10 pixels are missed.
    assert titled(tmp_path, square(10), square(10) * (np.arange(SIZE) < 8), LESION) == "x   Dice 0.889  HD95 2.0 px"


def test_few_classes_are_titled_one_by_one(tmp_path: Path) -> None:
    labels = LabelScheme({"naevus": 1, "melanoma": 2})
    expected = "x   naevus Dice 1.000  HD95 0.0 px   melanoma Dice 0.000  HD95 33.9 px"
    truth = square(4)
    truth[20:, 20:] = 2
    assert titled(tmp_path, truth, square(4), labels) == expected


def test_many_classes_are_titled_with_the_mean_of_those_that_are_there(tmp_path: Path) -> None:
    labels = LabelScheme({f"class {number}": number for number in range(1, 7)})
    prediction = square(4)
    prediction[20:, 20:] = 2
    assert titled(tmp_path, square(4), prediction, labels) == "x   mean Dice 0.500 of 2 classes"


def test_ignored_pixels_are_not_scored(tmp_path: Path) -> None:
    truth = np.where(np.arange(SIZE) < 8, square(10), 2).astype(np.uint8)
    assert titled(tmp_path, truth, square(10), LabelScheme({"lesion": 1}, ignore_label=2)).startswith("x   Dice 1.000")


def test_a_case_without_any_object_is_perfect() -> None:
    assert mean_dice({}) == 1


def test_a_choice_is_spread_from_the_worst_to_the_best() -> None:
    scores = {str(number): number / 10 for number in (3, 1, 2, 5, 4)}
    assert from_worst_to_best(scores, 3) == ["1", "3", "5"]
    assert from_worst_to_best(scores, 9) == ["1", "2", "3", "4", "5"]
    assert from_worst_to_best(scores, 1) == ["1"]


# Bad inputs


def spoil_size(folders: dict[str, Path]) -> None:
    save(np.zeros((SIZE, SIZE + 1, 3), np.uint8), folders["images"] / "b_0000.png")


def spoil_size_of_truth(folders: dict[str, Path]) -> None:
    save(np.zeros((SIZE + 1, SIZE), np.uint8), folders["truth"] / "b.png")


def lose_image(folders: dict[str, Path]) -> None:
    (folders["images"] / "b_0000.png").unlink()


def lose_truth(folders: dict[str, Path]) -> None:
    (folders["truth"] / "b.png").unlink()


def add_label(folders: dict[str, Path]) -> None:
    save(square(5, label=7), folders["predictions"] / "b.png")


def add_label_to_truth(folders: dict[str, Path]) -> None:
    save(square(5, label=7), folders["truth"] / "b.png")


def give_picture(folders: dict[str, Path]) -> None:
    save(np.zeros((SIZE, SIZE, 3), np.uint8), folders["predictions"] / "b.png")


def give_text(folders: dict[str, Path]) -> None:
    (folders["predictions"] / "b.png").write_text("text")


def give_nan(folders: dict[str, Path]) -> None:
    (folders["predictions"] / "b.png").unlink()
    save(np.full((SIZE, SIZE), np.nan, np.float32), folders["predictions"] / "b.tif")


def give_nan_image(folders: dict[str, Path]) -> None:
    lose_image(folders)
    save(np.full((SIZE, SIZE), np.nan, np.float32), folders["images"] / "b_0000.tif")


def empty_predictions(folders: dict[str, Path]) -> None:
    for path in folders["predictions"].glob("*.png"):
        path.unlink()


def empty_images(folders: dict[str, Path]) -> None:
    for path in folders["images"].iterdir():
        path.unlink()


def lose_classes(folders: dict[str, Path]) -> None:
    (folders["predictions"] / "dataset.json").unlink()


BAD_INPUTS = {
    spoil_size: r"predictions/b\.png must have the shape of .*images/b_0000\.png, \(24, 25\), got \(24, 24\): give",
    spoil_size_of_truth: r"predictions/b\.png must have the shape of .*truth/b\.png, \(25, 24\), got \(24, 24\)",
    lose_image: r"images must hold each case to draw, but lacks 1: b: give the images that were predicted",
    lose_truth: r"truth must hold each case to draw, but lacks 1: b: add their truth",
    add_label: r"predictions/b\.png must hold only the labels \[0, 1\], got 7 at row 0, column 0",
    add_label_to_truth: r"truth/b\.png must hold only the labels \[0, 1\], got 7 at row 0, column 0",
    give_picture: r"predictions/b\.png must be a label map of one channel, got mode 'RGB'",
    give_text: r"predictions/b\.png must be an image, got .*: write it again",
    give_nan: r"predictions/b\.tif must hold whole numbers, got nan at row 0, column 0: pass labels",
    give_nan_image: r"images/b_0000\.tif must hold finite values, got NaN",
    empty_predictions: r"PREDICTIONS must hold 2-D label maps .*, but .*predictions holds none",
    empty_images: r"IMAGES must hold 2-D images .*, but .*images holds none",
    lose_classes: r"dataset\.json must lie in one of .*predictions, .*, but is missing: name it with --dataset-json",
}


@pytest.mark.parametrize(("spoil", "message"), BAD_INPUTS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_bad_input_is_named_before_anything_is_written(
    folders: dict[str, Path], tmp_path: Path, spoil: Any, message: str
) -> None:
    spoil(folders)
    with pytest.raises(EvaluationError, match=message):
        shown(folders, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == set(folders)


def test_a_label_is_checked_without_truth_as_well(folders: dict[str, Path], tmp_path: Path) -> None:
    add_label(folders)
    with pytest.raises(EvaluationError, match=r"b\.png must hold only the labels \[0, 1\], got 7"):
        show(folders["images"], folders["predictions"], tmp_path / "out")


def test_a_case_that_is_not_predicted_is_named(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"predictions must hold each case to draw, but lacks 2: x, y: predict"):
        shown(folders, tmp_path / "out", cases=["x", "a", "y"])


def test_a_failure_in_the_middle_leaves_nothing_behind(folders: dict[str, Path], tmp_path: Path) -> None:
    def fail(*files: Path) -> NDArray[np.float32]:
        raise EvaluationError("no boundary")

    with pytest.raises(EvaluationError, match="no boundary"):
        shown(folders, tmp_path / "out", boundary_of=fail)
    assert {path.name for path in tmp_path.iterdir()} == set(folders)


# The command


def left_with(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 1
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    return printed


def line(folders: dict[str, Path], output: Path) -> list[str]:
    return [str(folders["images"]), str(folders["predictions"]), "-o", str(output)]


def test_the_command_draws_and_says_where(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--truth", str(folders["truth"]), "--cases", "a", "c", "--contact-sheet"]
    main([*line(folders, tmp_path / "new" / "out"), *options])
    assert capsys.readouterr().out == f"2 cases drawn -> {tmp_path / 'new' / 'out'}\n"
    assert names(tmp_path / "new" / "out") == {"a.png", "c.png", "contact_sheet.png"}


def test_the_command_replaces_pictures_only_when_told_to(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = line(folders, tmp_path / "out")
    main(arguments)
    assert "out exists already: give --overwrite" in left_with(arguments, capsys)
    main([*arguments, "--cases", "a", "--overwrite"])
    assert names(tmp_path / "out") == {"a.png"}


@pytest.mark.parametrize("held", ["images", "predictions", "."])
def test_the_output_never_holds_an_input(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], held: str
) -> None:
    before = names(tmp_path)
    printed = left_with([*line(folders, tmp_path / held), "--overwrite"], capsys)
    assert "-o must be a folder of its own" in printed
    assert names(tmp_path) == before


@pytest.mark.parametrize("option", [["--save-boundary"], ["-f", "0"], ["-device", "cpu"]])
def test_options_of_the_model_need_one(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    printed = left_with([*line(folders, tmp_path / "out"), *option], capsys)
    assert "--save-boundary, -f and -device need a model, got none: name it with --model" in printed


def test_a_model_that_is_missing_is_named(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", str(tmp_path / "nowhere"), "-device", "cpu"]
    assert "nowhere must hold fold_0/checkpoint_final.pth" in left_with(
        [*line(folders, tmp_path / "out"), *options], capsys
    )
