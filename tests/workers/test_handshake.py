"""Before its first task a worker finds out by a token whether it shares the driver's disk."""

from pathlib import Path

from hitofude.workers.handshake import disk_token, shares_disk


def test_only_the_token_of_this_moment_is_found(tmp_path: Path) -> None:
    with disk_token(tmp_path) as token:
        assert shares_disk(tmp_path, token)
        assert not shares_disk(tmp_path, "of another folder")
        assert not shares_disk(tmp_path / "elsewhere", token)
    assert not list(tmp_path.iterdir())
