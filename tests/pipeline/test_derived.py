"""Derived runs: they share what a setting cannot change, and end in the numbers of a run anew."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from tiny import PHOTOS, TINY, finish, make_everything, make_folder

from aelib.pipeline import manifest, results, sharing, stages
from aelib.pipeline.derived import derive, opening_line
from aelib.pipeline.run import Run, RunError, opened
from aelib.pipeline.settings import make
from aelib.pipeline.verify import repair, verify
from aelib.support import files as support_files
from aelib.support.files import read_json, write_json

#: As TINY, but something is mined in both steps.
LIVELY = TINY | {"train_images": 12, "classifier_epochs": 1}
#: Changes of one or two settings; the first five always, all with AELIB_LONG=1.
CHANGES = [
    {"delta": 0.5},
    {"background_threshold": 0.3},
    {"bilateral_weight": 4.0, "bilateral_srgb": 5.0},
    {"prohibit_threshold": 0.3, "val_images": 11},
    {"object_steps": 1, "stop_evidence": 0.9},
    {"delta_rule": "share"},
    {"delta": 0.35, "background_threshold": 0.6},
    {"cam_scale": 0.75},
    {"start": "warm"},
    {"classification_loss": "squared", "learning_rate": 1e-3},
    {"seed": 7},
    {"train_images": 14},
    {"val_images": 9},
    {"erase_steps": 3},
    {"erase_steps": 3, "object_steps": 3},
    {"object_steps": 1, "delta": 0.1},
    {"classifier_epochs": 2},
    {"network_epochs": 3, "psl_warmup": 0.0},
    {"psl_warmup": 1.0},
    {"batch_size": 4},
    {"optimiser": "sgd", "momentum": 0.5},
    {"weight_decay": 0.1, "last_layer_factor": 2.0},
    {"network_last_layer_factor": 10.0},
    {"features_factor": 0.5, "dropout": 0.3},
    {"superpixels": 60},
    {"superpixels": 30, "crf_iterations": 3},
    {"test_scales": "0.75,1", "test_flip": "yes"},
    {"crf_engine": "exact", "gaussian_sxy": 2.0},
    {"crop": 64, "scale_low": 0.8},
    {"precision": "bfloat16", "bilateral_sxy": 9.0},
]
LONG = pytest.mark.skipif(not os.environ.get("AELIB_LONG"), reason="make test-long")
CASES = [*CHANGES[:5], *(pytest.param(change, marks=LONG) for change in CHANGES[5:])]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return finish(Run(tmp_path_factory.mktemp("root") / "run", "smoke", **LIVELY))


@pytest.fixture
def root(made, tmp_path):
    """A finished run, to derive from and to break."""
    shutil.copytree(made.directory, tmp_path / "run")
    return Run(tmp_path / "run", "smoke")


def test_the_root_has_something_to_change(root):
    """In a run that mines nothing every delta would be right."""
    for step in (1, 2):
        assert any(region.any() for region in stages.regions(root, step, first=step))


def stage_files(run: Run) -> dict[str, bytes]:
    """Every file of every stage, manifests included."""
    files = [f for f in run.directory.glob("*/*") if (f.parent / "manifest.json").exists()]
    return {file.relative_to(run.directory).as_posix(): file.read_bytes() for file in files}


def begun(capsys) -> list[str]:
    """The stages that were made since this was last asked, by what was printed."""
    lines = capsys.readouterr().out.splitlines()
    return [line.removesuffix(" ...") for line in lines if line.endswith(" ...")]


def linked(run: Run, root: Run) -> set[str]:
    """The stages whose every file is the root's."""
    names = set()
    for folder in (file.parent for file in run.directory.glob("*/manifest.json")):
        pairs = [(file, root.directory / folder.name / file.name) for file in folder.iterdir()]
        if all(other.exists() and other.samefile(file) for file, other in pairs):
            names.add(folder.name)
    return names


