"""Evidence -> a page, tables and files. Nothing is scored or measured here."""

from dfgame.report.files import write_report
from dfgame.report.page import Picture
from dfgame.report.terminal import terminal_tables
from dfgame.report.words import findings

__all__ = ["Picture", "findings", "terminal_tables", "write_report"]
