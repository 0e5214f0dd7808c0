"""Every file of a finished run, damaged in every way: found, named, and made again alone."""

import json
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from tiny import NETWORKS, PHOTOS, TINY, finish, make_devkit, make_everything, make_folder

from aelib.__main__ import main
from aelib.pipeline import results, stages
from aelib.pipeline.run import Run, RunError
from aelib.pipeline.settings import make
from aelib.pipeline.verify import repair, verify

#: The files of a finished tiny run, written out: this table does not depend on what it tests.
PICTURES = [f"train-{i:05d}.png" for i in range(TINY["train_images"])]
MAPS = [*PICTURES, "log.json"]
TRAINED = ["weights.safetensors", "log.json"]
MADE = {"data": ["log.json"], "data-val": ["log.json"]}
MADE |= {f"classifier-{k}": TRAINED for k in (1, 2)}
MADE |= {f"regions-{k}": ["regions.safetensors", "log.json"] for k in (1, 2)}
MADE |= {"saliency": MAPS, "pseudo-masks-1": MAPS, "pseudo-masks-2": MAPS, "refined": PICTURES}
MADE |= {"warmup": ["state.safetensors", "state.json", "log.json"]}
MADE |= {f"network-{name}": TRAINED for name in NETWORKS}
MADE |= {f"scores-mined-{step}": ["scores.json"] for step in (1, 2)}
MADE |= {f"scores-{name}": ["confusions.safetensors", "scores.json"] for name in NETWORKS}
LOOSE = ["settings.json", "timings.jsonl", "results.json", "manifest.json"]
LOOSE += ["notebooks/01_cam.ipynb", "report/index.html"]
FILES = [f"{stage}/{name}" for stage, names in MADE.items() for name in [*names, "manifest.json"]]
FILES += LOOSE


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


def begun(capsys) -> list[str]:
    """The stages that were made, by what was printed."""
    lines = capsys.readouterr().out.splitlines()
    return [line.removesuffix(" ...") for line in lines if line.endswith(" ...")]


def test_the_table_holds_every_file_of_a_run(tiny_runs):
    run = tiny_runs[0].directory
    there = {file.relative_to(run).as_posix() for file in run.rglob("*") if file.is_file()}
    assert there - {".stage.lock", ".settings.json"} == set(FILES)


def test_every_damage_to_every_file_is_found_and_named_and_nothing_else(tiny_run, tiny_runs, count):
    assert verify(tiny_run.directory) == []
    for name in FILES:
        file = tiny_run.directory / name
        other = (tiny_runs[1].directory / name).read_bytes()
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
            blamed = [found[other] for other in found.keys() - {name}]
            foreign = kind == "of another run" and all("was made from another" in x for x in blamed)
            assert foreign or not blamed, (name, kind, found)
            count["corruptions detected"] += 1
            file.write_bytes(content)
    assert verify(tiny_run.directory) == []


@pytest.mark.parametrize("stage", MADE)
def test_repaired_by_making_again_the_damaged_stage_and_no_other(tiny_run, stage, capsys, count):
    files = [file for file in tiny_run.directory.rglob("*") if file.is_file()]
    before = {file: file.read_bytes() for file in files}
    file = tiny_run.directory / stage / MADE[stage][0]
    file.write_bytes(flipped(file.read_bytes(), 9, 2))
    with pytest.raises(RunError, match=r"truncated or changed.*verify --repair"):
        tiny_run.file(stage, file.name)
    assert repair(tiny_run.directory) == [f"{stage}: set aside in damaged/1"]
    capsys.readouterr()
    finish(tiny_run)
    assert begun(capsys) == [stage]
    assert verify(tiny_run.directory) == []
    for file, content in before.items():
        whole = tiny_run.directory / "manifest.json"
        if file.name not in ("timings.jsonl", ".stage.lock") and file != whole:
            assert file.read_bytes() == content, file
    count["corruptions repaired"] += 1


@pytest.mark.parametrize("name", LOOSE)
@pytest.mark.parametrize("kind", ["emptied", "of another run", "deleted"])
def test_what_is_no_stage_is_repaired_without_making_a_stage(
    tiny_run, tiny_runs, name, kind, capsys, count
):
    file = tiny_run.directory / name
    numbers = (tiny_run.directory / "results.json").read_bytes()
    other = (tiny_runs[1].directory / name).read_bytes()
    put(file, DAMAGE[kind](file.read_bytes(), other))
    repair(tiny_run.directory)
    capsys.readouterr()
    finish(Run(tiny_run.directory, "smoke", seed=0))
    assert " ..." not in capsys.readouterr().out
    assert verify(tiny_run.directory) == []
    assert (tiny_run.directory / "results.json").read_bytes() == numbers
    assert {line["name"] for line in tiny_run.timings()} == set(MADE)
    count["corruptions repaired"] += 1


