"""`im-loss`: the mean potential of every layer at a set value."""

from typing import ClassVar

from torch import Tensor
from typing_extensions import override

from mpdviz.regularizers.base import Forward, Regularizer, potentials


class IMLoss(Regularizer):
    """weight * sum over layers of (mean U - v_th / T)^2.

    Information maximisation (Guo et al., NeurIPS 2022): spikes are to tell as much as they can. The mean is
    over all timesteps, samples and neurons of a layer; U is the pre-reset potential, whose gradient goes
    through time and reset. The released code has the constants weight = 0.005 and 0.5 / T; 0.5 is the
    potential at which its neurons fire, so it is the neurons' v_th here, which is 0.5 unless told. The
    paper's surrogate that sharpens over training (EvAF) is not part of it.
    """

    name: ClassVar[str] = "im-loss"
    source: ClassVar[str] = "Guo et al., NeurIPS 2022"

    def __init__(self, weight: float = 0.005) -> None:
        """Set the penalty's weight.

        Raises:
            BadInput: it is no positive number.
        """
        super().__init__(weight)

    @override
    def of_layer(self, forward: Forward) -> Tensor:
        mean = self.mean(potentials(forward).mean())
        return (mean - forward.layer.neuron.v_th / len(forward.current)).square()

    @override
    def of_layers(self, terms: Tensor) -> Tensor:
        return terms.sum()
