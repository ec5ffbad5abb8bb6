"""A real Odoo, for tests and for the validation of modules: Debian's package (19), or a checkout.

build     Odoo beside the engine `odoo`, and a cluster with its base module to copy
server    one that answers: a copy of that cluster, Odoo on a free port, ended by its pid
"""
