"""What happened: records, journals, the fold into evidence, and the lake that keeps it all."""
