"""Pages and pictures of finished numbers: of a result, and of a run.

`data` is what a result's folder keeps for its report, `result` reads a folder back, `clip` cuts
its sound, `pictures` draws sound without a library, `projection` brings descriptors to a map,
`series` and `figures` say what is shown, `page` joins templates and data into one file,
`result_page` is the page of a result; `run` reads a run and draws samples, `run_page` is its
page. What is of runs needs torch, and is imported where it is used.
"""

from desc.report.data import ReportData
from desc.report.result import ResultView
from desc.report.result_page import write_result_report

__all__ = ["ReportData", "ResultView", "write_result_report"]
