"""Diagrams in, diagrams and pictures out, inside the sandbox.

    request.json → opening (what is let in) → drawio (draw.io's own importer, in Chromium) → mending (what the
    importer loses) → drawio (each page as SVG and PNG) → outputs/, result.json

Standard library only: Chromium is spoken to over two pipes.
"""
