"""The one look of all figures: 900 pixels wide, no frames, titles at the left.

The colours are those of Okabe & Ito, which colour-blind readers can tell apart too.
"""

import functools
import io
from collections.abc import Callable
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
INK, GREY, RULE = "#222222", "#6B6B6B", "#D4D4D4"
DPI = 120
WIDTH, SQUARE = 7.5, 6.4  # inches; a figure in the page's full width, and one about as high as wide

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#E8E8E8",
    "grid.linewidth": 0.8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "white",
    "figure.dpi": DPI,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.1,
    "figure.constrained_layout.h_pad": 0.1,
}
BLUES = LinearSegmentedColormap.from_list("blues", ["#F5F5F5", "#9CC6E0", BLUE])
ORANGES = LinearSegmentedColormap.from_list("oranges", ["#F5F5F5", "#F3BE93", VERMILLION])
GREYS = LinearSegmentedColormap.from_list("greys", ["#FFFFFF", "#505050"])
SIGNED = LinearSegmentedColormap.from_list("signed", [BLUE, "#9CC6E0", "#FFFFFF", "#F3BE93", VERMILLION])

PERCENT = FuncFormatter(lambda share, _: f"{100 * share:.4g}%")

P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in our style, whatever the caller's own settings are, and leave those alone."""

    @functools.wraps(draw)
    def in_style(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(_STYLE)
            return draw(*args, **kwargs)

    return in_style


class _Shown(Figure):
    """A figure that a notebook shows although pyplot, which holds figures in global state, has no part in it."""

    def _repr_png_(self) -> bytes:
        return png(self)


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG file's bytes; equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def figure_of(height: float, width: float = WIDTH) -> Figure:
    """Return an empty figure [inches] that needs no display."""
    figure = _Shown(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def whole_numbers(axes: Axes, most: int) -> None:
    """Label the horizontal axis at whole numbers only, in ``most`` places or fewer."""
    axes.xaxis.set_major_locator(MaxNLocator(most, integer=True, min_n_ticks=1))
