"""kill -9 a run at random moments of tuning and asking, resume it, and compare with a run that was left alone.

    python benchmarks/kill_resume.py                                  # reversal-curse --quick on the embedded model
    python benchmarks/kill_resume.py --study reversal-curse --system toy --times 10

Prints where each kill fell, and exits with 1 unless every estimate, bit and e-value is the same to the last digit.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STAGES = ("tune", "ask")
IGNORED = {"timing", "registrations", "ledger_head", "settings", "trainings"}  # when and how often, not what


def command(args: argparse.Namespace, lab: Path) -> list[str]:
    """The run that is killed, as a user would type it."""
    size = [] if args.system == "toy" else ["--quick"]
    program = [sys.executable, "-c", "from gearsy.cli import main; main()"]
    return [*program, "run", args.study, "--system", args.system, "--lab", str(lab), "--json", *size]


def whole(args: argparse.Namespace, lab: Path) -> tuple[dict, dict[str, float]]:
    """Run to the end; the result, and how long each stage took."""
    done = subprocess.run(command(args, lab), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"the run itself failed with {done.returncode}:\n{done.stderr}")
    result = json.loads(done.stdout)
    seconds = {row["stage"]: row["seconds"] for row in result["timing"]}
    return result, {name: seconds[name] for name in STAGES}


def killed(args: argparse.Namespace, lab: Path, stage: str, after_s: float) -> bool:
    """Start the run, wait for `stage`, and kill it `after_s` seconds later; False if it had finished by then."""
    process = subprocess.Popen(command(args, lab), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(f"{stage}: "):
            break
    time.sleep(after_s)
    finished = process.poll() is not None
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    return not finished


def estimates(result: dict) -> dict:
    """All of a result but the times."""
    return {key: value for key, value in result.items() if key not in IGNORED}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", default="reversal-curse")
    parser.add_argument("--system", default="smollm2-135m")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--span", type=float, default=0.9, help="how far into a stage, of its time when left alone")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        left_alone, seconds = whole(args, Path(folder) / "left-alone")
        print(f"left alone: tune {seconds['tune']:.0f} s, ask {seconds['ask']:.0f} s")
        labs, kills = [Path(folder) / "killed-0"], 0
        while kills < args.times:
            stage = STAGES[kills % 2]
            after_s = chance.uniform(0, args.span * seconds[stage])
            if killed(args, labs[-1], stage, after_s):
                kills += 1
                print(f"{kills:2d}: killed {after_s:.1f} s into {stage}", flush=True)
            else:  # nothing is left to interrupt there: go on in a lab of its own
                labs.append(Path(folder) / f"killed-{len(labs)}")
        results = [whole(args, lab)[0] for lab in labs]
        verify = [*command(args, labs[0])[:3], "ledger", "verify", "--lab"]
        verified = [subprocess.run([*verify, str(lab)], check=False).returncode == 0 for lab in labs]
    different = sorted({k for r in results for k, v in estimates(r).items() if v != estimates(left_alone)[k]})
    said = f"DIFFERENT in {different}" if different else "every estimate is the same to the last digit"
    print(f"resumed after {kills} kills in {len(labs)} labs: {said}")
    if different or not all(verified):
        sys.exit(1)


if __name__ == "__main__":
    main()
