"""`dspike`: Dspike's shape at one constant width."""

from typing import ClassVar

from mpdviz.strategies.fixed import Fixed
from mpdviz.surrogates.dspike import DSpike as Shape


class DSpike(Fixed):
    """One constant width with the shape `dspike` (Li et al., NeurIPS 2021).

        h(x) = alpha / (2 tanh(alpha/2) kappa) sech(alpha x / kappa)^2  where |x| < kappa/2, else 0

    with x = v - v_th; the same as `fixed:kappa=...:shape=dspike:alpha=...`. The formula is that of an
    implementation by others than the authors; the paper's search for alpha by finite differences during
    training is left out.
    """

    name: ClassVar[str] = "dspike"
    source: ClassVar[str] = "Li et al., NeurIPS 2021"
    own_shape: ClassVar[str | None] = "dspike"

    def __init__(self, alpha: float = 2.0, kappa: float = 1.0) -> None:
        """Set how peaked the shape is, and its full width.

        Raises:
            BadInput: one of them is not a positive number.
        """
        super().__init__(kappa)
        self.shape = Shape(alpha)
