"""Exercise 15: old copies, an encrypted backup, its manifest, a restore, and what was lost."""

from collections.abc import Callable
from pathlib import Path

from leftopen.checks import encrypt_at_rest_and_back_up_copies as copies
from leftopen.checks import encrypt_at_rest_and_back_up_drill as drill
from leftopen.checks import encrypt_at_rest_and_back_up_lost as lost
from leftopen.checks import encrypt_at_rest_and_back_up_manifest as manifest
from leftopen.checks import encrypt_at_rest_and_back_up_sealed as sealed
from leftopen.checks.question import Question
from leftopen.lab import Lab

QUESTIONS = {
    1: Question(
        asks={"lab": Lab, "unseal": Callable},
        check=copies.copies,
        task=copies.copies_task,
        lab=copies.copies_lab,
    ),
    2: Question(
        asks={"lab": Lab, "backup_folder": Path, "identity_file": Path},
        check=sealed.sealed,
        task=sealed.sealed_task,
        lab=sealed.sealed_lab,
    ),
    3: Question(
        asks={"sign": Callable, "verify": Callable},
        check=manifest.manifest,
        task=manifest.manifest_task,
    ),
    4: Question(asks={"lab": Lab}, check=drill.drill, task=drill.drill_task, lab=drill.drill_lab),
    5: Question(
        asks={"lost": float, "taken": float, "down": float},
        check=lost.lost,
        task=lost.lost_task,
        value=True,
    ),
}
