"""aelib.pipeline.run: a run directory is never silently wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aelib.datasets.photos import palette, save_mask
from aelib.pipeline import directory as directory_module
from aelib.pipeline import run as run_module
from aelib.pipeline import stages
from aelib.pipeline.directory import runs_folder
from aelib.pipeline.run import Run, RunError, peak_memory_mb, save_tensors
from aelib.pipeline.settings import make
from aelib.pipeline.verify import verify
from aelib.support.files import write_json


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()
    }


@pytest.fixture
def run(tmp_path) -> Run:
    """A run with one finished stage."""
    run = Run(tmp_path / "run", "smoke", seed=7)
    with run.making("stage") as folder:
        write_json(folder / "numbers.json", {"a": [1, 2.5], "b": None})
        save_tensors(folder / "maps.safetensors", {"x": torch.arange(6.0).view(2, 3)})
        save_mask(folder / "one.png", np.array([[0, 1], [20, 255]], np.uint8))
    return run


# --- settings -------------------------------------------------------------------------------------


def test_settings_are_stored_and_opened_again(tmp_path):
    made = Run(tmp_path / "a" / "b", "smoke", seed=3, delta=0.3)
    assert json.loads((tmp_path / "a/b/settings.json").read_text()) == made.settings.to_json()
    before = snapshot(tmp_path)
    assert (
        Run(tmp_path / "a/b", "smoke").settings == made.settings
    )  # what is not asked for is as it was made
    assert Run(tmp_path / "a/b", "smoke", seed=3, delta=None).settings.seed == 3
    assert snapshot(tmp_path) == before


def test_other_settings_are_refused_with_both_values_and_nothing_is_touched(run):
    before = snapshot(run.directory)
    with pytest.raises(RunError) as error:
        Run(run.directory, "smoke", seed=8, batch_size=5)
    batch = f"batch_size = {run.settings.batch_size}, not 5"
    both = ("seed = 7, not 8", batch, str(run.directory))
    assert all(part in str(error.value) for part in both)
    with pytest.raises(RunError, match="profile = 'smoke', not 'classroom'"):
        Run(run.directory, "classroom")
    assert snapshot(run.directory) == before


def test_a_profiles_own_value_asked_for_by_name_counts_as_asked(tmp_path):
    own = make("smoke").train_images
    stages.prepare(Run(tmp_path / "run", "smoke", train_images=own + 1))
    with pytest.raises(RunError, match=f"train_images = {own + 1}, not {own}"):
        Run(tmp_path / "run", "smoke", train_images=own)


def test_wrong_settings_make_no_directory(tmp_path):
    with pytest.raises(ValueError, match="batch_size"):
        Run(tmp_path / "run", "smoke", batch_size=0)
    assert not list(tmp_path.iterdir())


def test_relative_directories_count_from_the_root_not_from_here(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for module in (run_module, directory_module):
        monkeypatch.setattr(module, "ROOT", tmp_path / "root")
    monkeypatch.delenv("AELIB_RUNS", raising=False)
    assert Run("x/y", "smoke").directory == tmp_path / "root/x/y"
    assert Run("", "smoke").directory == tmp_path / "root/runs/smoke"
    assert (tmp_path / "root/runs/smoke/settings.json").exists()
    assert not list((tmp_path / "elsewhere").iterdir())


def test_runs_lie_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("AELIB_RUNS", str(tmp_path / "mine"))
    assert runs_folder() == tmp_path / "mine"
    assert Run("", "smoke").directory == tmp_path / "mine" / "smoke"
    monkeypatch.setenv("AELIB_RUNS", "~/mine")
    assert runs_folder() == Path.home() / "mine"


def test_what_changes_no_number_is_not_refused_and_holds_as_asked(run):
    assert run.settings.workers == 2
    again = Run(run.directory, "smoke", workers=1)
    assert again.settings.workers == 1 and again.finished("stage")
    with again.making("next"):
        pass
    again.seal()
    assert Run(run.directory, "smoke").settings.workers == 2
    assert verify(run.directory) == []


def test_an_empty_directory_will_do_and_a_strangers_will_not(tmp_path):
    (tmp_path / "empty").mkdir()
    assert Run(tmp_path / "empty", "smoke").settings.profile == "smoke"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError, match=r"mine is not empty and has no settings\.json"):
        Run(tmp_path / "mine", "smoke")
    assert snapshot(tmp_path / "mine") == {"thesis.tex": b"years of work"}


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RunError, match=str(place)):
            Run(place, "smoke")
    assert snapshot(tmp_path) == {"file": b"x"}


def test_an_unwritable_directory_is_refused(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    try:
        (tmp_path / "locked" / "probe").touch()
        pytest.skip("this user may write anywhere")
    except PermissionError:
        pass
    with pytest.raises(RunError, match="cannot be written"):
        Run(tmp_path / "locked" / "run", "smoke")


WRONG = [{"seed": "x"}, {"batch_size": 0}, {"old": 1}, {"profile": "gone"}, {"profile": []}]
BROKEN = [b"", b'{"profile": "smo', b"\xff\xfe\x00", b"[]", b"null", b"{}"]


OLD = [json.dumps({"profile": "smoke", "seed": 1} | more).encode() for more in WRONG]


@pytest.mark.parametrize("content", BROKEN + OLD)
def test_a_broken_settings_file_is_refused_and_kept(tmp_path, content):
    (tmp_path / "settings.json").write_bytes(content)
    with pytest.raises(RunError, match=r"settings\.json.*(delete|choose)"):
        Run(tmp_path, "smoke")
    assert snapshot(tmp_path) == {"settings.json": content}


# --- stages ---------------------------------------------------------------------------------------


def test_a_finished_stage_reads_back(run):
    assert run.finished("stage") and not run.finished("other")
    assert run.json("stage", "numbers.json") == {"a": [1, 2.5], "b": None}
    assert torch.equal(run.tensors("stage", "maps.safetensors")["x"], torch.arange(6.0).view(2, 3))
    assert [mask.tolist() for mask in run.images("stage", ("one",))] == [[[0, 1], [20, 255]]]
    assert (
        Run(run.directory, "smoke").file("stage", "one.png") == run.directory / "stage" / "one.png"
    )


def test_nothing_is_finished_before_the_end(run):
    with run.making("next") as folder:
        (folder / "a.json").write_text("1")
        assert not run.finished("next")
        with pytest.raises(RunError, match="next is needed and not there"):
            run.file("next", "a.json")
    assert run.json("next", "a.json") == 1 and not folder.exists()


def test_a_stage_that_raises_is_not_finished_and_keeps_its_checkpoint(run):
    finished = snapshot(run.directory)
    with pytest.raises(KeyboardInterrupt), run.making("next") as folder:
        (folder / ".checkpoint").write_text("epoch 3")
        raise KeyboardInterrupt
    assert not run.finished("next")
    assert snapshot(run.directory) == finished | {"next.partial/.checkpoint": b"epoch 3"}
    with run.making("next") as folder:
        assert (folder / ".checkpoint").read_text() == "epoch 3"
        (folder / "result.json").write_text("2")
    assert sorted(snapshot(run.directory / "next")) == ["manifest.json", "result.json"]


def test_remaking_that_raises_leaves_the_old_stage(run):
    before = snapshot(run.directory / "stage")
    with pytest.raises(ZeroDivisionError), run.making("stage"):
        raise ZeroDivisionError
    assert snapshot(run.directory / "stage") == before and run.finished("stage")


def test_a_remade_stage_replaces_the_old_one_whole(run):
    with run.making("stage") as folder:
        (folder / "new.json").write_text("3")
    assert sorted(snapshot(run.directory / "stage")) == ["manifest.json", "new.json"]


@pytest.mark.parametrize("name", ["numbers.json", "maps.safetensors", "one.png"])
@pytest.mark.parametrize("damage", ["changed", "truncated", "emptied", "deleted"])
def test_a_damaged_file_is_refused_by_name(run, name, damage):
    file = run.directory / "stage" / name
    content = file.read_bytes()
    if damage == "deleted":
        file.unlink()
    else:
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        file.write_bytes({"changed": flipped, "truncated": content[:-1], "emptied": b""}[damage])
    with pytest.raises(RunError, match=rf"{name}.*delete the folder"):
        run.file("stage", name)
    readers = {
        "numbers.json": run.json,
        "maps.safetensors": run.tensors,
        "one.png": lambda stage, _: run.images(stage, ("one",)),
    }
    with pytest.raises(RunError, match=name):
        readers[name]("stage", name)


def test_images_are_checked_all_at_once_and_decoded_only_on_access(run, monkeypatch):
    with run.making("many") as folder:
        for i in range(4):
            save_mask(folder / f"{i}.png", np.full((2, 3), i, np.uint8))
    opened, open_ = [], Image.open

    def watched(file, **options):
        opened.append(Path(file).name)
        return open_(file, **options)

    monkeypatch.setattr(Image, "open", watched)
    images = run.images("many", ("3", "0", "2"))
    assert len(images) == 3 and opened == []
    assert (
        images[2].tolist() == [[2] * 3] * 2
        and images[0][0, 0] == 3
        and opened == ["2.png", "3.png"]
    )
    assert [image[0, 0] for image in images[1:]] == [0, 2]
    (run.directory / "many" / "2.png").write_bytes(b"")
    with pytest.raises(RunError, match=r"2\.png is not what was written"):
        # though nobody has asked for its pixels
        run.images("many", ("3", "0", "2"))
    with pytest.raises(RunError, match=r"holds no 4\.png"):
        run.images("many", ("3", "4"))
    damaged_since = r"2\.png cannot be read as a picture.*delete the folder"
    with pytest.raises(RunError, match=damaged_since):
        images[2]


def test_a_file_that_the_stage_never_wrote_is_refused(run):
    (run.directory / "stage" / "added.json").write_text("{}")
    for name in ("added.json", "missing.json"):
        with pytest.raises(RunError, match=f"holds no {name}"):
            run.file("stage", name)


def test_a_stage_that_was_not_made_says_what_to_do(run):
    with pytest.raises(RunError, match="pseudo-masks-3 is needed and not there: run"):
        run.json("pseudo-masks-3", "x.json")


@pytest.mark.parametrize("content", [b"", b'{"files": {', b"\xff", b"{}", b"[]", b'{"files": 3}'])
def test_a_broken_manifest_is_refused_by_name(run, content):
    (run.directory / "stage" / "manifest.json").write_bytes(content)
    with pytest.raises(RunError, match=r"manifest\.json.*delete the folder"):
        run.file("stage", "numbers.json")


def test_timings_have_a_line_for_each_stage_and_the_last_of_one_made_twice(run, tmp_path):
    assert Run(tmp_path / "fresh", "smoke").timings() == []
    for name in ("b", "c", "b"):
        with run.making(name):
            pass
    lines = (run.directory / "timings.jsonl").read_text().splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["stage", "b", "c", "b"]
    timings = run.timings()
    assert sorted(t["name"] for t in timings) == ["b", "c", "stage"]
    assert next(t for t in timings if t["name"] == "b") == json.loads(lines[-1])
    assert all(t["seconds"] >= 0 and t["peak_memory_mb"] >= 0 for t in timings)


def test_a_stage_that_raises_has_no_timing(run):
    with pytest.raises(ZeroDivisionError), run.making("bad"):
        raise ZeroDivisionError
    assert [t["name"] for t in run.timings()] == ["stage"]


# --- files ----------------------------------------------------------------------------------------

VOC = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 4: (0, 0, 128)}
VOC |= {5: (128, 0, 128), 6: (0, 128, 128), 7: (128, 128, 128), 8: (64, 0, 0), 9: (192, 0, 0)}
VOC |= {10: (64, 128, 0), 11: (192, 128, 0), 12: (64, 0, 128), 13: (192, 0, 128)}
VOC |= {14: (64, 128, 128), 15: (192, 128, 128), 16: (0, 64, 0), 17: (128, 64, 0)}
VOC |= {18: (0, 192, 0), 19: (128, 192, 0), 20: (0, 64, 128), 255: (224, 224, 192)}


def test_palette_is_vocs():
    colours = palette()
    assert len(colours) == 3 * 256
    assert {label: tuple(colours[3 * label : 3 * label + 3]) for label in VOC} == VOC
    assert len({tuple(colours[i : i + 3]) for i in range(0, 768, 3)}) == 256


def test_masks_come_back_and_show_vocs_colours(tmp_path):
    labels = np.array([*VOC], np.uint8).reshape(2, -1)
    save_mask(tmp_path / "mask.png", labels)
    image = Image.open(tmp_path / "mask.png")
    assert image.mode == "P" and np.array_equal(np.asarray(image), labels)
    shown = np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()
    assert [tuple(colour) for colour in shown] == list(VOC.values())


def test_every_label_survives_a_mask_file(tmp_path):
    labels = np.random.default_rng(0).integers(0, 256, (33, 47)).astype(np.uint8)
    save_mask(tmp_path / "mask.png", labels)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "mask.png")), labels)


def test_tensors_of_any_memory_format_come_back(run):
    x = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    x.requires_grad_()
    bits = torch.tensor([[1, 255]], dtype=torch.uint8)
    with run.making("t") as folder:
        tensors = {"x": x, "transposed": x.transpose(0, 1), "bits": bits}
        save_tensors(folder / "t.safetensors", tensors)
    got = run.tensors("t", "t.safetensors")
    assert got.keys() == tensors.keys()
    assert all(torch.equal(got[name], value) for name, value in tensors.items())


def test_write_json_replaces_whole_and_leaves_the_old_file_when_it_cannot(tmp_path):
    file = tmp_path / "a.json"
    write_json(file, {"old": 1})
    with pytest.raises(TypeError):
        write_json(file, {"new": object()})
    assert json.loads(file.read_text()) == {"old": 1}
    write_json(file, [2])
    assert json.loads(file.read_text()) == [2] and [f.name for f in tmp_path.iterdir()] == [
        "a.json"
    ]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to compare with")
def test_peak_memory_covers_what_the_process_holds_now():
    lines = Path("/proc/self/status").read_text().splitlines()
    resident = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    assert 0.9 * resident * 1024 / 1e6 <= peak_memory_mb() < 1e6
