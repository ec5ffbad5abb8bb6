"""From bytes to lines: redaction, progress, bounds."""

from __future__ import annotations

import base64
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.executor.transcript import MAX_LINE, Lines, Redactor, Transcript
from runner.executor.values import MAX_VALUE, MAX_VALUES

SECRET = "correct-horse-battery"


class Said:
    """Collects what a transcript passes on."""

    def __init__(self, folder: Path, *secrets: str) -> None:
        self.lines: list[tuple[str, str]] = []
        self.progressed: list[tuple[int, str]] = []
        self.transcript = Transcript(
            folder / "log",
            Redactor(secrets),
            lambda stream, line: self.lines.append((stream, line)),
            lambda percent, message: self.progressed.append((percent, message)),
        )

    def feed(self, *pieces: bytes, stream: str = "stdout") -> list[str]:
        reader = self.transcript.stream(stream)
        for piece in pieces:
            reader.feed(piece)
        reader.end()
        self.transcript.close()
        return [line for _, line in self.lines]


@pytest.mark.parametrize(
    ("line", "percent", "message"),
    [
        ("::progress 40 half way", 40, "half way"),
        ("::progress 0", 0, ""),
        ("::progress 100 done ", 100, "done"),
        ("::progress 12.7 twelve", 12, "twelve"),
        ("::progress 55%", 55, ""),
        ("::progress 300 too far", 100, "too far"),
        ("::progress\t7\ttab", 7, "tab"),
        (f"::progress 5 {SECRET}", 5, "***"),
    ],
)
def test_a_line_of_progress_is_taken_out(tmp_path: Path, line: str, percent: int, message: str) -> None:
    said = Said(tmp_path, SECRET)

    assert said.feed(line.encode() + b"\n") == []
    assert said.progressed == [(percent, message)]


@pytest.mark.parametrize(
    "line", ["::progress", "::progress x", " ::progress 4", "::progress -4", "::progressing 4"]
)
def test_what_only_looks_like_progress_is_a_line(tmp_path: Path, line: str) -> None:
    said = Said(tmp_path)

    assert said.feed(line.encode() + b"\n") == [line]
    assert said.progressed == []


@given(st.lists(st.integers(0, 60), max_size=6))
def test_a_secret_is_found_however_it_is_cut(cuts: list[int]) -> None:
    text = f"before {SECRET} after\n{SECRET}\n".encode()
    borders = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    lines = Lines(Redactor([SECRET]))
    found = [
        line for start, end in itertools.pairwise(borders) for line in lines.feed(text[start:end])
    ] + lines.end()

    assert found == ["before *** after", "***"]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 3 * MAX_LINE), st.integers(1, 5000))
def test_a_secret_in_an_endless_line_is_found(offset: int, step: int) -> None:
    text = b"x" * offset + SECRET.encode() + b"y" * MAX_LINE
    lines = Lines(Redactor([SECRET]))
    found = [line for i in range(0, len(text), step) for line in lines.feed(text[i : i + step])] + lines.end()

    everything = "".join(found)
    assert everything == "x" * offset + "***" + "y" * MAX_LINE
    assert all(len(line) <= MAX_LINE for line in found)


@pytest.mark.parametrize("inside", range(1, len(SECRET)))
def test_a_secret_at_the_very_cut_of_an_endless_line_is_found(inside: int) -> None:
    lines = Lines(Redactor([SECRET]))
    before = "x" * (2 * MAX_LINE + len(SECRET) + 1 - inside)
    found = lines.feed((before + SECRET[:inside]).encode()) + lines.feed(SECRET[inside:].encode() + b"\n")

    assert "".join(found) == before + "***"


def test_a_secret_with_line_breaks_is_found_line_by_line(tmp_path: Path) -> None:
    key = "-----BEGIN KEY-----\nabcdefgh\nijklmnop\n-----END KEY-----\n"

    assert Said(tmp_path, key).feed(key.encode()) == ["***"] * 4


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=8, max_size=40),
    st.binary(max_size=7),
    st.binary(max_size=7),
)
def test_a_secret_is_found_in_base64_whatever_is_encoded_with_it(
    secret: str, before: bytes, after: bytes
) -> None:
    redact = Redactor([secret])
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(before + secret.encode() + after).decode()
        shown = redact(f"Authorization: Basic {encoded}")

        assert "***" in shown
        # what is left are its neighbours and at most the letters that it shares with them
        rest = shown.removeprefix("Authorization: Basic ").replace("***", "").rstrip("=")
        assert len(rest) <= len(encode(before).rstrip(b"=")) + len(encode(after).rstrip(b"=")) + 2


@pytest.mark.parametrize(
    "said",
    [
        "postgres://u:p%40ss%2Fword%21@host/db",
        '{"password": "p@ss/word!"}',
        "password=p%40ss%2Fword%21&x=1",
    ],
)
def test_a_secret_is_found_in_a_url_and_in_json(said: str) -> None:
    shown = Redactor(["p@ss/word!"])(said)

    assert "***" in shown
    assert "word" not in shown.replace("password", "")


def test_a_secret_with_quotes_is_found_in_json() -> None:
    secret = 'quo"te\\back ünï'

    assert Redactor([secret])(json.dumps({"k": secret})) == '{"k": "***"}'
    assert Redactor([secret])(json.dumps({"k": secret}, ensure_ascii=False)) == '{"k": "***"}'


def test_the_longest_secret_wins(tmp_path: Path) -> None:
    assert Said(tmp_path, "abcd", "abcdefgh").feed(b"abcdefgh abcd\n") == ["*** ***"]


