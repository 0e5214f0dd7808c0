"""A whole run, without notebooks, in seconds: shared by the tests that need a finished one."""

from aelib import results, stages
from aelib.runs import Run

TINY = {
    "train_images": 8,
    "val_images": 8,
    "classifier_epochs": 2,
    "network_epochs": 2,
    "erase_steps": 2,
    "object_steps": 2,
    "workers": 1,
    "superpixels": 40,
    "crf_iterations": 2,
}
NETWORKS = ("AE-step1", "AE-step2", "AE+PSL", "AE+PSL++", stages.FULL)


def make_everything(run: Run) -> None:
    """All stages of a run, as the notebooks make them."""
    for step in range(1, run.settings.erase_steps + 1):
        stages.mine(run, step)
        stages.score_mined(run, step)
    stages.find_saliency(run)
    for step in range(1, run.settings.erase_steps + 1):
        stages.merge_seeds(run, step)
        stages.train_on_seeds(run, step)
        stages.score_network(run, f"AE-step{step}")
    stages.train_psl(run)
    stages.refine_training_masks(run)
    stages.train_psl_again(run)
    stages.train_ceiling(run)
    for name in ("AE+PSL", "AE+PSL++", stages.FULL):
        stages.score_network(run, name)


def finish(run: Run) -> Run:
    """What `python -m aelib run` does, with stand-ins for the executed notebooks and the report."""
    make_everything(run)
    results.write_results(run)
    for name in ("notebooks/01_cam.ipynb", "report/index.html"):
        (run.directory / name).parent.mkdir(exist_ok=True)
        (run.directory / name).write_text(f"{name} of seed {run.settings.seed}\n")
    run.seal()
    return run
