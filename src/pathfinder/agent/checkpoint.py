"""The checkpoint's file: what a restarted agent must know so as neither to end nor to extend.

Losing it is safe: the agent then asks for a session as if it were new, without a lease.
"""

from dataclasses import dataclass, replace

from pathfinder.agent.conversation import Checkpoint
from pathfinder.agent.files import read_document, write_document
from pathfinder.model.errors import Malformed
from pathfinder.wire import codec


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFile:
    """Where the checkpoint is kept, and which boot of the machine this is."""

    path: str
    boot_id: str

    def save(self, checkpoint: Checkpoint) -> None:
        """Write it durably; OSError when the disk refuses."""
        write_document(self.path, {**codec.document(checkpoint), "boot_id": self.boot_id})

    def load(self) -> Checkpoint | None:
        """What was saved; None when there is nothing that can be read.

        The lease is on the clock of one boot: after another it is over.
        """
        try:
            document = read_document(self.path)
            if document is None:
                return None
            checkpoint = codec.parse(Checkpoint, document)
        except (OSError, ValueError, Malformed):
            return None
        if self.boot_id and document.get("boot_id") == self.boot_id:
            return checkpoint
        return replace(checkpoint, lease_until_ms=0)
