"""How stored documents came to be as the models are now. Applied in their order, each once."""
