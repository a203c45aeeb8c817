"""The report for people: one self-contained HTML file."""

from hitofude.outputs.html_report.page import Page, render, write_page

__all__ = ["Page", "render", "write_page"]
