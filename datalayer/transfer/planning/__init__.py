"""From names to a plan that can end well: which documents, and between which databases. It writes
nothing."""
