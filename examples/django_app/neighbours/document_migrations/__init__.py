"""How stored documents came to be as the models are now. Applied in their order, each once.

Not ``migrations``, which is where Django looks for those of its ORM.
"""
