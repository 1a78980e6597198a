"""Evidence -> a page, tables and files. Nothing is scored or measured here."""

from dfgame.report.card import card_facts
from dfgame.report.files import write_report
from dfgame.report.inspection import InspectionContext, render_inspection
from dfgame.report.inspection_data import read_report
from dfgame.report.inspection_words import summary_lines, track_sentence, verdict_sentence
from dfgame.report.page import Picture
from dfgame.report.terminal import card_table, terminal_tables
from dfgame.report.words import findings

__all__ = [
    "InspectionContext",
    "Picture",
    "card_facts",
    "card_table",
    "findings",
    "read_report",
    "render_inspection",
    "summary_lines",
    "terminal_tables",
    "track_sentence",
    "verdict_sentence",
    "write_report",
]
