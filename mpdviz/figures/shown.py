"""Figures that a notebook shows by itself, whether pyplot is there or not."""

from io import BytesIO

import matplotlib.figure

from mpdviz.figures.style import style


class Figure(matplotlib.figure.Figure):
    """What the figures of this package are drawn in."""

    def _repr_png_(self) -> bytes:
        file = BytesIO()
        with style():
            self.savefig(file, format="png", dpi=self.dpi)
        return file.getvalue()
