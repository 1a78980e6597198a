"""Evidence -> a page, tables and files. Nothing is scored or measured here."""

from dfgame.report.card import card_facts
from dfgame.report.files import write_report
from dfgame.report.page import Picture
from dfgame.report.terminal import card_table, terminal_tables
from dfgame.report.words import findings

__all__ = ["Picture", "card_facts", "card_table", "findings", "terminal_tables", "write_report"]
