"""Pages and plots of results and runs.

`data` gathers the numbers that a result keeps for its page, `result` reads a result's folder back,
and `result_page` writes the page. `run` does the same for runs; it needs torch and is imported on
use. `page` joins templates and data into one file, `drawing` makes images, `projection` maps,
`plots` static figures.
"""

from desc.report.data import ReportData
from desc.report.result import ResultView
from desc.report.result_page import write_result_report

__all__ = ["ReportData", "ResultView", "write_result_report"]
