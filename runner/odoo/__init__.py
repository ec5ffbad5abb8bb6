"""Odoo's external API, for whoever reads from it: the runner itself, and harnesses that take this room along
into the sandbox (nothing but the standard library is needed).

    site      where an Odoo is, and as whom it is asked
    client    one call in either of its dialects
    records   a model, page by page, between two times
"""
