"""The registry's database: its engine, its tables, its migrations; no rules."""
