"""What runs inside the sandbox. There it is called `control_room_catalog`.

__main__   every document, each in a process of its own, and the result
sources    request → documents: texts, files, archives, rows of tables, records of Odoo
odoo       Odoo's external API, both dialects
reading    a document → title, text, headings; one function per kind
"""
