"""The report that people read: one HTML file that needs nothing beside it."""

from hitofude.outputs.html_report.page import Page, render, write_page

__all__ = ["Page", "render", "write_page"]
