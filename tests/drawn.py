"""What a figure really shows, after a layout: its texts, where they lie, how large and in which colours."""

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg


def panels(figure):
    """All axes, insets too."""
    return [*figure.axes, *(inset for axis in figure.axes for inset in axis.child_axes)]


def shown_texts(figure):
    """Every text that is drawn."""
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    texts = [*figure.texts, figure._suptitle, figure._supxlabel, figure._supylabel]
    texts += [text for legend in figure.legends for text in (legend.get_title(), *legend.get_texts())]
    for axis in panels(figure):
        texts += axis.texts
        if axis.axison:
            texts += [axis.title, axis.xaxis.label, axis.yaxis.label]
            for side in (axis.xaxis, axis.yaxis):
                # Ticks beyond the limits are kept but not drawn; only matplotlib knows which.
                texts += [label for tick in side._update_ticks() for label in (tick.label1, tick.label2)]
                texts.append(side.get_offset_text())
    unique = {id(text): text for text in texts if text is not None}.values()
    return [text for text in unique if text.get_visible() and text.get_text().strip()]


def check_place(figure, least=0.5):
    """No text leaves the page or lies upon another by more than `least` pixels."""
    texts = shown_texts(figure)
    boxes = np.array([text.get_window_extent().extents for text in texts])
    page = figure.bbox.extents
    inside = (boxes[:, :2] >= page[:2] - 1).all(1) & (boxes[:, 2:] <= page[2:] + 1).all(1)
    assert inside.all(), [text.get_text() for text, ok in zip(texts, inside, strict=True) if not ok]
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    overlap = ((high - low) > least).all(2) & ~np.eye(len(boxes), dtype=bool)
    pairs = [(texts[i].get_text(), texts[j].get_text()) for i, j in np.argwhere(overlap)]
    assert not pairs, pairs[:5]


def check_letters(figure, family=None):
    """No text is smaller than 6 points, subscripts neither; all are of `family`."""
    for text in shown_texts(figure):
        assert text.get_fontsize() >= 6, (text.get_text(), text.get_fontsize())
        assert "^" not in text.get_text().replace("_{", "^"), text.get_text()
        if family is not None:
            assert text.get_fontfamily()[0] == family, text.get_text()


def entries(figure):
    """Colour, marker and dashes of each entry of the legend, by its text."""
    (legend,) = figure.legends
    return {
        text.get_text(): (mpl.colors.to_hex(line.get_color()), line.get_marker(), line._unscaled_dash_pattern)
        for text, line in zip(legend.get_texts(), legend.legend_handles, strict=True)
        if isinstance(line, mpl.lines.Line2D)
    }