def test_a_whole_stage_of_another_run_or_place_is_refused(tiny_run, tiny_runs):
    shutil.rmtree(tiny_run.directory / "pseudo-masks-1")
    for source in (
        tiny_runs[1].directory / "pseudo-masks-1",
        tiny_run.directory / "pseudo-masks-2",
    ):
        shutil.copytree(source, tiny_run.directory / "pseudo-masks-1")
        foreign = "belongs to another run or stage"
        with pytest.raises(RunError, match=rf"manifest\.json {foreign}; delete the folder"):
            tiny_run.file("pseudo-masks-1", "train-00000.png")
        assert ("pseudo-masks-1/manifest.json", foreign) in verify(tiny_run.directory)
        shutil.rmtree(tiny_run.directory / "pseudo-masks-1")
    assert ("pseudo-masks-1", "is missing") in verify(tiny_run.directory)


def test_a_strangers_file_is_named_and_set_aside_but_never_deleted(tiny_run):
    for place in ("", "pseudo-masks-1/", "notebooks/"):
        (tiny_run.directory / f"{place}thesis.tex").write_text("years of work")
    strange = "was not written by the run"
    wanted = [(f"{place}thesis.tex", strange) for place in ("notebooks/", "pseudo-masks-1/", "")]
    assert verify(tiny_run.directory) == wanted
    repair(tiny_run.directory)
    assert (
        tiny_run.directory / "damaged/1/pseudo-masks-1/thesis.tex"
    ).read_text() == "years of work"
    assert tiny_run.finished("pseudo-masks-1")
    assert not (tiny_run.directory / "pseudo-masks-1/thesis.tex").exists()


READERS = {"classifier-2": ["regions-2"], "regions-2": ["scores-mined-2", "pseudo-masks-2"]}


@pytest.mark.parametrize("name", READERS)
def test_a_stage_that_comes_out_otherwise_makes_anew_what_was_made_from_it(tiny_run, name, capsys):
    """What is made anew comes out the same here, so nothing after it is made."""
    log = tiny_run.json(name, "log.json")
    (tiny_run.directory / name / "log.json").write_text("{}")
    repair(tiny_run.directory)
    stages.mine(tiny_run, 2)
    folder = tiny_run.directory / name
    files = [file for file in folder.iterdir() if file.name != "manifest.json"]
    kept = {file.name: file.read_bytes() for file in files}
    maker, of = stages.find(name)
    # as another machine might make it
    with tiny_run.making(name, maker.reads(tiny_run.settings, *of), maker.settings) as folder:
        for file, content in kept.items():
            (folder / file).write_bytes(content)
        (folder / "log.json").write_text(json.dumps(log | {"warnings": ["another"]}))
    first = READERS[name][0]
    assert not any(tiny_run.finished(reader) for reader in READERS[name])
    assert tiny_run.finished("pseudo-masks-1") and tiny_run.finished("network-AE-step2")
    with pytest.raises(RunError, match=f"{first} was made from {name}, made anew since"):
        tiny_run.files(first)
    stale = f"is out of date, the next run makes it again: it was made from another {name}"
    assert (f"{first}/manifest.json", stale) in verify(tiny_run.directory)
    capsys.readouterr()
    make_everything(tiny_run)
    assert begun(capsys) == READERS[name]


KINDS = ["creatures", "warm", "voc", "folder", "folder without masks", "folder with maps"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_stage_declares_exactly_what_it_reads(tmp_path, monkeypatch, kind):
    """The `reads` of @stage against what making each stage opens."""
    values = {"start": "warm"} if kind == "warm" else {}
    if kind not in ("creatures", "warm"):
        root = tmp_path / "photos"
        make = make_devkit if kind == "voc" else make_folder
        make(root, masks=kind != "folder without masks")
        maps = str(root / "maps") if kind == "folder with maps" else ""
        values = PHOTOS | {
            "dataset": kind.split()[0],
            "data_root": str(root),
            "saliency_maps": maps,
        }
    run, read, made = Run(tmp_path / "run", "smoke", **TINY | values), set(), {}
    files, making = Run.files, Run.making

    def reading(self, stage):
        read.add(stage)
        return files(self, stage)

    @contextmanager
    def watched(self, stage, reads=(), settings=()):
        with making(self, stage, reads, settings) as folder:
            yield folder
        made[stage] = (set(reads), set(read))
        read.clear()

    monkeypatch.setattr(Run, "files", reading)
    monkeypatch.setattr(Run, "making", watched)
    make_everything(run)
    none = {f"network-{stages.FULL}", f"scores-{stages.FULL}"} if "without" in kind else set()
    assert made.keys() == MADE.keys() - none
    for stage, (said, seen) in made.items():
        assert said == seen, stage


def test_the_command_lists_repairs_and_tells_by_its_status(tiny_run, capsys, monkeypatch):
    monkeypatch.chdir(tiny_run.directory.parent)
    assert main(["verify", "run"]) == 0 and "all as it was written" in capsys.readouterr().out
    (tiny_run.directory / "pseudo-masks-1" / "train-00003.png").write_bytes(b"")
    assert main(["verify", "run"]) == 1
    assert "pseudo-masks-1/train-00003.png is not what was written" in capsys.readouterr().out
    assert main(["verify", "--repair", "run"]) == 0
    assert "pseudo-masks-1: set aside in damaged/1" in capsys.readouterr().out
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
    with pytest.raises(RunError, match=r"scores\.json is not what was written"):
        results.results(tiny_run)
