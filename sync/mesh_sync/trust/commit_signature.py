"""Whether a key that may sign has signed a commit. Changes nothing.

Only the exit status of `git verify-commit` counts, with a file of only those lines that may have signed; no settings
but ours apply.
"""

from __future__ import annotations

import os
import shutil

from mesh_sync.errors import CommandError, DeviceError, Reason
from mesh_sync.repository.git_command import CANNOT_VERIFY
from mesh_sync.repository.git_objects import GitObjects
from mesh_sync.trust import signers
from mesh_sync.trust.authorization import Commit
from mesh_sync.trust.signers import Signer


def is_signed(repository: GitObjects, commit: Commit, lines: tuple[Signer, ...]) -> bool:
    """Whether one of these lines' keys has signed the commit: the exit status of `git verify-commit`."""
    descriptor = os.memfd_create("allowed_signers")
    try:
        with os.fdopen(os.dup(descriptor), "w") as file:
            file.write(signers.text(lines))
        setting = f"gpg.ssh.allowedSignersFile=/proc/self/fd/{descriptor}"
        repository.git("-c", setting, "verify-commit", commit.name, pass_fds=[descriptor])
    except CommandError as error:
        if error.reason is not Reason.EXIT_STATUS:
            raise
        if shutil.which("ssh-keygen") is None:
            raise DeviceError("ssh-keygen is not installed; it verifies the signatures of commits") from None
        if error.says(*CANNOT_VERIFY):
            raise DeviceError(f"signatures cannot be verified: {error.message}") from None
        return False
    finally:
        os.close(descriptor)
    return True
