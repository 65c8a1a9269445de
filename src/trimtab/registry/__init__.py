"""The registry: versions, releases, plans and who may change them; thin shells over `releases`."""