@pytest.mark.parametrize("change", CASES, ids=str)
def test_a_derived_run_ends_in_the_files_of_a_run_made_from_nothing(root, tmp_path, change):
    before = {file: file.read_bytes() for file in root.directory.rglob("*") if file.is_file()}
    run = derive(root, **change)
    make_everything(run)
    anew = Run(tmp_path / "anew" / "run", "smoke", **LIVELY | change)
    make_everything(anew)
    assert stage_files(run) == stage_files(anew)
    numbers = [results.results(one) for one in (run, anew)]
    assert numbers[0] | {"git": None} == numbers[1] | {"git": None}
    assert verify(run.directory) == []
    assert {file: file.read_bytes() for file in before} == before


def test_the_table_has_thirty_changes_of_one_or_two_settings():
    assert len({str(change) for change in CHANGES}) == 30
    assert all(len(change) in (1, 2) for change in CHANGES)


# --- what is shared -------------------------------------------------------------------------------

STEPS = [f"{kind}-{k}" for k in (1, 2) for kind in ("regions", "scores-mined")]
S = ["pseudo-masks-1", "pseudo-masks-2"]
NETWORKS = [f"{kind}-AE-step{k}" for k in (1, 2) for kind in ("network", "scores")]
WARMUP = ["warmup"]
PSL = [f"{kind}-AE+PSL" for kind in ("network", "scores")]
SECOND = ["refined", *(f"{kind}-AE+PSL++" for kind in ("network", "scores"))]
CEILING = [f"{kind}-{stages.FULL}" for kind in ("network", "scores")]
SCORES = [f"scores-{name}" for name in ("AE-step1", "AE-step2", "AE+PSL", "AE+PSL++", stages.FULL)]
#: One change -> the stages that it can change; the others are shared from the beginning.
CAN_CHANGE = [
    ({"delta": 0.5}, [*STEPS, "classifier-2", *S, *NETWORKS, *WARMUP, *PSL, *SECOND]),
    ({"background_threshold": 0.3}, [*S, *NETWORKS, *WARMUP, *PSL, *SECOND]),
    ({"superpixels": 60}, ["saliency", *S, *NETWORKS, *WARMUP, *PSL, *SECOND]),
    ({"psl_warmup": 0.0}, [*PSL, *SECOND]),
    ({"psl_warmup": 0.4}, [*WARMUP, *PSL, *SECOND]),
    ({"network_loss": "kl"}, [*PSL, *SECOND]),
    ({"confidence": "labels"}, [*PSL, *SECOND]),
    ({"crf_temperature": 2.0}, [*SECOND, *SCORES]),
    ({"prohibition": "weigh"}, SCORES),
    ({"merge_rule": "region"}, [*S, *NETWORKS, *WARMUP, *PSL, *SECOND]),
    ({"bilateral_weight": 4.0}, [*SECOND, *SCORES]),
    ({"test_flip": "yes"}, [*SECOND, *SCORES]),
    ({"prohibit_threshold": 0.2}, SCORES),
    ({"val_images": 9}, ["data-val", *SCORES]),
    ({"stop_evidence": 0.1}, []),
    ({"network_epochs": 1}, [*NETWORKS, *WARMUP, *PSL, *SECOND, *CEILING]),
]


@pytest.mark.parametrize(("change", "can"), CAN_CHANGE, ids=str)
def test_what_a_setting_cannot_change_is_shared_as_the_same_files(root, change, can):
    run = derive(root, **change)
    everything = {*stages.all_names(run.settings)}
    assert linked(run, root) == everything - {*can}
    assert {name for name in everything if not run.finished(name)} == {*can}


def test_a_stage_is_made_when_it_is_first_read_with_what_it_reads_and_no_more(root, capsys):
    run = derive(root, delta=0.5)
    assert begun(capsys) == []
    assert run.json("scores-mined-1", "scores.json")["matrix"]
    assert begun(capsys) == ["regions-1", "scores-mined-1"]
    stages.mine(run, 1)
    assert opened(run.directory).images("saliency", ("train-00000",))[0].shape == (96, 96)
    assert begun(capsys) == []
    assert opened(run.directory).images("pseudo-masks-1", ("train-00000",))
    assert begun(capsys) == ["pseudo-masks-1"]


