"""A temperature for f: training sharpens f, and a CRF of fixed weights then has less to say.

Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017 (temperature scaling; on
averaged views there are no logits to divide, so it is a power of f).
"""

from torch import Tensor


def temper(f: Tensor, temperature: float) -> Tensor:
    """f^(1/T), normalised over the classes: flatter for T > 1, sharper below, itself for T = 1.

    Args:
        f: probabilities, (C + 1, H, W) in [0, 1], summing to one.
        temperature: T, above 0.
    """
    if temperature == 1:
        return f
    best = f.amax(dim=0)  # a power of 20 would underflow where no class is likely
    tempered = (f / best) ** (1 / temperature)
    return tempered / tempered.sum(dim=0)
