"""The paper's table, from results.json: ours beside the paper's, and what must stand under it."""

from typing import Any

#: What the paper reports on VOC12 val, mIoU in %. 50.9, 54.1 and 55.0 are sure, the others commonly
#: reported. The last is of DeepLab's authors, for the same network trained on masks.
PAPER = {
    "AE-step1": 44.9,
    "AE-step2": 49.5,
    "AE-step3": 50.9,
    "AE-step4": 48.8,
    "AE+PSL": 54.1,
    "AE+PSL++": 55.0,
    "full supervision": 67.6,
}

#: dataset -> what a table's numbers may be compared with.
SCOPE = {
    "creatures": "Creatures are a teaching instrument: only the shape of the columns may be "
    "compared with the paper's.",
    "voc": "The paper's column is for train_aug's 10,582 and val's 1,449 pictures and 20 classes: "
    "another list is no comparison of equals.",
    "folder": "The paper's column is for PASCAL VOC 2012: pictures of one's own are no comparison "
    "of equals.",
}


def table(content: dict[str, Any]) -> str:
    """Returns the table as Markdown: mIoU in % without and with CRF, and the paper's.

    Args:
        content: of results.json.
    """
    head = ["method", "split", "mIoU", "mIoU + CRF", "the paper (with CRF), VOC12 val"]
    lines = [f"| {' | '.join(head)} |", "|---|---|---:|---:|---:|"]
    by_method: dict[str, dict[bool, dict]] = {}
    for row in content["rows"]:
        if row["method"] != "AE":  # one of the steps under another name
            by_method.setdefault(row["method"], {})[row["crf"]] = row
    for method, rows in by_method.items():
        split = f"{rows[False]['split']}, {rows[False]['images']}"
        percents = [_percent(rows[crf]["miou"]) if crf in rows else "" for crf in (False, True)]
        cells = [method, split, *percents, str(PAPER.get(method, ""))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def class_table(content: dict[str, Any], crf: bool = True) -> str:
    """Returns a network a column, a class a row, as Markdown: IoU in %, and its 95 % interval.

    The intervals are `bootstrap.intervals`, over the val pictures; none of a run without masks.

    Args:
        content: of results.json.
        crf: whether of the answers with CRF.
    """
    networks = [row for row in content["rows"] if row["split"] == "val" and row["method"] != "AE"]
    rows = {row["method"]: row for row in networks if row["crf"] == crf}
    names = [*next(iter(rows.values()))["per_class"], "mean"]
    lines = [f"| IoU, % | {' | '.join(rows)} |", f"|---|{'---:|' * len(rows)}"]
    for name in names:
        cells = [_with_interval(row, name) for row in rows.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _with_interval(row: dict[str, Any], name: str) -> str:
    """Returns a cell such as "53.4 (48.9 to 57.5)"; `name` is a class, or "mean"."""
    mean, interval = name == "mean", row.get("interval")
    value = row["miou"] if mean else row["per_class"][name]
    ends = interval and (interval["miou"] if mean else interval["per_class"][name])
    if value is None or not ends:
        return _percent(value)
    low, high = ends
    return f"{100 * value:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _percent(share: float | None) -> str:
    """Returns a share in %; "no masks" where nothing was scored."""
    return "no masks" if share is None else f"{100 * share:.1f}"


def caption(content: dict[str, Any]) -> str:
    """Returns what must stand under every table: data, thresholds, CRF, initialisation, seed."""
    s = content["settings"]
    bilateral = f"{s['bilateral_weight']:g}, {s['bilateral_sxy']:g}, {s['bilateral_srgb']:g}"
    gaussian = f"{s['gaussian_weight']:g}, {s['gaussian_sxy']:g}"
    sentences = [
        f"Data set {s['dataset']}, profile {s['profile']}, seed {s['seed']}, "
        f"{s['backbone']} LargeFOV, initialisation {content['rows'][0]['init']}.",
        f"Regions: delta {s['delta']} ({s['delta_rule']}); "
        f"S: saliency below {s['background_threshold']} is background; "
        "rows with PSL remove at test the classes whose confidence is "
        f"under {s['prohibit_threshold']}.",
        f"CRF: bilateral ({bilateral}), Gaussian ({gaussian}), {s['crf_iterations']} iterations, "
        f"temperature {s.get('crf_temperature', 1):g}.",
        *_viewing(s),
        "The CAM row scores the regions of step 1 on the training split.",
        "The paper's column is commonly reported to be with CRF: set ours with CRF beside it. "
        "50.9, 54.1 and 55.0 are in its abstract and captions, the others commonly reported.",
        SCOPE[s["dataset"]],
        *(f"**Warning**, {text}." for text in content.get("warnings", [])),
    ]
    return " ".join(sentences)


def _viewing(s: dict[str, Any]) -> list[str]:
    """Returns how photographs were chosen and looked at; nothing for creatures."""
    if s["dataset"] == "creatures":
        return []
    sentences = [f"Classes: {s['classes'] or 'all'}."]
    if s["dataset"] == "voc":
        sentences.insert(0, f"Lists {s['train_list']} and {s['val_list']}.")
    flip = ", mirrored too" if s["test_flip"] == "yes" else ""
    views = f"Seen at scale {s['test_scales']}{flip}"
    return [*sentences, f"{views}, for CAMs and confidences at {s['cam_scale']:g}."]