def test_a_plain_run_still_says_what_is_missing(root):
    shutil.rmtree(root.directory / "regions-1")
    with pytest.raises(RunError, match="regions-1 is needed and not there"):
        root.file("regions-1", "log.json")


def test_a_stage_that_comes_out_the_same_lets_what_reads_it_be_shared(root, capsys):
    """Saliency is kept in steps of 1/255: no pixel lies between these two thresholds."""
    first = derive(root, background_threshold=0.499)
    make_everything(first)
    capsys.readouterr()
    second = derive(first, background_threshold=0.501)
    make_everything(second)
    assert begun(capsys) == ["pseudo-masks-1", "pseudo-masks-2"]
    assert stage_files(second).keys() == stage_files(first).keys()


def test_a_chain_is_named_after_what_differs_from_the_root_and_shares_with_every_link(root, capsys):
    one = derive(root, delta=0.5)
    stages.make(one, "scores-mined-2")
    begun(capsys)
    two = derive(one, background_threshold=0.3)
    assert two.directory == root.directory.with_name("run,background_threshold=0.3,delta=0.5")
    assert two.settings == make("smoke", **LIVELY, delta=0.5, background_threshold=0.3)
    assert {"regions-1", "scores-mined-2", "classifier-2"} <= linked(two, one)
    stages.make(two, "pseudo-masks-1")
    assert begun(capsys) == ["pseudo-masks-1"]
    three = derive(two, delta=root.settings.delta)
    assert three.directory == root.directory.with_name("run,background_threshold=0.3")
    back = derive(three, background_threshold=root.settings.background_threshold)
    assert back.directory == root.directory and back.make is None
    assert derive(two, background_threshold=0.4).directory == one.directory
    assert derive(two, delta=0.2, background_threshold=0.4).directory == root.directory


def test_what_differs_in_no_number_is_the_same_run(root):
    there = {*root.directory.parent.iterdir()}
    for change in ({}, {"delta": None}, {"delta": 0.2}, {"workers": 2}):
        assert derive(root, **change) is root
    assert root.settings.workers == 2
    run = derive(root, workers=1, delta=0.5)
    assert run.settings.workers == 1 and run.directory.name == "run,delta=0.5"
    assert {*root.directory.parent.iterdir()} == {*there, run.directory}


def test_text_is_made_safe_in_a_name(root):
    run = derive(root, test_scales="0.75,1", data_root="a/b c")
    assert run.directory.name == "run,data_root=a%2Fb%20c,test_scales=0.75%2C1"


def test_a_name_of_ones_own(root, tmp_path):
    run = derive(root, tmp_path / "far" / "mine", delta=0.5)
    assert run.directory == tmp_path / "far" / "mine" and run.make
    assert "classifier-1" in linked(run, root)
    again = derive(root, tmp_path / "far" / "mine", delta=0.5)
    assert again.directory == run.directory
    with pytest.raises(RunError, match=r"delta = 0\.5, not 0\.6"):
        derive(root, tmp_path / "far" / "mine", delta=0.6)


def test_photographs_share_too_and_are_compared_before_a_stage_is_made(tmp_path, capsys):
    root = make_folder(tmp_path / "photos")
    more = {"dataset": "folder", "data_root": str(root)}
    first = Run(tmp_path / "run", "smoke", **TINY | PHOTOS | more)
    stages.mine(first, 1)
    begun(capsys)
    run = derive(first, delta=0.5)
    stages.mine(run, 1)
    assert begun(capsys) == ["regions-1"]
    (root / "images" / "p0.png").unlink()
    with pytest.raises(RunError, match="the photographs or labels of train"):
        stages.find_saliency(opened(derive(first, delta=0.6).directory))


# --- what it says ---------------------------------------------------------------------------------


