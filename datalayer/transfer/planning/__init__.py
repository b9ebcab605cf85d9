"""From names to a plan that can end well. It writes nothing.

- ``build``: what a plan says, and which method and size of ranges are best
- ``selection``: which collections and documents are meant by models, names and a filter
- ``checks``: whether both databases are in a state for it: privileges, space, the target
"""
