"""Secrets in files: found by form, by value, by how they are assigned; and ordinary data left alone."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from runner.transfer.scanner import CHUNK, Finding, scan

RANDOM = "kJ8sP2vQ9xR4tY7wZ1aB5cD3"
#: Put together here, so that no scanner of this repository finds a secret in it.
SECRETS = {
    "private_key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "aws_access_key": "AKIA" + "IOSFODNN7EXAMPLE",
    "aws_secret_key": "aws_secret_access_key = " + "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab",
    "jwt": "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0" + ".dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    "control_room_token": "cr_" + RANDOM + "xyz",
    "webhook_secret": "whsec_" + RANDOM + "abcd",
    "github_token": "ghp_" + "a1B2" * 9,
    "gitlab_token": "glpat-" + "a1B2c3D4e5F6g7H8i9J0",
    "slack_token": "xoxb-" + "123456789012-abcdefABCDEF",
    "stripe_key": "sk_live_" + "a1B2c3D4e5F6g7H8i9J0k1L2",
    "google_api_key": "AIza" + "SyA1234567890abcdefghijklmnopqrstuv",
    "supabase_key": "sbp_" + "0123456789abcdef0123456789abcdef01234567",
    "url_password": "postgresql://app:" + "s3cr3t-pass@db.example:5432/x",
    "assigned_secret": f"api_key: '{RANDOM}'",
}


@pytest.mark.parametrize("rule", SECRETS)
def test_each_rule_finds_its_line(tmp_path: Path, rule: str) -> None:
    file = tmp_path / "f"
    file.write_text(f"one\ntwo\nthree {SECRETS[rule]} four\nfive\n")

    assert scan(file) == (Finding(3, rule),)


@pytest.mark.parametrize(
    "line",
    [
        "password = os.environ['PASSWORD']",
        "token: ${{ secrets.DEPLOY_TOKEN_FOR_PRODUCTION }}",
        "id,token\n1,550e8400-e29b-41d4-a716-446655440000",
        "api_key = aaaaaaaaaaaaaaaaaaaaaaaaaaaa1",
        "secret: this_is_only_a_long_name_of_a_thing",
        "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "https://user@example.com/path and http://example.com:8080/x@y",
        "https://example.com/?q=a:b@c",
        "the cr_short and whsec_short words, AKIA alone",
        "date,origin,destination,delay\n2001-01-01,SFO,JFK,17",
        "eyJ is how a token begins",
    ],
)
def test_ordinary_text_is_left_alone(tmp_path: Path, line: str) -> None:
    file = tmp_path / "f"
    file.write_text(line + "\n")

    assert scan(file) == ()


def test_the_finding_never_holds_the_secret(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text(SECRETS["jwt"])

    assert SECRETS["jwt"] not in repr(scan(file))


def test_a_granted_value_is_found_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("a\nb hunter-2 c\n")

    assert scan(file, ["hunter-2"]) == (Finding(2, "granted_secret"),)


def test_a_granted_value_is_found_in_a_file_that_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(bytes(5000) + b"hunter-2" + SECRETS["jwt"].encode())

    assert scan(file, ["hunter-2"]) == (Finding(0, "granted_secret"),)


@pytest.mark.parametrize("offset", [-30, -10, -1, 0, 5000])
def test_a_secret_across_two_pieces_of_a_large_file_is_found_once(tmp_path: Path, offset: int) -> None:
    file = tmp_path / "f"
    lines = b"an ordinary line of text\n" * ((CHUNK + offset) // 25)
    file.write_bytes(lines + SECRETS["aws_access_key"].encode() + b"\n" + lines)

    assert scan(file) == (Finding(len(lines) // 25 + 1, "aws_access_key"),)


def test_a_file_full_of_secrets_has_bounded_findings(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text(
        "".join(
            f"AKIA{secrets.token_hex(8).upper().translate(str.maketrans('0189', 'ABCD'))}\n"
            for _ in range(500)
        )
    )

    assert len(scan(file)) == 100


def test_an_empty_file_has_none(tmp_path: Path) -> None:
    (tmp_path / "f").touch()

    assert scan(tmp_path / "f", ["hunter-2"]) == ()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_a_text_in_wide_characters_is_read(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "f"
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    file.write_bytes(f"{mark}one\n{'x' * CHUNK}\ntoken {SECRETS['github_token']}\n".encode(encoding))

    assert scan(file) == (Finding(3, "github_token"),)


def test_a_nul_does_not_hide_what_is_said_to_be_text(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"\0\n" + SECRETS["github_token"].encode())

    assert scan(file) == ()
    assert scan(file, text=True) == (Finding(2, "github_token"),)
