"""The report page: one HTML file of one or several runs, which opens offline and asks nothing of any other file.

Whatever it shows is read from the folders of the runs (results.json, table.csv), so the page and the files agree, and
the page of an old run can be made again. The charts are drawn by a small script of the project's own, from data that
lie in the page.
"""

from nas.report.page.runs import Run, read_folders
from nas.report.page.write import PAGE, write_page

__all__ = ["PAGE", "Run", "read_folders", "write_page"]
