"""stages.segmentation.refine_all against refine_present, picture by picture."""

import numpy as np
import pytest
import torch

from aelib.crf import CRF, HAVE_LATTICE, refine_present
from aelib.pipeline.stages.segmentation import refine_all


@pytest.mark.skipif(not HAVE_LATTICE, reason="needs pydensecrf")
@pytest.mark.parametrize("workers", [1, 2])
def test_absent_labels_that_stay_at_home_change_no_bit(workers):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (9, 7 + i, 3), np.uint8) for i in range(6)]
    f = [rng.dirichlet([1] * 5, i.shape[:2]).transpose(2, 0, 1).astype(np.float32) for i in images]
    present = rng.random((6, 5)) < 0.5  # the background, too: it counts as present
    tensors = map(torch.from_numpy, f)
    pairs = refine_all(images, tensors, present, CRF(), "lattice", workers)
    for image, one, labels, (same, q) in zip(images, f, present, pairs, strict=True):
        assert np.array_equal(same, one)
        assert np.array_equal(q, refine_present(image, one, labels, CRF(), "lattice"))