def test_the_line_says_where_what_is_shared_and_how_long_the_rest_takes(root):
    seconds = {name: 10.0 for name in stages.all_names(root.settings)}
    lines = [
        f'{{"name": "{n}", "seconds": {s}, "peak_memory_mb": 1}}\n' for n, s in seconds.items()
    ]
    (root.directory / "timings.jsonl").write_text("".join(lines))
    assert opening_line(root) == ""
    run = derive(root, prohibit_threshold=0.3)
    where = f"{run.directory}: prohibit_threshold = 0.3 (run: 0.1); "
    rest = "18 of 23 stages shared, 5 to be made when asked for, about 50 s"
    assert opening_line(run) == where + rest
    stages.make(run, "scores-AE-step1")
    rest = "18 of 23 stages shared, 1 made, 4 to be made when asked for, about 40 s"
    assert opening_line(opened(run.directory)) == where + rest
    more = opening_line(derive(root, erase_steps=3))  # by the times of the other steps
    assert more.endswith("23 of 29 stages shared, 6 to be made when asked for, about 60 s")
    (root.directory / "timings.jsonl").unlink()
    assert opening_line(derive(root, psl_warmup=0.1)).endswith("time not known")


def test_times_of_shared_stages_are_the_roots_and_say_so(root):
    run = derive(root, prohibit_threshold=0.3)
    known = {line["name"]: line for line in root.timings()}
    shared = {line["name"]: line for line in run.timings()}
    assert len(shared) == 18
    assert all(shared[name] == known[name] | {"shared": True} for name in shared)


# --- what goes wrong ------------------------------------------------------------------------------


def test_settings_that_contradict_each_other_make_nothing(root):
    there = {*root.directory.parent.iterdir()}
    for wrong in ({"object_steps": 3}, {"delta": 2.0}, {"detla": 0.5}, {"crop": 0, "loaders": 1}):
        with pytest.raises(ValueError, match="settings: "):
            derive(root, **wrong)
    assert {*root.directory.parent.iterdir()} == there


def test_a_name_too_long_asks_for_one_of_ones_own(root):
    there = {*root.directory.parent.iterdir()}
    long = {"classes": "x" * 300}
    with pytest.raises(
        RunError, match=r"would have \d+ bytes, .* takes 255: give it a name .*--out"
    ):
        derive(root, **long)
    assert {*root.directory.parent.iterdir()} == there
    assert derive(root, root.directory.with_name("short"), **long).settings.classes[0] == "x"


def test_where_the_parent_cannot_be_written_it_lies_in_the_folder_of_runs(
    root, tmp_path, monkeypatch
):
    """A class on one machine: the shared run can only be read."""
    monkeypatch.setenv("AELIB_RUNS", str(tmp_path / "home"))
    shared = root.directory.parent
    access = os.access
    monkeypatch.setattr(os, "access", lambda f, mode: f != shared and access(f, mode))
    monkeypatch.setattr(os, "link", refused)  # nor may one link somebody else's files
    (tmp_path / "home").mkdir()
    one = derive(root, delta=0.5)
    assert one.directory == tmp_path / "home" / "run,delta=0.5"
    assert one.finished("classifier-1") and linked(one, root) == set()
    two = derive(one, background_threshold=0.3)
    assert two.directory == tmp_path / "home" / "run,background_threshold=0.3,delta=0.5"
    assert derive(two, delta=0.2, background_threshold=0.4).directory == root.directory


def refused(*_, **__):
    raise OSError(18, "Invalid cross-device link")


def test_where_links_cannot_be_files_are_copied(root, monkeypatch):
    monkeypatch.setattr(support_files.os, "link", refused)
    run = derive(root, prohibit_threshold=0.3)
    assert linked(run, root) == set()
    assert len(stage_files(run).items() & stage_files(root).items()) == len(stage_files(run))
    file = root.directory / "saliency" / "train-00000.png"
    file.write_bytes(b"")  # a copy is not shared: the other is whole
    assert verify(run.directory) == []
    assert verify(root.directory)[0][1] == "is not what was written (truncated or changed)"


