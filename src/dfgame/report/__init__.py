"""Evidence -> pages, tables and files. Nothing is scored or measured here."""
