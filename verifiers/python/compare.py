"""Holds this verifier against another: every bundle in a folder, named `NAME.accepted.abide` or `NAME.rejected.abide`.

    python compare.py FOLDER

Exit codes: 0 both say the same of each; 1 they do not; 2 usage, or nothing to compare.
"""

import sys
from pathlib import Path

from abide_verify import verify


def main(arguments):
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    paths = sorted(Path(arguments[0]).glob("*.abide"))
    if not paths:
        print(f"there are no bundles in `{arguments[0]}`", file=sys.stderr)
        return 2
    counts = {"accepted": 0, "rejected": 0}
    differing = 0
    for path in paths:
        expected = path.suffixes[-2].lstrip(".")
        verdict = verify(path.read_bytes())
        found = "accepted" if verdict["verified"] else "rejected"
        counts[found] += 1
        if found != expected:
            differing += 1
            why = "; ".join(problem["what"] for problem in verdict["problems"])
            print(f"{path.name}: {expected} by the other, {found} here: {why}")
    print(f"{counts['accepted']} accepted, {counts['rejected']} rejected, {differing} otherwise by the other")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