def test_a_deleted_root_is_said_and_what_is_there_stays(root, capsys):
    run = derive(root, delta=0.5)
    other = derive(root, background_threshold=0.3)
    kept = stage_files(run)
    shutil.rmtree(root.directory)
    assert opening_line(run).endswith("; run is gone, so what is missing is made")
    assert stage_files(run) == kept and verify(run.directory) == []
    chain = derive(run, background_threshold=0.3)  # relatives are left
    assert chain.directory.name == "run,background_threshold=0.3,delta=0.5"
    assert "classifier-1" in linked(chain, run)
    back = derive(other, background_threshold=0.4)
    assert back.directory == root.directory and "classifier-2" in linked(back, other)
    begun(capsys)
    make_everything(back)
    assert begun(capsys) == [*("pseudo-masks-1", "network-AE-step1", "scores-AE-step1"), *REST]
    assert "gone" not in opening_line(run)


REST = ["pseudo-masks-2", "network-AE-step2", "scores-AE-step2", "warmup"]
REST += ["network-AE+PSL", "refined"]
REST += ["network-AE+PSL++", "scores-AE+PSL", "scores-AE+PSL++"]


def test_a_run_of_another_aelib_is_refused_with_the_cure(root):
    file = root.directory / "classifier-1" / "manifest.json"
    content = read_json(file)
    content["settings"] = root.settings.to_json()
    del content["format"], content["sha256"]
    write_json(file, content | {"sha256": manifest.digest(content)})
    there = {*root.directory.parent.iterdir()}
    what = r"classifier-1/manifest\.json was written by another version of aelib: "
    with pytest.raises(RunError, match=what + "make that run again"):
        derive(root, delta=0.5)
    with pytest.raises(RunError, match=what + "choose another run directory, or delete"):
        root.file("classifier-1", "log.json")
    with pytest.raises(RunError, match=what + "delete the run"):
        repair(root.directory)
    assert {*root.directory.parent.iterdir()} == there


def test_an_origin_that_cannot_be_read_is_refused_with_the_cure(root):
    run = derive(root, delta=0.5)
    (run.directory / "origin.json").write_text('{"root": 3}')
    with pytest.raises(RunError, match=r"origin\.json is damaged .*: delete it"):
        opened(run.directory).json("scores-mined-1", "scores.json")
    (run.directory / "origin.json").unlink()
    assert opened(run.directory).make is None and verify(run.directory) == []


@pytest.mark.parametrize("which", ["root", "derived"])
def test_a_damaged_shared_file_is_named_in_both_and_each_is_repaired(root, which, capsys):
    run = derive(root, prohibit_threshold=0.3)
    make_everything(run)
    kept = stage_files(run)
    file = {"root": root, "derived": run}[which].directory / "saliency" / "train-00003.png"
    file.write_bytes(file.read_bytes()[:-1])  # in place: the one file has two names
    what = "is not what was written (truncated or changed), shared with "
    names = {root.directory: run.directory.name, run.directory: "run"}
    for directory, other in names.items():
        assert ("saliency/train-00003.png", what + other) in verify(directory)
    assert repair(run.directory) == ["saliency: set aside in damaged/1"]
    begun(capsys)
    assert run.images("saliency", ("train-00003",))[0].shape == (96, 96)
    assert begun(capsys) == ["saliency"]  # the root's is damaged: it cannot be shared
    assert stage_files(run) == kept and verify(run.directory) == []
    repair(root.directory)
    finish(root)
    assert verify(root.directory) == []


def test_a_stage_damaged_in_a_copy_is_taken_from_the_root_again(root, capsys):
    run = derive(root, prohibit_threshold=0.3)
    file = run.directory / "classifier-2" / "weights.safetensors"
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content[:100])
    assert [what for _, what in verify(run.directory)] == [manifest.CHANGED]
    repair(run.directory)
    begun(capsys)
    assert run.file("classifier-2", "weights.safetensors").read_bytes() == content
    assert begun(capsys) == [] and "classifier-2" in linked(run, root)


