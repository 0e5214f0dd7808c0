"""Sheet 06: wrong answers with words of the message that each must get, and right ones."""

from answers import Answer
from from_run import FromRun

from aelib.course.exercises.results import worst

BEFORE, AFTER = (63.7, 64.0, 61.3), (61.0, 61.4, 58.3)
CHANGE = {"prohibit_threshold": 0.0}
WHY = "the classifier takes the coat for a ram's and nothing forbids it " * 4
GAIN, SPREAD = -2.7667, 0.2082


def scored(settings, scores, seeds=(0, 1, 2)):
    pairs = zip(seeds, scores, strict=True)
    return [{"seed": seed, "settings": settings, "miou": score} for seed, score in pairs]


def experiment(
    runs=None, chosen_on="beforehand", mean_gain=GAIN, spread=SPREAD, why=WHY, change=CHANGE
):
    runs = scored({}, BEFORE) + scored(change, AFTER) if runs is None else runs
    return Answer(runs, chosen_on, mean_gain, spread, why)


one_seed = scored({}, BEFORE[:1], [0]) + scored(CHANGE, AFTER[:1], [0])
two_values = [*scored({}, BEFORE), *scored(CHANGE, AFTER)]
two_values += scored({"prohibit_threshold": 0.3}, AFTER)
two_changes = CHANGE | {"object_steps": 2}
other_seeds = scored({}, BEFORE) + scored(CHANGE, AFTER, (0, 1, 3))
twice = scored({}, BEFORE, (0, 1, 1)) + scored(CHANGE, AFTER)
copied = scored({}, (63.7, 63.7, 63.7)) + scored(CHANGE, AFTER)
fractions = scored({}, (0.637, 0.64, 0.613)) + scored(CHANGE, (0.61, 0.614, 0.583))

wrong = {
    "check_threshold": [
        (0.1, ["ram stays", "below the threshold"]),
        (FromRun(lambda run: worst(run, "hare").v["ram"]), ["ram stays"]),
        (0, ["ram stays"]),
        ("high", ["one number"]),
        (34, ["between 0 and 1"]),
        (..., ["not solved yet"]),
    ],
    "check_experiment": [
        (experiment(one_seed), ["at least 3 seeds"]),
        (experiment(change=two_changes), ["object_steps and prohibit_threshold", "more than one"]),
        (experiment(chosen_on="val"), ["chosen on val"]),
        (experiment(two_values), ["2 changed values of prohibit_threshold", "on val"]),
        (experiment(change={}), ["seed 0 occurs twice"]),
        (experiment(scored({}, BEFORE)), ["nothing was changed"]),
        (experiment(other_seeds), ["seed 2", "one of the two"]),
        (experiment(twice), ["seed 1 occurs twice"]),
        (experiment(copied), ["copied"]),
        (experiment(fractions), ["fraction"]),
        (experiment(change={"delta_": 0.5}), ["no setting delta_"]),
        (experiment(change={"delta": 7}), ["delta", "7"]),
        (experiment(change={"workers": 1}), ["changes no number"]),
        (experiment(change={"val_images": 100}), ["pictures that are scored"]),
        (experiment(mean_gain=2.7667), ["sign is reversed"]),
        (experiment(mean_gain=-8.3), ["sum"]),
        (experiment(spread=0.17), ["divides by n"]),
        (experiment(spread=0.12), ["standard error"]),
        (experiment(spread=1.48), ["difference of each seed first"]),
        (experiment(spread=0.4), ["range"]),
        (experiment(why="it was worse"), ["40 words"]),
        (experiment([3, 4]), ["collected"]),
        (experiment(...), ["not solved yet"]),
    ],
}

delta_up = {"delta": 0.4}
four = scored({}, (50, 51, 49, 52), range(4)) + scored(delta_up, (51, 53, 48, 55), range(4))
right = {
    "check_threshold": [
        FromRun(lambda run: sum(worst(run, "hare").v[name] for name in ("hare", "ram")) / 2)
    ],
    "check_experiment": [
        experiment(),
        experiment(list(reversed(scored({}, BEFORE))) + scored(CHANGE, AFTER), mean_gain=-2.77),
        Answer(
            four,
            "train",
            1.25,
            1.71,
            WHY,
        ),
    ],
}
