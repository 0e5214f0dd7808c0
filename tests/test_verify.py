"""Every file of a finished run, damaged in every way: found, named, and made again at no more than its own cost."""

import json
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from tiny import PHOTOS, TINY, finish, make_devkit, make_everything, make_folder

from aelib import results, stages
from aelib.__main__ import main
from aelib.runs import Run, RunError
from aelib.settings import make
from aelib.verify import repair, verify

#: The files of a finished tiny run, by name: written out so that the table below does not depend on what it tests.
PICTURES = [f"train-{i:05d}.png" for i in range(TINY["train_images"])]
MADE = {f"classifier-{k}": ["weights.safetensors", "regions.safetensors", "log.json"] for k in (1, 2)}
MADE |= {"data": ["log.json"]} | {name: [*PICTURES, "log.json"] for name in ("saliency", "seeds-1", "seeds-2")} | {"refined": PICTURES}
NETWORKS = ("AE-step1", "AE-step2", "AE+PSL", "AE+PSL++", "full supervision")
MADE |= {f"network-{name}": ["weights.safetensors", "log.json"] for name in NETWORKS}
MADE |= {f"scores-{name}": ["scores.json"] for name in (*NETWORKS, "mined-1", "mined-2")}
LOOSE = ["settings.json", "timings.jsonl", "results.json", "manifest.json", "notebooks/01_cam.ipynb", "report/index.html"]
FILES = [f"{stage}/{name}" for stage, names in MADE.items() for name in [*names, "manifest.json"]] + LOOSE


def flipped(content: bytes, place: int, bit: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]


