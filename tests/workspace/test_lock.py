import os
import subprocess
import sys
from pathlib import Path

import pytest

from trimtab.errors import DataFolderLocked
from trimtab.workspace.lock import FolderLock


def test_the_second_one_is_told_who_holds_the_folder_and_what_to_do(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)

    with pytest.raises(DataFolderLocked, match=f"process {os.getpid()}; .*TRIMTAB_URL"):
        FolderLock(tmp_path)

    lock.release()


def test_a_lock_that_was_given_back_can_be_taken(tmp_path: Path) -> None:
    FolderLock(tmp_path).release()

    FolderLock(tmp_path).release()


def test_a_holder_that_dies_lets_go(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys; from trimtab.workspace.lock import FolderLock;"
        "FolderLock(pathlib.Path(sys.argv[1])); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)

    FolderLock(tmp_path).release()
    assert (tmp_path / "lock").exists()