def test_a_very_short_secret_is_left_alone(tmp_path: Path) -> None:
    assert Said(tmp_path, "a", "").feed(b"banana\n") == ["banana"]


def test_lines_end_in_every_way(tmp_path: Path) -> None:
    assert Said(tmp_path).feed(b"unix\nwindows\r\n\nlast") == ["unix", "windows", "", "last"]


def test_bytes_that_are_no_text_do_not_stop_the_log(tmp_path: Path) -> None:
    assert Said(tmp_path).feed(b"\xff\xfe\x00\x1b[2J\xc3\xa4\n") == ["\ufffd\ufffd\ufffd\ufffd[2Jä"]


def test_characters_cut_between_two_writes_are_whole(tmp_path: Path) -> None:
    text = "Zoë 🔑\n".encode()

    assert Said(tmp_path).feed(*(bytes([byte]) for byte in text)) == ["Zoë 🔑"]


def test_the_last_line_of_stderr_is_remembered(tmp_path: Path) -> None:
    said = Said(tmp_path, SECRET)
    said.feed(f"Traceback\nValueError: {SECRET}\n\n".encode(), stream="stderr")
    said.feed(b"on stdout\n")

    assert said.transcript.last_error_line == "ValueError: ***"


def test_many_lines_are_cut_off_with_one_word(tmp_path: Path) -> None:
    said = Said(tmp_path)
    lines = said.feed(b"line\n" * 12_000)
    said.transcript.close()

    assert len(lines) == 10_000
    assert said.lines[-1][0] == "system"
    assert (tmp_path / "log").read_text().count("line\n") == 12_000


def test_many_bytes_are_cut_off_too(tmp_path: Path) -> None:
    said = Said(tmp_path)
    lines = said.feed((b"x" * 8000 + b"\n") * 1000)

    assert sum(map(len, lines)) < 4.1 * 1024**2
    assert "truncated" in lines[-1]
    said.transcript.close()


def test_progress_is_still_heard_after_the_cut(tmp_path: Path) -> None:
    said = Said(tmp_path)
    said.feed(b"line\n" * 11_000 + b"::progress 99 nearly\n")
    said.transcript.close()

    assert said.progressed == [(99, "nearly")]


# -------------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("::value rows 7", "rows", 7),
        ('::value list [1, {"a": null}]', "list", [1, {"a": None}]),
        ("::value day 2026-11-26", "day", "2026-11-26"),
        ('::value text "2026"', "text", "2026"),
        ("::value empty", "empty", ""),
        ("::value\tok\ttrue ", "ok", True),
        ("::value odd NaN", "odd", "NaN"),
        ("::value broken {", "broken", "{"),
        (f"::value deep {'[' * 101}{']' * 101}", "deep", "[" * 101 + "]" * 101),
        (f"::value stack {'[' * 9000}", "stack", "[" * 9000),
        (
            "::value flat " + '[{"a":' * 49 + "1" + "}]" * 49,
            "flat",
            json.loads('[{"a":' * 49 + "1" + "}]" * 49),
        ),
        (f"::value who {SECRET}", "who", "***"),
        ('::value who {"a": ["correct\\u002dhorse-battery"]}', "who", {"a": ["***"]}),
        ("::value deep " + "[" * 9000, "deep", "[" * 9000),
        ("::value long " + "x" * 40_000, "long", "x" * 40_000),
    ],
    ids=lambda it: str(it)[:24],
)
def test_a_value_is_taken_out_of_the_log(tmp_path: Path, line: str, name: str, value: object) -> None:
    said = Said(tmp_path, SECRET)

    assert said.feed(line.encode() + b"\n") == []
    assert said.transcript.values.found == {name: value}


def test_a_long_value_may_come_in_pieces(tmp_path: Path) -> None:
    said = Said(tmp_path)
    text = b'::value long "' + b"x" * 40_000 + b'"\nafter\n'

    assert said.feed(*(text[i : i + 4096] for i in range(0, len(text), 4096))) == ["after"]
    assert said.transcript.values.found == {"long": "x" * 40_000}


@pytest.mark.parametrize("line", ["::value", "::value 7 8", "::values a 1", " ::value a 1", "::value a-b 1"])
def test_what_only_looks_like_a_value_is_an_ordinary_line(tmp_path: Path, line: str) -> None:
    said = Said(tmp_path)

    assert said.feed(line.encode() + b"\n") == [line]
    assert said.transcript.values.found == {}


def test_a_value_that_is_too_large_is_not_kept_and_the_log_says_so(tmp_path: Path) -> None:
    said = Said(tmp_path)
    said.feed(b"::value big " + b"x" * MAX_VALUE + b"\n")

    assert said.lines[0] == (
        "system",
        f"value big is larger than {MAX_VALUE} bytes and is not kept; write a file instead",
    )
    assert said.transcript.values.found == {}


def test_values_are_bounded_in_number_and_together(tmp_path: Path) -> None:
    many, large = Said(tmp_path), Said(tmp_path)
    many.feed(*(f"::value v{n} {n}\n".encode() for n in range(MAX_VALUES + 1)))
    large.feed(*(f"::value v{n} {'x' * 40_000}\n".encode() for n in range(5)), b"::value v0 1\n")

    assert len(many.transcript.values.found) == MAX_VALUES
    assert [*large.transcript.values.found] == ["v0", "v1", "v2", "v3"]
    assert large.transcript.values.found["v0"] == 1