DAMAGE = {
    "truncated": lambda content, other: content[: len(content) // 2],
    "emptied": lambda content, other: b"",
    "bit of the first byte flipped": lambda content, other: flipped(content, 0, 0),
    "bit in the middle flipped": lambda content, other: flipped(content, len(content) // 2, 5),
    "bit of the last byte flipped": lambda content, other: flipped(content, len(content) - 1, 7),
    "of another run": lambda content, other: other,
    "deleted": lambda content, other: None,
}


def put(file: Path, content: bytes | None) -> None:
    file.unlink() if content is None else file.write_bytes(content)


def test_the_table_holds_every_file_of_a_run(tiny_runs):
    there = {file.relative_to(tiny_runs[0].directory).as_posix() for file in tiny_runs[0].directory.rglob("*") if file.is_file()}
    assert there - {".stage.lock"} == set(FILES)


def test_every_damage_to_every_file_is_found_and_named_and_nothing_else(tiny_run, tiny_runs, count):
    assert verify(tiny_run.directory) == []
    for name in FILES:
        file, other = tiny_run.directory / name, (tiny_runs[1].directory / name).read_bytes()
        content = file.read_bytes()
        for kind, damage in DAMAGE.items():
            broken = damage(content, other)
            if broken == content:
                assert kind == "of another run", (name, kind)  # two seeds may agree in a small file
                continue
            put(file, broken)
            found = dict(verify(tiny_run.directory))
            assert name in found, (name, kind)
            # nothing else is blamed, but that what was made from a stage does not fit another run's
            assert all(kind == "of another run" and "was made from another" in found[other] for other in found.keys() - {name}), (name, kind, found)
            count["corruptions detected"] += 1
            file.write_bytes(content)
    assert verify(tiny_run.directory) == []


@pytest.mark.parametrize("stage", MADE)
def test_repaired_by_making_again_the_damaged_stage_and_no_other(tiny_run, stage, capsys, count):
    before = {file: file.read_bytes() for file in tiny_run.directory.rglob("*") if file.is_file()}
    file = tiny_run.directory / stage / MADE[stage][0]
    file.write_bytes(flipped(file.read_bytes(), 9, 2))
    with pytest.raises(RunError, match=r"truncated or changed.*verify --repair"):
        tiny_run.file(stage, file.name)
    assert repair(tiny_run.directory) == [f"{stage}: set aside in damaged/1"]
    capsys.readouterr()
    finish(tiny_run)
    assert [line.removesuffix(" ...") for line in capsys.readouterr().out.splitlines() if line.endswith(" ...")] == [stage]
    assert verify(tiny_run.directory) == []
    for file, content in before.items():
        if file.name not in ("timings.jsonl", ".stage.lock") and file != tiny_run.directory / "manifest.json":
            assert file.read_bytes() == content, file
    count["corruptions repaired"] += 1


@pytest.mark.parametrize("name", LOOSE)
@pytest.mark.parametrize("kind", ["emptied", "of another run", "deleted"])
def test_what_is_no_stage_is_repaired_without_making_a_stage(tiny_run, tiny_runs, name, kind, capsys, count):
    file = tiny_run.directory / name
    numbers = (tiny_run.directory / "results.json").read_bytes()
    put(file, DAMAGE[kind](file.read_bytes(), (tiny_runs[1].directory / name).read_bytes()))
    repair(tiny_run.directory)
    capsys.readouterr()
    finish(Run(tiny_run.directory, "smoke", seed=0))
    assert " ..." not in capsys.readouterr().out
    assert verify(tiny_run.directory) == [] and (tiny_run.directory / "results.json").read_bytes() == numbers
    assert {line["name"] for line in tiny_run.timings()} == set(MADE)
    count["corruptions repaired"] += 1


def test_a_whole_stage_of_another_run_or_place_is_refused(tiny_run, tiny_runs):
    shutil.rmtree(tiny_run.directory / "seeds-1")
    for source in (tiny_runs[1].directory / "seeds-1", tiny_run.directory / "seeds-2"):
        shutil.copytree(source, tiny_run.directory / "seeds-1")
        with pytest.raises(RunError, match=r"manifest\.json belongs to another run or stage; delete the folder"):
            tiny_run.file("seeds-1", "train-00000.png")
        assert ("seeds-1/manifest.json", "belongs to another run or stage") in verify(tiny_run.directory)
        shutil.rmtree(tiny_run.directory / "seeds-1")
    assert ("seeds-1", "is missing") in verify(tiny_run.directory)


def test_a_strangers_file_is_named_and_set_aside_but_never_deleted(tiny_run):
    for place in ("", "seeds-1/", "notebooks/"):
        (tiny_run.directory / f"{place}thesis.tex").write_text("years of work")
    assert verify(tiny_run.directory) == [(f"{place}thesis.tex", "was not written by the run") for place in ("notebooks/", "seeds-1/", "")]
    repair(tiny_run.directory)
    assert (tiny_run.directory / "damaged/1/seeds-1/thesis.tex").read_text() == "years of work"
    assert tiny_run.finished("seeds-1") and not (tiny_run.directory / "seeds-1/thesis.tex").exists()


def test_a_stage_that_comes_out_otherwise_makes_anew_what_was_made_from_it(tiny_run, capsys):
    log = tiny_run.json("classifier-2", "log.json")
    (tiny_run.directory / "classifier-2" / "log.json").write_text("{}")
    repair(tiny_run.directory)
    stages.mine(tiny_run, 2)
    folder = tiny_run.directory / "classifier-2"
    kept = {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "manifest.json"}
    with tiny_run.making("classifier-2", ["classifier-1"]) as folder:  # as another machine might make it
        for name, content in kept.items():
            (folder / name).write_bytes(content)
        (folder / "log.json").write_text(json.dumps(log | {"losses": [0.5]}))
    assert not tiny_run.finished("seeds-2") and tiny_run.finished("seeds-1")
    with pytest.raises(RunError, match="seeds-2 was made from classifier-2, made anew since"):
        tiny_run.images("seeds-2", ("train-00000",))
    assert ("seeds-2/manifest.json", "is out of date, the next run makes it again: it was made from another classifier-2") in verify(
        tiny_run.directory
    )
    capsys.readouterr()
    make_everything(tiny_run)
    made = [line.removesuffix(" ...") for line in capsys.readouterr().out.splitlines() if line.endswith(" ...")]
    assert made == ["scores-mined-2", "seeds-2"]  # S came out the same: its networks stay


@pytest.mark.parametrize("kind", ["creatures", "warm", "voc", "folder", "folder without masks", "saliency maps from a folder"])
def test_needs_names_exactly_what_a_stage_reads(tmp_path, monkeypatch, kind):
    """The table of stages.needs against what making each stage opens."""
    values = {"creatures": {}, "warm": {"start": "warm"}, "voc": {"dataset": "voc"} | PHOTOS}.get(kind, {"dataset": "folder"} | PHOTOS)
    if "dataset" in values:
        {"voc": make_devkit}.get(kind, make_folder)(tmp_path / "photos", masks=kind != "folder without masks")
        values |= {"data_root": str(tmp_path / "photos"), "saliency_maps": str(tmp_path / "photos" / "maps") if "maps" in kind else ""}
    run, read, made = Run(tmp_path / "run", "smoke", **TINY | values), set(), {}
    hashes, making = Run._hashes, Run.making
    monkeypatch.setattr(Run, "_hashes", lambda self, stage: read.add(stage) or hashes(self, stage))

    @contextmanager
    def watched(self, stage, reads=()):
        with making(self, stage, reads) as folder:
            yield folder
        made[stage] = (set(reads), set(read))
        read.clear()

    monkeypatch.setattr(Run, "making", watched)
    make_everything(run)
    assert made.keys() == MADE.keys() - ({f"{made_of}-{stages.FULL}" for made_of in ("network", "scores")} if "without" in kind else set())
    for stage, (said, seen) in made.items():
        assert said == seen, stage


def test_the_command_lists_repairs_and_tells_by_its_status(tiny_run, capsys, monkeypatch):
    monkeypatch.chdir(tiny_run.directory.parent)
    assert main(["verify", "run"]) == 0 and "all as it was written" in capsys.readouterr().out
    (tiny_run.directory / "seeds-1" / "train-00003.png").write_bytes(b"")
    assert main(["verify", "run"]) == 1
    assert "seeds-1/train-00003.png is not what was written" in capsys.readouterr().out
    assert main(["verify", "--repair", "run"]) == 0
    assert "seeds-1: set aside in damaged/1" in capsys.readouterr().out
    assert main(["verify", "nowhere"]) == 2 and "no run directory" in capsys.readouterr().err


def test_an_unfinished_run_is_held_against_what_it_has(tmp_path):
    run = Run(tmp_path / "run", "smoke")
    assert verify(run.directory) == []
    with run.making("a") as folder:
        (folder / "x").write_text("x")
    (run.directory / "b.partial").mkdir()
    assert verify(run.directory) == []
    (run.directory / "settings.json").write_text("[]")
    with run.directory.joinpath("a/x").open("a") as file:
        file.write("y")
    assert [name for name, _ in verify(run.directory)] == ["a/x", "settings.json"]
    repair(run.directory)
    assert verify(run.directory) == [] and Run(run.directory, "smoke").settings == make("smoke")


def test_results_say_what_a_wrong_manifest_would_hide(tiny_run):
    """Numbers of a run are never given while a stage they are made from is damaged."""
    (tiny_run.directory / "scores-AE+PSL" / "scores.json").write_text('{"all": [[1]]}')
    with pytest.raises(RunError, match=r"scores\.json is not what the stage wrote"):
        results.results(tiny_run)
