"""A process that writes to a lab: `python writer.py VERB LAB [NAME]`. The tests start it, and some kill it."""

import sys
from pathlib import Path

from gearsy.base.digests import digest
from gearsy.base.records import Response
from gearsy.store import Lab, encode

ARTIFACT = digest("test", "artifact")


def say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


def write(lab: Lab, name: str) -> None:
    """200 entries, and 200 answers of which every other key is the same in all processes."""
    for n in range(200):
        lab.ledger.append("note", {"by": name, "n": n})
        lab.responses.keep(name, {digest("test", [n, "all" if n % 2 else name]): Response(text=f"{name} {n}")})


def endless(lab: Lab, name: str) -> None:
    """Batches until it is killed, each said once it is committed."""
    n = 0
    while True:
        lab.responses.keep(name, {digest("test", [n, part]): Response(text=str(n)) for part in range(10)})
        lab.ledger.append("note", {"n": n})
        say(str(n))
        n += 1


def unfinished(lab: Lab, name: str) -> None:
    """One batch that is committed, and one that never is."""
    lab.responses.keep(name, {digest("test", 0): Response(text="kept")})
    with lab._database.writing() as connection:
        for n in range(1, 5000):  # enough to spill into the WAL before the commit
            row = (digest("test", n), name, "response", encode(Response(text="lost " * 500)), "now")
            connection.execute("INSERT INTO responses VALUES (?, ?, ?, ?, ?)", row)
        say("open")
        sys.stdin.readline()


def build(lab: Lab, name: str) -> None:
    """An artifact, finished only when it is told to."""
    with lab.artifacts.building(ARTIFACT) as working:
        (working / "weights.safetensors").write_text(name)
        say("building")
        sys.stdin.readline()
        lab.artifacts.commit(ARTIFACT, working, {"kind": "adapter", "by": name})


if __name__ == "__main__":
    verb, folder, *names = sys.argv[1:]
    with Lab.open(Path(folder)) as lab:
        {"write": write, "endless": endless, "unfinished": unfinished, "build": build}[verb](lab, *(names or ["m"]))
