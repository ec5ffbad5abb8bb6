"""Small PDF files, made by hand."""

from __future__ import annotations


def pdf(*pages: str, title: str = "", outline: str = "", encrypted: bool = False) -> bytes:
    """A PDF 1.4 with a line of Helvetica on each page."""
    kids = " ".join(f"{10 + 2 * n} 0 R" for n in range(len(pages)))
    bodies = {
        1: "<< /Type /Catalog /Pages 2 0 R" + (" /Outlines 5 0 R" if outline else "") + " >>",
        2: f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        3: "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        4: f"<< /Title ({title}) >>",
    }
    if outline:
        bodies[5] = "<< /Type /Outlines /First 6 0 R /Last 6 0 R /Count 1 >>"
        bodies[6] = f"<< /Title ({outline}) /Parent 5 0 R /Dest [10 0 R /Fit] >>"
    if encrypted:
        key = "<" + "00" * 32 + ">"
        bodies[7] = f"<< /Filter /Standard /V 1 /R 2 /Length 40 /P -44 /O {key} /U {key} >>"
    for n, text in enumerate(pages):
        stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET"
        resources = "<< /Font << /F1 3 0 R >> >>"
        bodies[10 + 2 * n] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {11 + 2 * n} 0 R "
            f"/Resources {resources} >>"
        )
        bodies[11 + 2 * n] = f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream"
    made = b"%PDF-1.4\n"
    places: dict[int, int] = {}
    for number, body in sorted(bodies.items()):
        places[number] = len(made)
        made += f"{number} 0 obj\n{body}\nendobj\n".encode()
    start = len(made)
    size = max(bodies) + 1
    made += f"xref\n0 {size}\n0000000000 65535 f \n".encode()
    for number in range(1, size):
        used = number in places
        made += (
            f"{places.get(number, 0):010} {'00000' if used else '65535'} {'n' if used else 'f'} \n".encode()
        )
    extra = " /Encrypt 7 0 R /ID [<00> <00>]" if encrypted else ""
    return (
        made
        + f"trailer\n<< /Size {size} /Root 1 0 R /Info 4 0 R{extra} >>\nstartxref\n{start}\n%%EOF\n".encode()
    )