def test_damage_in_the_root_is_never_shared(root, capsys):
    file = root.directory / "classifier-2" / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    run = derive(root, prohibit_threshold=0.3)
    assert not run.finished("classifier-2") and run.finished("classifier-1")
    assert not list(run.directory.glob(".*.partial"))
    begun(capsys)
    run.file("classifier-2", "weights.safetensors")
    assert begun(capsys) == ["classifier-2"]


DERIVER = """
import sys
from aelib.pipeline.derived import derive
from aelib.pipeline.run import opened
from pathlib import Path
print("ready", flush=True)
sys.stdin.readline()
run = derive(opened(Path(sys.argv[1])), delta=0.5)
assert run.finished("classifier-1") and run.finished("saliency")
print(run.directory.name)
"""


def test_processes_that_derive_the_same_run_at_once_all_get_it(root):
    command = [sys.executable, "-c", DERIVER, str(root.directory)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(4)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0 and output == "run,delta=0.5\n"
    names = {file.name for file in root.directory.parent.iterdir()}
    assert names == {"run", "run,delta=0.5"}
    assert verify(root.directory.with_name("run,delta=0.5")) == []


@pytest.mark.parametrize("after", [1, 3, 7])
def test_a_kill_while_it_shares_leaves_a_run_that_goes_on(root, monkeypatch, after):
    calls = 0
    link = sharing.link

    def killed(source, target):
        nonlocal calls
        calls += 1
        if calls > after:
            raise KeyboardInterrupt
        link(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(sharing, "link", killed)
        with pytest.raises(KeyboardInterrupt):
            derive(root, prohibit_threshold=0.3)
    directory = root.directory.with_name("run,prohibit_threshold=0.3")
    assert verify(directory) == []
    run = derive(root, prohibit_threshold=0.3)
    assert len(linked(run, root)) == 18 and not list(directory.glob(".*.partial"))


def test_while_another_process_makes_a_stage_the_run_opens_and_is_read(root):
    run = derive(root, delta=0.5)
    shutil.rmtree(run.directory / "saliency")
    with run.making("regions-1"):
        again = derive(root, delta=0.5)
        assert not again.finished("saliency")
        assert again.file("classifier-1", "log.json").exists()
    assert derive(root, delta=0.5).finished("saliency")


# --- nothing is read twice ------------------------------------------------------------------------


@pytest.fixture
def hashed(monkeypatch):
    """The files that were hashed, as often as they were."""
    found = []
    sha256 = manifest.sha256

    def counting(file):
        found.append(file.stat().st_ino)
        return sha256(file)

    monkeypatch.setattr(manifest, "sha256", counting)
    return found


def test_no_file_is_hashed_twice_while_it_stays_as_it_is(root, hashed):
    age(root)
    manifest.forget()
    for _ in range(3):
        run = opened(root.directory)
        make_everything(run)
        run.images("saliency", stages.pictures(run, "train").ids)
        stages.regions(run, 2)
        results.results(run)
        derived = derive(run, prohibit_threshold=0.3)
        derived.images("saliency", stages.pictures(run, "train").ids)
    assert len(hashed) == len({*hashed}) > 30


def age(run):
    """Make all files look older than the clock's tick: a change since would show."""
    for file in run.directory.rglob("*"):
        state = file.stat()
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns - 10**9))


def test_a_file_that_changes_is_hashed_again_even_at_once(root, hashed):
    file = root.file("saliency", "train-00000.png")
    content = file.read_bytes()
    for _ in range(20):  # within the clock's tick, in place and of the same size
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(RunError, match=re.escape("is not what was written")):
            root.file("saliency", "train-00000.png")
        file.write_bytes(content)
        root.file("saliency", "train-00000.png")
    assert len(hashed) > 40
