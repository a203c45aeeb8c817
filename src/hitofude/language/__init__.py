"""The languages of the report and of the terminal: ja.toml has the Japanese text of each English message."""
