"""Pages of what a queryset shows.

``numbered``: page 1, 2, 3 of a queryset, a list, or a list field of one document, with a count.
``keyset``: pages that begin after a document, as fast at the end as at the beginning;
``cursor``: how such a place is written into an address. ``queries``: the methods of querysets.
``request_numbers``: which page, and how many items; ``not_found``: the error that web frameworks
answer with 404.
"""
