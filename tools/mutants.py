"""Sums up a run of cargo-mutants: `mutants.py OUTPUT`. OUTPUT is the folder that contains `mutants.out/`.

Fails if a survivor is missing in mutants.md, if one that is listed there is caught, or if fewer than SHARE of at least MANY mutants
were caught.
"""

import re
import sys
from collections import Counter
from pathlib import Path

# The smallest share of mutants that tests must catch.
SHARE = 0.95
# A share of fewer mutants, such as those of a small diff, says nothing. For them, the list decides alone.
MANY = 100
LIST = "mutants.md"


def names(text: str) -> Counter[str]:
    """The mutants in a file of cargo-mutants, without line and column, which change with every edit."""
    return Counter(re.sub(r"(\.rs):\d+:\d+:", r"\1:", line) for line in text.splitlines())


def main() -> None:
    files = [Path(sys.argv[1], f"mutants.out/{outcome}.txt") for outcome in ("caught", "missed", "timeout", "unviable")]
    # A diff without code that can be changed leaves no files.
    caught, missed, timeout, unviable = (names(file.read_text() if file.exists() else "") for file in files)
    # A mutant that loops for ever is noticed, too.
    caught += timeout
    tested = caught.total() + missed.total()
    share = caught.total() / tested if tested else 1.0
    print(f"{caught.total()} of {tested} mutants caught ({share:.1%}); {unviable.total()} more do not compile")

    listed = Counter(re.findall(r"^- `(src/.+)`", Path(LIST).read_text(), re.MULTILINE))
    problems = [f"{mutant}: no test notices it. Write one, or give a reason in {LIST}" for mutant in missed - listed]
    # Some runs test only a part of the mutants, so a mutant that is missing in both files says nothing.
    problems += [f"{mutant}: is caught, so remove it from {LIST}" for mutant in listed - missed if mutant in caught]
    if MANY <= tested and share < SHARE:
        problems.append(f"fewer than {SHARE:.0%} of the mutants are caught")
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
