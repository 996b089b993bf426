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


def killed(args: argparse.Namespace, lab: Path, stage: str, after_s: float) -> str:
    """Start the run, wait for `stage`, and kill it `after_s` seconds later; says what it was doing."""
    process = subprocess.Popen(command(args, lab), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(f"{stage}: "):
            break
    time.sleep(after_s)
    if process.poll() is not None:
        process.stderr.close()
        return f"had finished before the kill (exit code {process.returncode})"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    return f"killed {after_s:.1f} s into {stage}"


def estimates(result: dict) -> dict:
    """All of a result but the times."""
    return {key: value for key, value in result.items() if key not in IGNORED}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", default="reversal-curse")
    parser.add_argument("--system", default="smollm2-135m")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        left_alone, seconds = whole(args, Path(folder) / "left-alone")
        print(f"left alone: tune {seconds['tune']:.0f} s, ask {seconds['ask']:.0f} s")
        lab = Path(folder) / "killed"
        for turn in range(args.times):
            stage = STAGES[0] if turn < (args.times + 1) // 2 else STAGES[1]
            print(f"{turn + 1:2d}: {killed(args, lab, stage, chance.uniform(0, 0.5 * seconds[stage]))}", flush=True)
        resumed, _ = whole(args, lab)
        verified = subprocess.run(
            [sys.executable, "-c", "from gearsy.cli import main; main()", "ledger", "verify", "--lab", str(lab)],
            check=False,
        )
    same = estimates(left_alone) == estimates(resumed)
    different = [key for key in estimates(left_alone) if estimates(left_alone)[key] != estimates(resumed).get(key)]
    print(f"resumed: {'every estimate is the same to the last digit' if same else f'DIFFERENT in {different}'}")
    if not same or verified.returncode:
        sys.exit(1)


if __name__ == "__main__":
    main()
