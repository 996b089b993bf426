"""Floor 2: the lab on disk, where answers, bets, runs and artifacts are kept and nothing paid for is lost.

`Lab.open(folder)` is the way in; the rest hangs from it: `lab.responses`, `lab.ledger`, `lab.runs`,
`lab.findings`, `lab.artifacts`.
"""

from gearsy.store.artifacts import Artifacts, Manifest, StoredFile
from gearsy.store.codec import decode, encode
from gearsy.store.lab import Lab
from gearsy.store.ledger import Entry, Ledger, LedgerCheck
from gearsy.store.responses import Responses
from gearsy.store.runs import Findings, RunRow, Runs
from gearsy.store.space import guard_space

__all__ = [
    "Artifacts",
    "Entry",
    "Findings",
    "Lab",
    "Ledger",
    "LedgerCheck",
    "Manifest",
    "Responses",
    "RunRow",
    "Runs",
    "StoredFile",
    "decode",
    "encode",
    "guard_space",
]
