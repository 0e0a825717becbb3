"""Reports: HTML pages without outside parts, made from run directories alone."""

from snnsim.reports.comparison import write_comparison
from snnsim.reports.run_page import write_report

__all__ = ["write_comparison", "write_report"]
